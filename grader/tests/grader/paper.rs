//! The index between papers, code and tests, `docs/src/paper-index.md`, says what the sources say.
//!
//! The page is made from them: a comment that names a section (`5.4.2`, `figure 8`, `thesis 6.4`) belongs to the function
//! it stands in or above, or to its whole file. `UPDATE_BOOK=1 cargo test -p grader --test grader paper` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use grader::course::Course;
use grader::{cut, tree};

const PAGE: &str = "docs/src/paper-index.md";

/// Where Raft is spoken of, in the order of the course.
const CODE: [&str; 3] =
    ["project2-raftkv/raft/src", "project2-raftkv/src", "project3-multiraft/src/membership"];
const SUITES: [&str; 3] =
    ["project2-raftkv/raft/suite/src", "project2-raftkv/suite/src", "project3-multiraft/suite/src"];

/// What the sections are about. A section that is named in a source and not here is a mistake in one of the two.
const TITLES: [(&str, &str); 33] = [
    ("5", "the algorithm"),
    ("5.1", "terms"),
    ("5.2", "leader election"),
    ("5.3", "log replication"),
    ("5.4", "safety"),
    ("5.4.1", "the election restriction"),
    ("5.4.2", "entries of earlier terms"),
    ("5.4.3", "the argument for safety"),
    ("5.5", "followers and candidates crash"),
    ("5.6", "timing and availability"),
    ("6", "membership changes"),
    ("7", "log compaction"),
    ("8", "clients"),
    ("figure 2", "the algorithm on one page"),
    ("figure 3", "the five properties"),
    ("figure 4", "roles"),
    ("figure 6", "a log"),
    ("figure 7", "logs of a new term"),
    ("figure 8", "why earlier terms are not counted"),
    ("figure 11", "joint consensus"),
    ("figure 13", "InstallSnapshot"),
    ("thesis 3.10", "leadership transfer"),
    ("thesis 4.1", "one server at a time"),
    ("thesis 4.2", "availability while members change"),
    ("thesis 4.2.1", "catching up new servers"),
    ("thesis 4.2.2", "removing the leader"),
    ("thesis 4.2.3", "disruptive servers"),
    ("thesis 4.3", "joint consensus"),
    ("thesis 6.2", "leaders that are cut off"),
    ("thesis 6.4", "reads without the log"),
    ("thesis 6.4.1", "reads by a lease"),
    ("thesis 9.6", "PreVote"),
    ("thesis 10.2.1", "writing and sending at once"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The sections that a comment names.
fn sections(comment: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut of = ""; // what the numbers that follow are numbers of
    for word in comment.split(|c: char| c.is_whitespace() || "()[]:;".contains(c)) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        match bare.to_lowercase().as_str() {
            "thesis" => of = "thesis ",
            "figure" | "figures" => of = "figure ",
            "section" | "sections" | "paper" if of != "design" => of = "section",
            "design" | "client" | "etcd" | "grpc" => of = "design",
            "and" | "" => {}
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                let is_number = number
                    .split('.')
                    .all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()));
                let plain = matches!(number.split('.').next(), Some("5" | "6" | "7" | "8"))
                    && number.contains('.');
                match of {
                    "design" => {}
                    "section" if is_number => found.push(number.to_owned()),
                    "thesis " | "figure " if is_number => found.push(format!("{of}{number}")),
                    "" if is_number && plain => found.push(number.to_owned()),
                    _ => {}
                }
                if !word.ends_with(',') && of == "figure " {
                    of = "";
                }
            }
            _ => of = "",
        }
    }
    found
}

/// What a mention belongs to: a function by its path, or nothing smaller than the file.
fn owner(functions: &[cut::Function], lines: &[&str], at: usize) -> Option<String> {
    if let Some(f) = functions.iter().find(|f| f.open <= at && at <= f.close) {
        return Some(f.path.clone());
    }
    if lines[at - 1].trim_start().starts_with("//!") {
        return None;
    }
    // A comment above something: is that a function?
    let below = (at..lines.len()).find(|n| {
        let line = lines[*n].trim();
        !line.starts_with("//") && !line.starts_with("#[")
    })?;
    let heads = lines[below].trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
    let heads = heads
        .trim_start_matches("pub(super) ")
        .trim_start_matches("async ")
        .trim_start_matches("const ");
    let is_function = heads.starts_with("fn ");
    is_function.then(|| functions.iter().find(|f| f.open > below).map(|f| f.path.clone()))?
}

type Index = BTreeMap<String, BTreeSet<String>>;

/// Section -> what stands for it, and file -> its sections.
fn collect(
    folders: &[&str],
    name: &dyn Fn(&str, Option<&str>) -> Option<String>,
) -> (Index, Index) {
    let (mut by_section, mut by_file) = (Index::new(), Index::new());
    for folder in folders {
        for file in tree::rust_files(&root(), folder).unwrap() {
            let text = std::fs::read_to_string(root().join(&file)).unwrap();
            let functions = cut::functions(&text).expect("our sources are Rust");
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in (1..).zip(&lines) {
                let Some((_, comment)) = line.split_once("//") else { continue };
                for section in sections(comment.trim_start_matches(['/', '!'])) {
                    // A section that only the thesis has is the thesis's, whatever stands before it.
                    let of_thesis = format!("thesis {section}");
                    let is = |name: &str| TITLES.iter().any(|(s, _)| *s == name);
                    let section = if !is(&section) && is(&of_thesis) { of_thesis } else { section };
                    let owner = owner(&functions, &lines, at);
                    let Some(name) = name(&file, owner.as_deref()) else { continue };
                    by_section.entry(section.clone()).or_default().insert(name);
                    by_file.entry(file.clone()).or_default().insert(section);
                }
            }
        }
    }
    (by_section, by_file)
}

fn page() -> String {
    let course =
        Course::parse(&std::fs::read_to_string(root().join("grader/course.toml")).unwrap())
            .unwrap();
    let tests: BTreeSet<&str> =
        course.stages.iter().flat_map(|s| &s.tests).map(|t| t.name.as_str()).collect();
    let in_code = |file: &str, owner: Option<&str>| {
        let short = file.rsplit_once("src/").map_or(file, |(_, short)| short);
        Some(owner.map_or(format!("`{file}`"), |owner| format!("`{owner}` ({short})")))
    };
    let in_suite = |file: &str, owner: Option<&str>| {
        let module = file
            .split_once("suite/src/")?
            .1
            .trim_end_matches(".rs")
            .trim_end_matches("/mod")
            .replace('/', "::");
        let whole = owner.map_or(module.clone(), |owner| format!("{module}::{owner}"));
        let known = tests.contains(whole.as_str())
            || (owner.is_none() && tests.iter().any(|t| t.starts_with(&format!("{module}::"))));
        known.then(|| format!("`{whole}`"))
    };
    let (code, files) = collect(&CODE, &in_code);
    let (suites, _) = collect(&SUITES, &in_suite);
    let named: BTreeSet<&String> = code.keys().chain(suites.keys()).collect();
    for section in &named {
        assert!(
            TITLES.iter().any(|(s, _)| s == *section),
            "a source names {section}, which the index has no title for"
        );
    }
    let mut page = String::from(
        "# Papers, code and tests\n\n\
         Which line of a paper is which function, and which test holds it. This page is made from the comments of the sources, and a\n\
         test of the grader says when it is out of date. Plain numbers are sections of the extended Raft paper, *In Search of an\n\
         Understandable Consensus Algorithm*; *thesis* is Ongaro's. [Further reading](further-reading.md) has both.\n\n\
         ## From a paper to the code\n",
    );
    let list = |names: Option<&BTreeSet<String>>| {
        names.map(|n| n.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    for (section, title) in TITLES.iter().filter(|(s, _)| named.iter().any(|n| n == s)) {
        let _ = write!(page, "\n**{section}: {title}.**");
        if let Some(code) = list(code.get(*section)) {
            let _ = write!(page, " {code}.");
        }
        if let Some(tests) = list(suites.get(*section)) {
            let _ = write!(page, " Tests: {tests}.");
        }
        page.push('\n');
    }
    page += "\n## From the code to a paper\n\n| file | sections |\n|---|---|\n";
    for (file, sections) in &files {
        let _ = writeln!(page, "| `{file}` | {} |", list(Some(sections)).unwrap_or_default());
    }
    page
}

#[test]
fn the_index_of_papers_is_what_the_sources_say() {
    let (made, file) = (page(), root().join(PAGE));
    if std::env::var_os("UPDATE_BOOK").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let first = made.lines().zip(there.lines()).find(|(new, old)| new != old);
    assert!(
        made == there,
        "{PAGE} is out of date: UPDATE_BOOK=1 cargo test -p grader --test grader paper\n{first:?}"
    );
}

#[test]
fn sections_are_read_from_comments() {
    for (comment, expected) in [
        ("5.4.2: only entries of its own term (figure 8).", vec!["5.4.2", "figure 8"]),
        ("Elections (paper, 5.2 and 5.4.1).", vec!["5.2", "5.4.1"]),
        ("leader refuses to vote (thesis 6.2, 4.2.3).", vec!["thesis 6.2", "thesis 4.2.3"]),
        ("Section 7, InstallSnapshot 6: the log goes on", vec!["7"]),
        ("DESIGN section 4 has 2 files, 1.5 times", vec![]),
        ("takes 250 ms, 3 of 5", vec![]),
    ] {
        assert_eq!(sections(comment), expected, "{comment}");
    }
}

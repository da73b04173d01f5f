//! The book tells the truth about names: every link, path, test, hole, command and symbol in it exists.
//!
//! What a reader meets is checked as text, line by line: links and anchors outside of code; what stands
//! in backticks, by its form (`a/path.rs`, `crate::item`, `Type::item`, `an_identifier`, `1.hole`); and, in
//! examples too, names of tests, paths and `cargo grade` commands. A symbol exists if some source of ours
//! defines that name. The pages of the book may only speak of files that a student has; README and
//! CHANGELOG are about the whole repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use grader::anchors::anchors;
use grader::course::Course;
use grader::tree;

/// The crates that the book speaks of, and where their sources are.
const CRATES: [(&str, &str); 14] = [
    ("warmup", "project1-standalone/warmup/src"),
    ("standalone", "project1-standalone/src"),
    ("standalone_suite", "project1-standalone/suite/src"),
    ("proto", "project1-standalone/proto"),
    ("raftcore", "project2-raftkv/raft/src"),
    ("raft_suite", "project2-raftkv/raft/suite/src"),
    ("raftkv", "project2-raftkv/src"),
    ("raftkv_suite", "project2-raftkv/suite/src"),
    ("multiraft", "project3-multiraft/src"),
    ("multiraft_suite", "project3-multiraft/suite/src"),
    ("txn", "project4-txn/src"),
    ("txn_suite", "project4-txn/suite/src"),
    ("sim", "grader/sim/src"),
    ("grader", "grader/src"),
];

/// Tests begin with the module of their suite: `stage2ab`, or `parts2b` for the small tests of a stage.
fn of_a_suite(name: &str) -> bool {
    name.starts_with("stage") || name.starts_with("parts")
}

/// Names that are not ours.
const FOREIGN: [&str; 1] = ["HashMap"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository is there")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The pages of the book, `docs/src/*.md`.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs/src")).expect("docs/src is there");
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> =
        names.filter(|n| n.ends_with(".md")).map(|n| format!("docs/src/{n}")).collect();
    pages.sort();
    pages
}

/// The page for instructors, who have the whole repository.
const INSTRUCTORS: &str = "docs/src/instructors.md";

/// The sources of the grader that say what its command line takes.
fn command_line() -> String {
    let mut files = tree::rust_files(&root(), "grader/src").expect("the grader has sources");
    files.extend(tree::rust_files(&root(), "grader/class/src").expect("so has its class"));
    let texts = files.iter().map(|file| read(file));
    texts.filter(|text| text.contains("use clap::")).collect::<Vec<_>>().join("\n")
}

/// What exists, by name.
struct Names {
    course: Course,
    /// Files that a student has, with slashes.
    given: BTreeSet<String>,
    /// Every word of our sources, but for those of comments.
    words: BTreeSet<String>,
    /// Defined names by crate: items, fields, variants, modules.
    defined: BTreeMap<&'static str, BTreeSet<String>>,
    /// The grader's command line, as source.
    cli: String,
}

impl Names {
    fn collect() -> Names {
        let given: BTreeSet<String> = tree::read_course(&root()).unwrap().into_keys().collect();
        let source = |path: &str| path.ends_with(".rs") || path.ends_with(".proto");
        let mut words = BTreeSet::new();
        let class = tree::rust_files(&root(), "grader/class/src").unwrap();
        for path in given.iter().chain(&class).filter(|path| source(path)) {
            for line in read(path).lines().filter(|line| !line.trim().starts_with("//")) {
                words.extend(identifiers(line).map(str::to_owned));
            }
        }
        let mut defined: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, folder) in CRATES {
            let of_crate = defined.entry(name).or_default();
            let inside = |path: &&String| path.starts_with(&format!("{folder}/")) && source(path);
            for path in given.iter().filter(inside) {
                of_crate.extend(definitions(&read(path)));
                of_crate
                    .extend(path.split('/').map(|part| part.trim_end_matches(".rs").to_owned()));
            }
        }
        let course = Course::parse(&read("grader/course.toml")).unwrap();
        Names { course, given, words, defined, cli: command_line() }
    }

    /// What is wrong with a page: `file:line: what; what to do`.
    fn complaints(&self, page: &str, text: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut in_example = false;
        for (number, line) in (1..).zip(text.lines()) {
            let mut complain = |(what, mend): (String, &str)| {
                complaints.push(format!("{page}:{number}: {what}; {mend}"))
            };
            if line.trim_start().starts_with("```") {
                in_example = !in_example;
                continue;
            }
            for token in line.split(|c: char| c.is_whitespace() || "`|(),;\"<>".contains(c)) {
                self.token(page, token.trim_end_matches(['.', ':'])).map(&mut complain);
            }
            self.counts(line).map(&mut complain);
            if in_example {
                self.command(line).map(&mut complain);
                continue;
            }
            for span in line.split('`').skip(1).step_by(2) {
                self.span(span).or_else(|| self.command(span)).map(&mut complain);
            }
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            for target in links(&prose.join("")) {
                self.link(page, text, target).map(&mut complain);
            }
        }
        complaints
    }

    /// A word anywhere: names of tests, and paths below a folder of ours.
    fn token(&self, page: &str, token: &str) -> Option<(String, &'static str)> {
        if of_a_suite(token) && token.contains("::") {
            let tests =
                || self.course.stages.iter().flat_map(|s| &s.tests).map(|t| t.name.as_str());
            let whole = token.split("::").count() > 2;
            let fits =
                |name: &str| name == token || (!whole && name.starts_with(&format!("{token}::")));
            return (!tests().any(fits)).then(|| {
                (format!("there is no test `{token}`"), "`cargo grade list` has the names")
            });
        }
        let (path, anchor) = token.split_once('#').unwrap_or((token, ""));
        let path = path.split(':').next().unwrap_or(path).trim_end_matches('/');
        let ours = path.contains('/')
            && root().join(path.split('/').next().unwrap_or(path)).exists()
            && !path.starts_with(['.', '/'])
            && !path.starts_with("target/")
            && !path.contains('*');
        if !ours {
            return None;
        }
        if let Some(complaint) = self.missing(page, path) {
            return Some(complaint);
        }
        let dead = !anchor.is_empty() && !anchors(&read(path)).contains(anchor);
        dead.then(|| (format!("{path} has no heading `#{anchor}`"), "correct the anchor"))
    }

    fn missing(&self, page: &str, path: &str) -> Option<(String, &'static str)> {
        if !root().join(path).exists() {
            return Some((format!("there is no {path}"), "correct the path, or write the file"));
        }
        let below = format!("{path}/");
        let a_student_has =
            self.given.contains(path) || self.given.iter().any(|f| f.starts_with(&below));
        (page.starts_with("docs/") && page != INSTRUCTORS && !a_student_has)
            .then(|| (format!("a student has no {path}"), "do not send readers of the book there"))
    }

    /// What stands in backticks.
    fn span(&self, span: &str) -> Option<(String, &'static str)> {
        let is_name = |s: &str| {
            !s.is_empty()
                && s.chars().all(|c| c.is_alphanumeric() || c == '_')
                && !s.starts_with(|c: char| c.is_ascii_digit())
        };
        if let Some((stage, hole)) = span.split_once('.')
            && stage.starts_with(|c: char| c.is_ascii_digit())
            && is_name(hole)
        {
            let known = self.course.holes().any(|(_, h)| h.id == span);
            return (!known).then(|| {
                (format!("there is no hole `{span}`"), "`cargo grade list` has the names")
            });
        }
        let parts: Vec<&str> = span.trim_end_matches("()").split("::").collect();
        if !parts.iter().all(|part| is_name(part)) || of_a_suite(parts[0]) {
            return None;
        }
        if let [name] = parts[..] {
            // Words of English are no names; `two_words` and `TwoWords` are.
            let inner = name.get(1..).unwrap_or_default();
            let compound = name.contains('_') || inner.contains(char::is_uppercase);
            return (compound && !self.words.contains(name) && !FOREIGN.contains(&name))
                .then(|| (format!("no source of ours has the word `{name}`"), "correct the name"));
        }
        let everywhere = || self.defined.values().collect::<Vec<_>>();
        let (crates, names) = match self.defined.get(parts[0]) {
            Some(defined) => (vec![defined], &parts[1..]),
            None if parts[0].starts_with(char::is_uppercase) => (everywhere(), &parts[..]),
            None => {
                return Some((format!("`{span}` is in no crate of ours"), "name its crate first"));
            }
        };
        let unknown =
            names.iter().find(|name| !crates.iter().any(|names| names.contains(**name)))?;
        Some((format!("`{span}`: nothing is called {unknown} there"), "correct the name"))
    }

    /// `cargo grade ...`: the words after it are a command, a stage or options that exist.
    fn command(&self, line: &str) -> Option<(String, &'static str)> {
        let (_, arguments) = line.split_once("cargo grade ")?;
        let arguments = arguments.split('#').next().unwrap_or_default();
        if arguments.starts_with(' ') {
            return None; // a remark follows, in a column of its own
        }
        let mend = "`cargo grade --help` has the commands and options";
        let known = |word: &str| identifiers(&self.cli).any(|name| name == word);
        for word in arguments.split_whitespace() {
            let Some(option) = word.strip_prefix("--") else { continue };
            if !known(&option.replace('-', "_")) {
                return Some((format!("`cargo grade` has no option {word}"), mend));
            }
        }
        let first = arguments.split_whitespace().next()?;
        let mut letters = first.chars();
        let variant: String = letters.next()?.to_uppercase().chain(letters.by_ref()).collect();
        let is_stage = || self.course.select(&[first.to_owned()]).is_ok();
        (!first.starts_with('-') && !known(&variant) && !is_stage())
            .then(|| (format!("`cargo grade` knows no {first}"), mend))
    }

    /// A line of the table quoted from a run has as many tests as the stage has today.
    fn counts(&self, line: &str) -> Option<(String, &'static str)> {
        let stage =
            self.course.stages.iter().find(|s| line.contains(&format!("  {}  ", s.title)))?;
        let of = line.split_whitespace().find_map(|word| word.split_once('/'))?.1;
        let tests = stage.tests.len();
        (of != tests.to_string()).then(|| {
            (
                format!("stage {} has {tests} tests, not {of}", stage.id),
                "run it again and quote that",
            )
        })
    }

    fn link(&self, page: &str, text: &str, target: &str) -> Option<(String, &'static str)> {
        if target.contains("://") {
            return None;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match (file, folder) {
            ("", _) => page.to_owned(),
            (file, "") => file.to_owned(),
            (file, folder) => format!("{folder}/{file}"),
        };
        if file.contains("..") {
            return Some((
                format!("the link {target} leaves the book"),
                "name the path in backticks",
            ));
        }
        if !file.is_empty()
            && let Some(complaint) = self.missing(page, &path)
        {
            return Some(complaint);
        }
        // A picture has no headings, and is no text.
        if anchor.is_empty() {
            return None;
        }
        let known = if file.is_empty() { anchors(text) } else { anchors(&read(&path)) };
        (!known.contains(anchor)).then(|| {
            (format!("{path} has no heading `#{anchor}`"), "correct the anchor or the heading")
        })
    }
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The names that a source defines: what follows a keyword, and what a line of a type begins with.
fn definitions(source: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 14] = [
        "fn",
        "struct",
        "enum",
        "trait",
        "const",
        "mod",
        "type",
        "static",
        "macro_rules",
        "service",
        "rpc",
        "message",
        "package",
        "use",
    ];
    let mut names = BTreeSet::new();
    for line in source.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let mut words = identifiers(line).peekable();
        while let Some(word) = words.next() {
            if KEYWORDS.contains(&word)
                && let Some(name) = words.peek()
            {
                names.insert((*name).to_owned());
            }
        }
        let line = line.strip_prefix("pub ").unwrap_or(line);
        if let Some(name) = identifiers(line).next()
            && let Some(rest) = line.strip_prefix(name)
            && (rest.is_empty() || rest.trim_start().starts_with(['{', '(', ',', ':']))
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The targets of `[text](target)`.
fn links(prose: &str) -> Vec<&str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn everything_that_the_book_names_exists() {
    let names = Names::collect();
    let mut all = pages();
    all.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    let complaints: Vec<String> =
        all.iter().flat_map(|page| names.complaints(page, &read(page))).collect();
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn the_summary_lists_every_page() {
    let summary = read("docs/src/SUMMARY.md");
    let listed: BTreeSet<String> =
        links(&summary).into_iter().map(|target| format!("docs/src/{target}")).collect();
    let unlisted: Vec<String> = pages()
        .into_iter()
        .filter(|page| !page.ends_with("/SUMMARY.md") && !listed.contains(page))
        .collect();
    assert!(
        unlisted.is_empty(),
        "docs/src/SUMMARY.md leaves out {unlisted:?}: add a line for each"
    );
}

/// The checks above are worth what they catch: each line here has one mistake, and each is found.
#[test]
fn a_page_with_mistakes_is_refused() {
    let wrong = [
        ("See [there](nowhere.md).", "no docs/src/nowhere.md"),
        ("See [there](chapter-1.md#no-such-heading).", "no heading `#no-such-heading`"),
        ("See [above](#no-such-heading).", "no heading `#no-such-heading`"),
        ("See [the code](../../project1-standalone/src/lib.rs).", "leaves the book"),
        (
            "Read `project1-standalone/src/nothing.rs` first.",
            "no project1-standalone/src/nothing.rs",
        ),
        ("Read `grader/tests/grader/book.rs` first.", "a student has no grader/tests"),
        ("Look at `standalone::raw::RowApi`.", "nothing is called RowApi"),
        ("Look at `Error::is_definitive`.", "nothing is called is_definitive"),
        ("Look at `nobody::Nothing`.", "in no crate of ours"),
        ("Look at `latch_for_cats`.", "the word `latch_for_cats`"),
        ("Fill `1.raw_got`.", "no hole `1.raw_got`"),
        ("It is `stage1::raw_get::a_key_is_absent`.", "no test `stage1::raw_get::a_key_is_absent`"),
        ("Type `cargo grade --plane`.", "no option --plane"),
        ("Type `cargo grade exlain x`.", "knows no exlain"),
        ("1      A standalone key-value store   3/3   8.0/8  1.0 s  ok", "tests, not 3"),
    ];
    let names = Names::collect();
    let text = wrong.map(|(line, _)| line).join("\n");
    let complaints = names.complaints("docs/src/wrong.md", &text);
    for (number, (line, expected)) in (1..).zip(wrong) {
        let place = format!("docs/src/wrong.md:{number}: ");
        let here: Vec<&String> = complaints.iter().filter(|c| c.starts_with(&place)).collect();
        assert!(here.len() == 1 && here[0].contains(expected), "{line}: {here:?}");
    }
    let right = "# A heading\n[here](#a-heading), `standalone::raw::RawApi`, `Engine::write`, `1.read`,\n\
        ```sh\ncargo grade replay stage1::raw_get::a_present_key_is_returned --seed 1 # once\n```\n";
    assert_eq!(names.complaints("docs/src/right.md", right), Vec::<String>::new());
}

/// `docs/zh` sums up each chapter; a new chapter needs its paragraph there.
#[test]
fn every_chapter_has_a_summary_in_chinese() {
    let there = read("docs/zh/README.md");
    for page in pages().iter().filter(|page| page.contains("/chapter-")) {
        let name = page.trim_start_matches("docs/src/").trim_end_matches(".md");
        assert!(
            there.contains(&format!("（{name}）")),
            "docs/zh/README.md has no section for {name}"
        );
    }
}

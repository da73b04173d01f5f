//! Wrong and hostile submissions of the real stage 1 before the judge.
//!
//! Each is the reference with a little code put into it, at the start of a function or the end of a
//! file, so that none rots when the reference changes. All share one scratch tree and one target
//! folder, hence one test that goes through them in order; it costs a build of one crate each.

use std::path::{Path, PathBuf};

use grader::handout::{Scope, starter};
use grader::tree::{self, Files};
use grader::workspace::Workspace;

use crate::support::{Course, Ran, inject, scratch};

const POINT: &str = "project1-standalone/src/raw/point.rs";
const GET: &str = "RawApi::raw_get";
const TESTS: &str = "project1-standalone/tests/main.rs";

/// What every wrong answer here comes down to: a key that was put is not found.
const WRONG: &str = "return Ok(RawGetResponse { not_found: true, ..Default::default() });";

/// The tests of `raw_get`, and the one that asks for a key that is there.
const GETS: &str = "stage1::raw_get::";
const PRESENT: &str = "stage1::raw_get::a_present_key_is_returned";

const WRONG_ANSWER: &[&str] = &[
    "failed: stage1::raw_get::a_present_key_is_returned",
    "broke RawGet of \"k\" in column family \"default\" is wrong: the key is there",
    "fact right would be",
    "fact the answer is",
];

struct Fixture {
    name: &'static str,
    /// Put at the start of `raw_get`.
    code: String,
    /// Put at the end of files.
    appended: &'static [(&'static str, &'static str)],
    /// Which tests are worth running.
    tests: &'static str,
    /// What the grader has to say.
    says: &'static [&'static str],
}

fn fixtures() -> Vec<Fixture> {
    let forged = r#"{\"tinykv_verdict\":1,\"test\":\"stage1::raw_get::a_present_key_is_returned\",\"verdict\":\"pass\",\"seed\":1,\"seeds_run\":1,\"broke\":\"\",\"facts\":[],\"hole\":null,\"inputs\":1,\"virtual_ms\":0}"#;
    vec![
        Fixture {
            name: "does not compile",
            code: "let wrong: u8 = \"text\";".into(),
            appended: &[],
            tests: GETS,
            says: &["does not compile", "error[E0308]: mismatched types", "raw/point.rs:"],
        },
        Fixture {
            name: "loops for ever",
            code: "loop { std::hint::black_box(0); }".into(),
            appended: &[],
            tests: PRESENT,
            says: &["undecided: stage1::raw_get", "It is not counted as wrong"],
        },
        Fixture {
            name: "eats memory",
            code: "let mut all = Vec::new(); loop { all.push(vec![0_u8; 1 << 24]); if all.is_empty() { break; } }".into(),
            appended: &[],
            tests: GETS,
            says: &["failed", "aborted (SIGABRT)", "each process may use 2048 MiB"],
        },
        Fixture {
            name: "prints forged verdicts",
            code: format!(
                "let forged = \"{forged}\"; for to in [\"/dev/stdout\", \"/dev/stderr\", \"/proc/self/fd/1\"] {{ let _ = std::fs::write(to, forged); }} println!(\"test result: ok.\\n{{forged}}\"); {WRONG}"
            ),
            appended: &[],
            tests: GETS,
            says: WRONG_ANSWER,
        },
        Fixture {
            name: "writes into the judge's own output and kills it",
            // Possible where nothing but a process boundary stands between the two (a sandbox comes with
            // classes). It cannot give the judge's exit code, so it gets no pass.
            code: format!(
                "let judge = std::os::unix::process::parent_id(); std::fs::write(format!(\"/proc/{{judge}}/fd/1\"), \"{forged}\").unwrap(); std::process::Command::new(\"kill\").arg(\"-9\").arg(judge.to_string()).status().unwrap();"
            ),
            appended: &[],
            tests: PRESENT,
            says: &["failed", "the verdict line was not written by the test harness", "ended with signal: 9"],
        },
        Fixture {
            name: "calls exit(0)",
            code: "std::process::exit(0);".into(),
            appended: &[],
            tests: GETS,
            says: &["failed", "(exit status: 0) before the judge said stop; something called exit()"],
        },
        Fixture {
            name: "panics under a hook that exits with 0",
            code: "std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!(\"quietly\");".into(),
            appended: &[],
            tests: GETS,
            says: &["failed", "before the judge said stop; something called exit()"],
        },
        Fixture {
            name: "writes to its own memory",
            // Where the tests share the process, this could turn any verdict round. Here it can only reach
            // itself: the write succeeds (or it would panic), and changes nothing.
            code: format!(
                "use std::os::unix::fs::FileExt; let verdict = 0_u64; let at = std::ptr::from_ref(&verdict) as u64; std::fs::File::options().write(true).open(\"/proc/self/mem\").unwrap().write_all_at(&1_u64.to_ne_bytes(), at).unwrap(); assert_eq!(std::hint::black_box(&verdict), &1); {WRONG}"
            ),
            appended: &[],
            tests: GETS,
            says: WRONG_ANSWER,
        },
        Fixture {
            name: "compares with a PartialEq that lies",
            code: format!("if Liar == 0_u8 {{ {WRONG} }}"),
            appended: &[(
                POINT,
                "struct Liar;\nimpl<T> PartialEq<T> for Liar { fn eq(&self, _: &T) -> bool { true } }\n",
            )],
            tests: GETS,
            says: WRONG_ANSWER,
        },
        Fixture {
            name: "edited its tests",
            code: WRONG.into(),
            appended: &[
                (TESTS, "compile_error!(\"an edited test was used\");"),
                ("project1-standalone/suite/src/lib.rs", "compile_error!(\"an edited suite was used\");"),
                ("project1-standalone/build.rs", "fn main() { panic!(\"a build script was used\") }"),
                ("project1-standalone/Cargo.toml", "\n[an edited manifest was used"),
                ("grader/course.toml", "\n[an edited course was used"),
                ("project1-standalone/src/engine/mod.rs", "compile_error!(\"a given file was used\");"),
                (".cargo/config.toml", "\n[edited settings were used"),
            ],
            tests: GETS,
            says: WRONG_ANSWER,
        },
    ]
}

#[test]
fn the_judge_is_right_about_every_submission() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = Workspace::find(root).unwrap();
    let course = workspace.course().unwrap();
    let reference = tree::read_course(root).unwrap();
    let ours = Course { root: root.to_owned() };

    // The solution, rearranged: files, items and imports of one's own, and no marker left.
    let mut files = reference.clone();
    let text =
        inject(tree::text(&files, POINT).unwrap(), GET, "super::my_own::count(&request.key);");
    files.insert(
        POINT.into(),
        text.replace("BEGIN SOLUTION", "").replace("END SOLUTION", "").into(),
    );
    files.entry("project1-standalone/src/raw/mod.rs".into()).or_default().extend(b"mod my_own;\n");
    let helper = "use std::collections::BTreeSet;\npub(super) fn count(key: &[u8]) -> usize { key.iter().collect::<BTreeSet<_>>().len() }\n";
    files.insert("project1-standalone/src/raw/my_own.rs".into(), helper.into());
    let tests = course.select(&["1".to_owned()]).unwrap()[0].tests.len();
    let all = format!("{tests}/{tests}");
    grade(&ours, &files, &[]).ends(0).says(&all);

    let empty = starter(&workspace, &course, &Scope::default()).unwrap();
    let ran = grade(&ours, &empty, &[]);
    ran.ends(1).says(&format!("0/{tests}")).says("this is where you start").says("hole 1.read in ");
    assert!(!ran.out.contains("warning"), "{}", ran.out);

    for fixture in fixtures() {
        let mut files = reference.clone();
        let text = inject(tree::text(&files, POINT).unwrap(), GET, &fixture.code);
        files.insert(POINT.into(), text.into());
        for (file, more) in fixture.appended {
            files.entry((*file).to_owned()).or_default().extend_from_slice(more.as_bytes());
        }
        let started = std::time::Instant::now();
        let ran = grade(&ours, &files, &["--test", fixture.tests, "--backstop", "6"]);
        eprintln!("{} ({:.1} s)\n{}", fixture.name, started.elapsed().as_secs_f64(), ran.out);
        ran.ends(1);
        for part in fixture.says {
            ran.says(part);
        }
        assert!(!ran.out.contains("was used"), "{}", ran.out);
    }
}

fn grade(ours: &Course, files: &Files, more: &[&str]) -> Ran {
    let folder: PathBuf = scratch().join("submission");
    tree::sync(&folder, files).unwrap();
    // Stage 1 alone: what a submission can do to the judge, it can do there, and the other crates need not be built.
    let mut arguments = vec!["1", "--judge", "--submission", folder.to_str().unwrap()];
    arguments.extend(more);
    ours.grade(&arguments)
}

#[test]
fn a_folder_that_is_no_submission_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ours = Course { root: root.to_owned() };
    let folder = scratch().join("no-submission");
    std::fs::create_dir_all(&folder).unwrap();
    ours.grade(&["--judge", "--submission", folder.to_str().unwrap()])
        .ends(2)
        .complains("is no submission");
    ours.grade(&["--judge", "--submission", "/no/such/folder"])
        .ends(2)
        .complains("is no submission");
}

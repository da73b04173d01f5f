//! The zoo and the sweep: what lets a bug through must say so, and what was done is not done again.

use crate::support::{Course, patch};

const LIB: &str = "kv/src/lib.rs";

const GET: &str = "        stored_under_this_key.cloned()";
const NO_GET: &str = "        stored_under_this_key.and(None)";
const EMPTY: &str = "        self.len() == 0";

#[test]
fn a_caught_bug_is_told_with_its_test_and_remembered() {
    let course = Course::toy("zoo");
    patch(&course, "1-01", "1", GET, NO_GET);
    course
        .grade(&["zoo"])
        .ends(0)
        .says("stage1::get::the_last_put_wins")
        .says("1 of 1 bug caught.");
    // Nothing has changed, so nothing runs; the copy is the reference again.
    course.grade(&["zoo", "1-01"]).ends(0).says("known").says("1 of 1 bug caught.");
    assert!(course.read("target/grade/zoo/kv/src/lib.rs").contains(GET));
    let ran = course.grade(&["zoo", "--fresh", "--json", "out.json"]);
    assert!(!ran.ends(0).out.contains("known"), "{}", ran.out);
    assert!(course.read("out.json").contains(r#""fate": "caught""#));
    course.grade(&["zoo", "--matrix", "matrix.md"]).ends(0);
    let matrix = course.read("matrix.md");
    assert!(
        matrix
            .contains("| 1-01 | It does something else. | `stage1::get::the_last_put_wins` | 1 |"),
        "{matrix}"
    );
    course.grade(&["zoo", "--list"]).ends(0).says("It does something else.").says("1 bug.");
    course.grade(&["zoo", "1-10"]).ends(2).complains("did you mean `1-01`?");
}

#[test]
fn every_way_to_get_through_is_an_error() {
    let course = Course::toy("zoo-through");
    patch(&course, "1-01", "1", EMPTY, "        self.len() == 1");
    patch(&course, "1-02", "1", "        nobody wrote this", "");
    patch(&course, "2-01", "2", EMPTY, "        self.length()");
    patch(&course, "3-01", "3", EMPTY, "        true");
    course
        .grade(&["zoo"])
        .ends(1)
        .says("1-01 survives: 3 tests of stage 1 and before are green with it.")
        .says("1-02 does not apply")
        .says("has no line `nobody wrote this` any more")
        .says("2-01 does not compile")
        .says("waits for its stage")
        .says("0 of 3 bugs caught; 1 of stages that the course does not grade yet.");
    course
        .grade(&["check", "--quick"])
        .ends(1)
        .says("grader/zoo/1-02-x.patch:10: bug 1-02 does not apply");
}

#[test]
fn a_test_that_is_red_without_the_bug_proves_nothing() {
    let course = Course::toy("zoo-red");
    course.replace(LIB, GET, NO_GET);
    patch(&course, "2-01", "2", EMPTY, "        true");
    course
        .grade(&["zoo"])
        .ends(1)
        .says("2-01: stage1::get::the_last_put_wins is not green without the bug");
}

#[test]
fn slips_in_a_patch_are_lines() {
    let course = Course::toy("zoo-slips");
    patch(&course, "1-01", "1", EMPTY, "        true");
    let good = course.read("grader/zoo/1-01-x.patch");
    for (from, to, says) in [
        ("id: 1-01", "id: 1-02", "and the name 1-01-x.patch do not fit"),
        ("mistake:", "mistak:", "the header has no `mistak`; did you mean `mistake`?"),
        ("users: They lose.\n", "", "the header has no `users`"),
        ("source: own\n\n", "source: own\n", "an empty line has to stand before the diff"),
        ("@@ -1 +1 @@\n", "", "there is no diff behind the header"),
        ("--- a/kv/src/lib.rs", "--- /dev/null", "it makes and removes none"),
        ("+        true", "*        true", "a line of a diff begins with a space, `-` or `+`"),
        ("+        true", "+        self.len() == 0", "it changes nothing in kv/src/lib.rs"),
        ("b/kv/src/lib.rs", "b/kv/src/bil.rs", "there is no file kv/src/bil.rs"),
    ] {
        assert!(good.contains(from));
        course.write("grader/zoo/1-01-x.patch", &good.replace(from, to));
        course.grade(&["check", "--quick"]).ends(1).says(says);
    }
}

#[test]
fn a_sweep_goes_on_where_it_stopped_and_names_seeds_that_fail() {
    let course = Course::toy("sweep");
    course.grade(&["sweep", "1", "--seeds", "3"]).ends(0).says("3 tests, 9 runs: all of them pass");
    course.grade(&["sweep", "--seeds", "25"]).ends(0).says("4 tests, 100 runs: all of them pass");
    assert!(course.read("target/grade/sweep.json").contains(r#""done": 25"#));
    // Other sources: all of it is done again.
    course.replace(
        "kv/tests/main.rs",
        "let last = seed.to_string();",
        "let last = (seed % 7).to_string(); store.put(\"x\", \"\");",
    );
    course.replace(LIB, GET, "        stored_under_this_key.filter(|v| *v != \"0\").cloned()");
    course
        .grade(&["sweep", "1", "--seeds", "15"])
        .ends(1)
        .says("cargo grade replay stage1::get::the_last_put_wins --seed 7")
        .says("cargo grade replay stage1::get::the_last_put_wins --seed 14")
        .says("3 tests, 45 runs: 2 did not pass.");
}

#[test]
fn without_a_demo_it_says_so() {
    Course::toy("no-demo").grade(&["demo"]).ends(2).complains("this course has no demo");
}

/// What cargo-mutants prints of one mutant.
fn mutant(line: usize, change: &str, old: &str, new: &str) -> String {
    let diff = format!("--- {LIB}\\n+++ {change}\\n@@ -{line} +{line} @@\\n-{old}\\n+{new}\\n");
    format!(
        r#"{{"name": "{LIB}:{line}:9: {change}", "file": "{LIB}", "span": {{"start": {{"line": {line}, "column": 9}}}}, "diff": "{diff}"}}"#
    )
}

#[test]
fn mutants_of_holes_are_hunted_and_survivors_need_a_reason() {
    let course = Course::toy("mutants");
    let text = course.read(LIB);
    let line = |of: &str| text.lines().position(|l| l == of).unwrap() + 1;
    let list = [
        mutant(line(GET), "replace get", GET, NO_GET),
        mutant(
            line("        self.pairs.len()"),
            "replace len",
            "        self.pairs.len()",
            "        1",
        ),
        mutant(line(EMPTY), "replace is_empty", EMPTY, "        false"),
    ];
    course.write("list.json", &format!("[{}]", list.join(",")));
    let hunt = ["zoo", "--mutants", "list.json", "--matrix", "mutants.md"];
    course
        .grade(&hunt)
        .ends(1)
        .says("2 mutants in the bodies of holes; 1 other left alone.")
        .says("1 of 2 bugs caught.");
    let page = course.read("mutants.md");
    assert!(page.contains("| 1 | 2 | 1 | 0 | 0 | 0 | 1 |"), "{page}");
    assert!(page.contains("| 1.put | `replace len` | **no reason is known** |"), "{page}");
    let reason = format!(
        "[[survivor]]\nfile = \"{LIB}\"\nchange = \"replace len\"\nwhy = \"Nobody counts.\"\n"
    );
    course.write("grader/zoo/survivors.toml", &reason);
    course.grade(&hunt).ends(0);
    assert!(course.read("mutants.md").contains("| 1.put | `replace len` | Nobody counts. |"));
    course.write("list.json", "{}");
    course.grade(&hunt).ends(2).complains("cargo mutants --list --json --diff");
}

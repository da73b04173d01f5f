//! The author's side: the check, the handout, the ladder.

use grader::tree;
use grader::workspace::Workspace;

use crate::support::{Course, scratch};

const COURSE: &str = "grader/course.toml";
const LIB: &str = "kv/src/lib.rs";

#[test]
fn the_toy_course_is_consistent() {
    let course = Course::toy("check");
    course.grade(&["check"]).ends(0).says("The course is consistent: 2 stages, 3 holes, 4 tests.");
    let starter = Course::toy_starter("check-starter");
    starter.grade(&["check"]).ends(0);
}

#[test]
fn every_slip_of_an_author_is_a_line() {
    let slips: &[(&str, &str, &str, &str)] = &[
        (
            COURSE,
            "hints = [\"Where do pairs live?\", ",
            "hints = [\"\", ",
            "hole 1.put has an empty hint",
        ),
        (
            COURSE,
            ", \"Look at `BTreeMap`.\", \"A field, an import, one line.\"]",
            "]",
            "hole 1.put has 1 hints",
        ),
        (COURSE, "minutes = 15", "minutes = 0", "hole 1.put takes no time"),
        (
            COURSE,
            "after = \"1.put\"",
            "after = \"1.get\"",
            "no test of stage 1 turns green with hole 1.put",
        ),
        (
            COURSE,
            "after = \"1.put\"",
            "after = \"1.pot\"",
            "`after` names no hole: `1.pot`; did you mean `1.put`?",
        ),
        (
            COURSE,
            "after = \"1.put\"",
            "after = \"2.scan\"",
            "waits for 2.scan, a hole of a later stage",
        ),
        (COURSE, "rule = \"A pair that was put is there.\"", "rule = \"\"", "has no rule"),
        (COURSE, "weight = 2", "weight = 0", "has no weight"),
        (COURSE, "chapter-2.md", "chapter-9.md", "there is no chapter docs/src/chapter-9.md"),
        (
            COURSE,
            "#reading-1",
            "#reeding-1",
            "no heading with the anchor `reeding-1`; did you mean `reading-1`?",
        ),
        (COURSE, "id = \"2.scan\"", "id = \"1.GET\"", "two holes are called `1.GET`"),
        (
            COURSE,
            "id = \"2.scan\"",
            "id = \"2.scam\"",
            "grader/course.toml has no hole `2.scan`; did you mean `2.scam`?",
        ),
        (
            COURSE,
            "file = \"kv/src/lib.rs\"",
            "file = \"kv/src/bil.rs\"",
            "kv/src/bil.rs does not exist",
        ),
        (
            COURSE,
            "suite = \"kv-suite\"",
            "suite = \"kv-sweet\"",
            "the workspace has no package `kv-sweet`",
        ),
        (COURSE, "points = 4", "points = 0", "stage 2 has no points"),
        (
            COURSE,
            "chapter = \"chapter-2.md\"",
            "chapter = \"chapter-2.md\"\ngiven = [\"kv/src/no.rs\"]",
            "the given file kv/src/no.rs does not exist",
        ),
        (
            COURSE,
            "chapter = \"chapter-2.md\"",
            "chapter = \"chapter-2.md\"\ngiven = [\"kv/src/lib.rs\"]",
            "this file is given",
        ),
        (
            LIB,
            "// BEGIN SOLUTION 2.scan",
            "// BEGIN SOLUTION 2.scam",
            "has no hole `2.scam`; did you mean `2.scan`?",
        ),
        (LIB, "// BEGIN SOLUTION 2.scan", "// BEGIN SOLUTION", "the marker names no hole"),
        (LIB, "        // BEGIN SOLUTION 2.scan\n", "", "an end without a beginning"),
        (LIB, "self.len() == 0", "// BEGIN SOLUTION 1.put\nself.len() == 0", "has no end"),
        (
            LIB,
            "        stored_under_this_key.cloned()\n        // END SOLUTION",
            "        // END SOLUTION\n        stored_under_this_key.cloned()",
            "not the whole body of `Store::get`",
        ),
        (
            LIB,
            "// END SOLUTION\n}",
            "}\n// END SOLUTION",
            "neither the whole body of a function nor whole items",
        ),
    ];
    let course = Course::toy("slips-of-authors");
    let original = [(COURSE, course.read(COURSE)), (LIB, course.read(LIB))];
    for (file, from, to, says) in slips {
        for (file, text) in &original {
            course.write(file, text);
        }
        course.replace(file, from, to);
        let ran = course.grade(&["check", "--quick"]);
        ran.ends(1).says(says);
        let line = ran.out.lines().find(|line| line.contains(says)).unwrap();
        assert!(
            line.starts_with("kv/src/lib.rs:") || line.starts_with("grader/course.toml:"),
            "{line}"
        );
        assert!(line.contains("; "), "no way to mend it: {line}");
    }
}

#[test]
fn tests_of_the_file_and_tests_of_the_programs_are_the_same() {
    let course = Course::toy("check-tests");
    course.replace(
        COURSE,
        "name = \"stage2::scan::keys_come_in_order\"",
        "name = \"stage2::scan::keys_come_in_odor\"",
    );
    course
        .grade(&["check"])
        .ends(1)
        .says("the suite has no test `stage2::scan::keys_come_in_odor`; did you mean `stage2::scan::keys_come_in_order`?")
        .says("the suite has a test `stage2::scan::keys_come_in_order` that is not listed");
}

#[test]
fn a_starter_is_the_same_twice_and_holds_no_solution() {
    let course = Course::toy("handout");
    let (one, two) = (scratch().join("handout-1"), scratch().join("handout-2"));
    for folder in [&one, &two] {
        let _ = std::fs::remove_dir_all(folder);
        course
            .grade(&["handout", folder.to_str().unwrap()])
            .ends(0)
            .says("no solution in any of them");
    }
    let (one, two) = (Course { root: one }, Course { root: two });
    let files = tree::read_course(&one.root).unwrap();
    assert!(files == tree::read_course(&two.root).unwrap(), "two starters differ");
    for (path, content) in &files {
        let text = String::from_utf8_lossy(content);
        for secret in ["SOLUTION", "stored_under_this_key", "self.pairs", "BTreeMap;", "author's"] {
            assert!(!text.contains(secret), "{path} has {secret}");
        }
    }
    insta::assert_snapshot!(one.read(LIB));
    // Nobody's work is overwritten, and a starter is not cut again.
    course.grade(&["handout", one.root.to_str().unwrap()]).ends(2).complains("is not empty");
    one.grade(&["handout", "new"]).ends(2).complains("This is a starter already");
}

#[test]
fn a_starter_can_end_early() {
    let course = Course::toy("until");
    let folder = scratch().join("until-1");
    let _ = std::fs::remove_dir_all(&folder);
    course.grade(&["handout", folder.to_str().unwrap(), "--until", "1"]).ends(0);
    let starter = Course { root: folder };
    starter.grade(&["list"]).ends(0).says("stage 1");
    assert!(!starter.read(COURSE).contains("2.scan"));
    // What comes later is not given away.
    assert!(starter.read(LIB).contains("hole(\"2.scan\""));
}

#[test]
fn a_solution_that_is_quoted_elsewhere_is_a_leak() {
    let course = Course::toy("leak");
    course.append("docs/src/chapter-1.md", "\nTry `stored_under_this_key.cloned()` there.\n");
    let folder = scratch().join("leak-1");
    let _ = std::fs::remove_dir_all(&folder);
    let ran = course.grade(&["handout", folder.to_str().unwrap()]);
    ran.ends(2).complains("would give solutions away").complains("docs/src/chapter-1.md:");
    assert!(!folder.exists());
}

#[test]
fn a_starter_builds_locked_and_without_a_warning() {
    let starter = Course::toy_starter("locked");
    let output = grader::cargo_build::command(&starter.root)
        .args(["build", "--locked", "--offline", "--tests", "--color", "never"])
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("warning"), "{told}");
}

#[test]
fn the_ladder_holds_on_the_toy_course() {
    let course = Course::toy("ladder");
    insta::assert_snapshot!(course.grade(&["check", "--ladder"]).ends(0).out);
}

#[test]
fn a_broken_rung_is_told_in_plain_words() {
    let course = Course::toy("ladder-broken");
    course.replace(
        COURSE,
        "name = \"stage1::get::the_last_put_wins\"\nafter = \"1.get\"",
        "name = \"stage1::get::the_last_put_wins\"\nafter = \"1.put\"",
    );
    course.grade(&["check", "--ladder"]).ends(1).says(
        "test stage1::get::the_last_put_wins: course.toml says after = \"1.put\", but with 1.put filled it is red: it also needs 1.get",
    );
}

#[test]
fn a_hole_that_nobody_would_miss_and_a_test_that_is_a_gift_are_found() {
    let course = Course::toy("ladder-gift");
    course.replace("kv/tests/main.rs", "same(&None, &Store::default().get(\"k\"))", "Ok(())");
    course.replace(
        "kv/tests/main.rs",
        "same(&Some(last), &store.get(\"k\"))",
        "same(&last, &last.clone())",
    );
    let ran = course.grade(&["check", "--ladder"]);
    ran.ends(1).says("hole 1.get: cut alone, all 3 tests of stage 1 are green");
    ran.says("test stage1::get::an_absent_key_has_no_value: green with no hole of stage 1 filled");
}

#[test]
fn trees_come_sorted_and_without_what_is_not_ours() {
    let course = Course::toy("trees");
    course.write(".idea/workspace.xml", "x");
    course.write("notes.txt", "x");
    course.write("kv/target/debug/x.rs", "x");
    course.write("kv/src/.swp.rs", "x");
    course.write("grader/tests/main.rs", "x");
    let files = tree::read_course(&course.root).unwrap();
    let paths: Vec<&String> = files.keys().collect();
    assert!(paths.is_sorted());
    for strange in [".idea", "notes", "target", ".swp", "grader/tests"] {
        assert!(!paths.iter().any(|p| p.contains(strange)), "{strange} in {paths:?}");
    }
    assert!(Workspace::find(&course.root.join("kv/src")).unwrap().root.ends_with("trees"));
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_not_written_over() {
    use std::fs;
    use std::os::unix::fs::symlink;

    let place = scratch().join("links");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("theirs")).unwrap();
    fs::write(place.join("theirs/lib.rs"), "theirs").unwrap();
    fs::create_dir_all(place.join("copy/one/src")).unwrap();
    // A file that is a link, with other content and with the same; a folder that is one.
    symlink(place.join("theirs/lib.rs"), place.join("copy/one/src/lib.rs")).unwrap();
    symlink(place.join("theirs/lib.rs"), place.join("copy/one/src/same.rs")).unwrap();
    symlink(place.join("theirs"), place.join("copy/two")).unwrap();
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let files = tree::Files::from([
        file("one/src/lib.rs", "ours"),
        file("one/src/same.rs", "theirs"),
        file("two/lib.rs", "ours"),
    ]);
    tree::sync(&place.join("copy"), &files).unwrap();
    assert_eq!(fs::read_to_string(place.join("theirs/lib.rs")).unwrap(), "theirs");
    for (path, content) in &files {
        let here = place.join("copy").join(path);
        assert!(!here.is_symlink() && !here.parent().unwrap().is_symlink(), "{path} is a link");
        assert_eq!(fs::read(&here).unwrap(), *content, "{path}");
    }
}

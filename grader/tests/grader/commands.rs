//! The other commands, and what they say to a slip of the finger.

use crate::support::{Course, scratch};

#[test]
fn help_is_short_and_complete() {
    let course = Course::toy("help");
    insta::assert_snapshot!(course.grade(&["--help"]).ends(0).out);
}

#[test]
fn the_list_shows_holes_and_the_tests_that_wait_for_them() {
    let course = Course::toy_starter("list");
    insta::assert_snapshot!(course.grade(&["list"]).ends(0).out);
}

#[test]
fn explain_tells_the_rule_and_the_long_form() {
    let course = Course::toy("explain");
    insta::assert_snapshot!(course.grade(&["explain", "last_put"]).ends(0).out);
}

#[test]
fn hints_come_one_by_one() {
    let course = Course::toy_starter("hints");
    insta::assert_snapshot!(course.grade(&["hint", "1.PUT"]).ends(0).out);
    course
        .grade(&["hint", "1.put"])
        .says("hint 2 of 3, where to look")
        .says("Where do pairs live?");
    course.grade(&["hint", "1.put"]).says("hint 3 of 3, an outline").says("the last hint");
    course.grade(&["hint", "1.put"]).ends(0).says("hint 3 of 3, an outline").says("the last hint");
    course.grade(&["hint", "1.pot"]).ends(2).complains("did you mean `1.put`?");
    // A state that is garbage is a state that is lost.
    course.write("target/grade/hints.json", "{]");
    course.grade(&["hint", "1.put"]).ends(0).says("hint 1 of 3");
}

#[test]
fn slips_get_the_nearest_name_and_the_next_step() {
    let course = Course::toy("slips");
    course.grade(&["lsit"]).ends(2).complains("there is no stage `lsit`; did you mean `list`?");
    course.grade(&["3"]).ends(2).complains("Stages are: 1, 2.");
    course.grade(&["explain", "xyzzy"]).ends(2).complains("`cargo grade list` shows all tests");
    course.grade(&["replay", "get"]).ends(2).complains("fits 2 tests");
    course.grade(&["--test", "xyzzy"]).ends(2).complains("no test of these stages has `xyzzy`");
    course.grade(&["--seed", "minus one"]).ends(2).complains("--seed");
    course.grade(&["--submission", "x"]).ends(2).complains("--judge");
}

#[test]
fn outside_of_a_course_it_says_so() {
    let outside = Course { root: std::env::temp_dir() };
    outside.grade(&[]).ends(2).complains("no course here");
}

#[test]
fn a_broken_course_is_an_error_with_a_line() {
    let course = Course::toy("broken-course");
    course.replace("grader/course.toml", "weight = 2", "weight = \"two\"");
    course.grade(&[]).ends(2).complains("grader/course.toml cannot be read").complains("line 4");
    course.write("grader/course.toml", "version = \"1\"");
    course.grade(&[]).ends(2).complains("the course has no stages yet");
    std::fs::write(course.root.join("grader/course.toml"), [0xff, 0xfe]).unwrap();
    course.grade(&["check"]).ends(2).complains("course.toml");
}

#[test]
fn a_broken_manifest_is_cargos_text() {
    let course = Course::toy("broken-manifest");
    course.append(
        "kv/Cargo.toml",
        "\n[dependencies]\nnothing-like-this = { path = \"../nowhere\" }\n",
    );
    course.grade(&[]).ends(2).complains("cargo could not build").complains("nowhere");
}

#[test]
fn it_works_from_a_folder_below_and_leaves_nothing_outside_of_target() {
    let course = Course::toy("below");
    let below = Course { root: course.root.join("kv/src") };
    below.grade(&["1"]).ends(0);
    let mut left: Vec<_> = std::fs::read_dir(&course.root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["Cargo.lock", "Cargo.toml", "README.md", "docs", "grader", "kv", "kv-suite", "target"]
    );
    assert!(course.root.starts_with(scratch()));
}

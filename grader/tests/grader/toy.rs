//! A student's hours with the toy course: what the grader says to a solution, to a starter, and to
//! everything that can go wrong in between. Here student code shares the process of its tests.

use crate::support::Course;

const LIB: &str = "kv/src/lib.rs";

#[test]
fn the_solution_gets_everything() {
    let course = Course::toy("solution");
    let ran = course.grade(&["--why-points"]);
    ran.ends(0);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn a_starter_gets_nothing_and_a_calm_word() {
    let course = Course::toy_starter("starter");
    let ran = course.grade(&[]);
    ran.ends(1);
    insta::assert_snapshot!(ran.out);
    let all = course.grade(&["--no-fail-fast"]);
    all.ends(1).says("2      Scans     0/1   0.0/4  _._ s  not started");
}

#[test]
fn a_half_written_starter_names_the_next_hole() {
    let course = Course::toy_starter("half");
    course.replace(
        LIB,
        "pub struct Store {",
        "pub struct Store {\n    pairs: std::collections::BTreeMap<String, String>,",
    );
    course.replace(
        LIB,
        "crate::hole(\"1.put\", (self, key, value))",
        "self.pairs.insert(key.into(), value.into());",
    );
    course.replace(LIB, "crate::hole(\"1.put\", (self,))", "self.pairs.len()");
    let ran = course.grade(&["1"]);
    ran.ends(1).says("1      A map     1/3   1.5/6  _._ s  unfinished");
    ran.says("stage 1: 1 of 3 tests pass, and nothing is broken.")
        .says("next    hole 1.get in kv/src/lib.rs:");
    course
        .grade(&["list", "1"])
        .ends(0)
        .says("hole 1.put  written")
        .says("hole 1.get  not written yet");
    course.grade(&["hint"]).ends(0).says("hole 1.get").says("hint 1 of 3, a question");
}

#[test]
fn a_broken_rule_is_explained_in_order() {
    let course = Course::toy("wrong");
    course.inject(
        LIB,
        "Store::put",
        "if self.pairs.contains_key(key) { eprintln!(\"I know {key}\"); return; }",
    );
    let ran = course.grade(&["--no-fail-fast"]);
    ran.ends(1);
    insta::assert_snapshot!(ran.out);
    let replayed = course.grade(&["replay", "the_last_put", "--seed", "7"]);
    replayed.ends(1).says("fact    seen:     Some(\"first\")").complains("I know k");
}

#[test]
fn what_does_not_compile_fails_with_the_compilers_text() {
    let course = Course::toy("no-compile");
    course.inject(LIB, "Store::get", "let wrong: u8 = \"text\";");
    let ran = course.grade(&[]);
    ran.ends(1)
        .says("1      A map     0/3   0.0/6  _._ s  does not compile")
        .says("stage 1 does not compile")
        .says("error[E0308]: mismatched types")
        .says("kv/src/lib.rs:");
    // The text is there even when the student's crate is not.
    course
        .grade(&["explain", "the_last_put"])
        .ends(0)
        .says("A second put of a key replaces the first.");
}

#[test]
fn exit_zero_is_a_fail() {
    let course = Course::toy("exit");
    course.inject(LIB, "Store::get", "std::process::exit(0);");
    course
        .grade(&["1"])
        .ends(1)
        .says("1/3")
        .says("the test process ended (exit code 0) before the test did; something called exit()");
}

#[test]
fn a_panic_hook_that_exits_zero_is_a_fail() {
    let course = Course::toy("hook");
    course.inject(
        LIB,
        "Store::get",
        "std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!(\"quietly\");",
    );
    course.grade(&["1"]).ends(1).says("1/3").says("something called exit()");
}

#[test]
fn an_abort_and_an_overflow_of_the_stack_are_fails() {
    let course = Course::toy("abort");
    course.inject(LIB, "Store::get", "if key == \"k\" { std::process::abort(); }");
    course.grade(&["1"]).ends(1).says("aborted (signal 6)");
    let course = Course::toy("overflow");
    course.inject(LIB, "Store::get", "if self.get(key).is_some() { return None; }");
    course.grade(&["1"]).ends(1).says("the test process").says("stack");
}

#[test]
fn eating_memory_is_a_fail_that_names_the_limit() {
    let course = Course::toy("memory");
    course.inject(
        LIB,
        "Store::get",
        "let mut all = vec![]; loop { all.push(vec![1u8; 1 << 20]); }",
    );
    course.grade(&["1"]).ends(1).says("ran out of memory: the limit is 512 MiB");
}

#[test]
fn an_endless_loop_is_undecided_and_not_wrong() {
    let course = Course::toy("loop");
    course.inject(LIB, "Store::get", "loop { std::hint::black_box(0); }");
    let ran = course.grade(&["1", "--backstop", "2"]);
    ran.ends(1)
        .says("1/3   1.5/6")
        .says("undecided")
        .says("endless loop")
        .says("It is not counted as");
    // A wait is told from a loop: it uses no processor.
    let course = Course::toy("wait");
    course.inject(
        LIB,
        "Store::get",
        "loop { std::thread::sleep(std::time::Duration::from_secs(9)); }",
    );
    let ran = course.grade(&["1", "--backstop", "1"]);
    ran.ends(1).says("still running at the backstop of 1 s");
}

#[test]
fn a_child_that_keeps_the_pipe_open_does_not_keep_the_grader() {
    let course = Course::toy("child");
    course.inject(
        LIB,
        "Store::get",
        "std::process::Command::new(\"sleep\").arg(\"60\").spawn().unwrap();",
    );
    let before = std::time::Instant::now();
    course.grade(&["1"]).ends(0);
    assert!(before.elapsed().as_secs() < 50);
}

#[test]
fn a_verdict_line_that_does_not_fit_is_a_fail() {
    let line = |test: &str, seeds: u32| {
        format!(
            "println!(\"{{{{\\\"tinykv_verdict\\\":1,\\\"test\\\":\\\"{test}\\\",\\\"verdict\\\":\\\"pass\\\",\\\"seed\\\":1,\\\"seeds_run\\\":{seeds},\\\"broke\\\":\\\"\\\",\\\"facts\\\":[],\\\"hole\\\":null,\\\"inputs\\\":0,\\\"virtual_ms\\\":0}}}}\"); std::process::exit(0);"
        )
    };
    let course = Course::toy("forged");
    // For another test, and for too few seeds.
    course.inject(LIB, "Store::get", &line("stage1::get::an_absent_key_has_no_value", 1));
    let ran = course.grade(&["--test", "the_last_put"]);
    ran.ends(1).says("the verdict line was not written by the test harness");
    // Printed as noise before the real verdict it changes nothing.
    let course = Course::toy("noise");
    let noise =
        line("stage1::get::the_last_put_wins", 3).replace("std::process::exit(0);", "return None;");
    course.inject(LIB, "Store::get", &noise);
    course.grade(&["--test", "the_last_put"]).ends(1).says("seen:     None");
}

#[test]
fn an_endless_print_costs_neither_memory_nor_the_verdict() {
    let course = Course::toy("chatty");
    course.inject(
        LIB,
        "Store::get",
        "for n in 0..200_000 { println!(\"line {n} of a very chatty student\"); }",
    );
    course.grade(&["1"]).ends(0);
}

#[test]
fn seeds_can_be_replaced_and_tests_chosen() {
    let course = Course::toy("seeds");
    course.inject(
        LIB,
        "Store::get",
        "if self.pairs.get(key).is_some_and(|v| v == \"9\") { return None; }",
    );
    course.grade(&["1"]).ends(0);
    let ran = course.grade(&["1", "--seed", "9", "--test", "last_put"]);
    ran.ends(1)
        .says("seed    9, virtual time 12 ms, after 1 input")
        .says("1      A map     0/1       -");
    ran.says("cargo grade replay stage1::get::the_last_put_wins --seed 9");
}

#[test]
fn the_report_for_machines_has_it_all() {
    let course = Course::toy("json");
    course.inject(LIB, "Store::scan", "panic!(\"no scans today\");");
    course.grade(&["--json", "report.json"]).ends(1);
    let report: serde_json::Value = serde_json::from_str(&course.read("report.json")).unwrap();
    assert_eq!(report["format"], 1);
    assert_eq!(report["passed"], false);
    assert_eq!(report["points"], 6.0);
    assert_eq!(report["course"], "0.0.1");
    assert!(report["rustc"].as_str().unwrap().starts_with("rustc 1."));
    let test = &report["stages"][1]["tests"][0];
    assert_eq!(test["verdict"], "fail");
    assert_eq!(test["broke"], "your code panicked: no scans today");
    assert_eq!(report["standings"], serde_json::json!(["passed", "failed"]));
    course.grade(&["--json", "no/such/folder/x.json"]).ends(2).complains("cannot be written");
}

//! Between two runs: how far each hole is, beginning again, looking it up, lints back on.

use crate::support::Course;

const LIB: &str = "kv/src/lib.rs";

/// Writes both holes of stage 1, in a student's own way.
fn write_stage_1(course: &Course) {
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
    course.replace(LIB, "crate::hole(\"1.get\", (self, key))", "self.pairs.get(key).cloned()");
}

#[test]
fn the_list_tells_how_far_each_hole_is() {
    let course = Course::toy_starter("progress");
    course.grade(&["list", "1"]).ends(0).says("hole 1.put  not written yet");
    write_stage_1(&course);
    course.grade(&["list", "1"]).ends(0).says("hole 1.get  written  (about");
    course.grade(&["1"]).ends(0);
    course
        .grade(&["list", "1"])
        .ends(0)
        .says("hole 1.put  written, 1 of 1 rule green  (about")
        .says("hole 1.get  written, 2 of 2 rules green  (about")
        .says("wins Below");
    course.inject(LIB, "Store::get", "if key == \"k\" { return None; }");
    course
        .grade(&["list"])
        .ends(0)
        .says("1.get  written, 2 of 2 rules green before your last change");
    // One seed, or one test, is not the whole truth about the others.
    course.grade(&["1", "--test", "absent"]).ends(0);
    course.grade(&["1"]).ends(1);
    course
        .grade(&["list"])
        .ends(0)
        .says("1.get  written, 1 of 2 rules green  (about")
        .says("wins red stage 2");
    course.inject(LIB, "Store::get", "let wrong: u8 = \"\";");
    course.grade(&["1"]).ends(1);
    course.grade(&["list"]).ends(0).says("1.get  written, does not compile");
    // A state that is garbage is a state that is lost.
    course.write("target/grade/results.json", "{]");
    course.grade(&["list"]).ends(0).says("1.get  written  (about");
}

#[test]
fn a_hole_can_be_begun_again() {
    let course = Course::toy_starter("reset");
    let handed_out = course.read(LIB);
    course.grade(&["reset", "1.get"]).ends(0).says("1.get is as it was handed out");
    write_stage_1(&course);
    course
        .grade(&["reset", "1.PUT"])
        .ends(0)
        .says("1.put is a hole again, in kv/src/lib.rs")
        .says("Helpers, fields");
    // Both of its bodies are holes; the field and the other hole are still there.
    let text = course.read(LIB);
    assert_eq!(text.matches("crate::hole(\"1.put\"").count(), 2, "{text}");
    assert!(text.contains("pairs: std::collections") && text.contains("self.pairs.get(key)"));
    let kept = course.read("target/grade/reset/1.put-1.rs");
    assert!(kept.contains("self.pairs.insert(key.into(), value.into());"), "{kept}");
    course.grade(&["reset", "1.get"]).ends(0);
    let field = "    pairs: std::collections::BTreeMap<String, String>,\n";
    assert_eq!(
        course.read(LIB).replace(field, ""),
        handed_out
            .replace("pub struct Store {\n", "pub struct Store {\n\n")
            .replace("{\n\n", "{\n")
    );
    // A second time there is a second copy.
    course.replace(LIB, "crate::hole(\"1.get\", (self, key))", "None");
    course.grade(&["reset", "1.get"]).ends(0).says("1.get-2.rs");
    course.grade(&["reset", "1.got"]).ends(2).complains("did you mean `1.get`?");
}

#[test]
fn a_function_is_found_where_the_student_moved_it_and_missed_where_it_is_gone() {
    let course = Course::toy_starter("reset-moved");
    write_stage_1(&course);
    let text = course.read(LIB);
    let get = "    /// The value of a key.\n    pub fn get(&self, key: &str) -> Option<String> {\n        self.pairs.get(key).cloned()\n    }\n";
    assert!(text.contains(get), "{text}");
    course.write(
        LIB,
        &(text.replace(get, "").replace("pairs:", "pub(crate) pairs:") + "\nmod mine;\n"),
    );
    course.write("kv/src/mine.rs", &format!("use crate::Store;\n\nimpl Store {{\n{get}}}\n"));
    course.grade(&["reset", "1.get"]).ends(0).says("in kv/src/mine.rs");
    assert!(course.read("kv/src/mine.rs").contains("crate::hole(\"1.get\", (self, key))"));
    course.write("kv/src/mine.rs", "");
    course
        .grade(&["reset", "1.get"])
        .ends(2)
        .complains("the function `Store::get` is nowhere in its crate");
    Course::toy("reset-reference")
        .grade(&["reset", "1.get"])
        .ends(2)
        .complains("does not know what was handed out");
}

#[test]
fn a_solution_is_shown_to_who_is_done_or_gives_up() {
    let course = Course::toy_starter("solution");
    let reference = course.root.with_file_name("solution-reference");
    let reference = reference.to_str().unwrap();
    course.grade(&["solution", "1.get"]).ends(2).complains("a starter holds no solution");
    let here = course.root.clone();
    course
        .grade(&["solution", "1.get", "--reference", here.to_str().unwrap()])
        .ends(2)
        .complains("does not hold the solution of 1.get");
    let asked = ["solution", "1.get", "--reference", reference];
    course.grade(&asked).ends(2).complains("1.get is not written yet").complains("--give-up");
    write_stage_1(&course);
    course.inject(LIB, "Store::get", "if key == \"k\" { return None; }");
    course.grade(&asked).ends(2).complains("1 of 2 tests of 1.get pass");
    let ran = course.grade(&["solution", "1.get", "--reference", reference, "--give-up"]);
    ran.ends(0).says("Noted that you looked up 1.get").says("stored_under_this_key.cloned()");
    course.grade(&["list"]).ends(0).says("hole 1.get  written, 1 of 2 rules green, looked up");
    course.replace(LIB, "if key == \"k\" { return None; }", "");
    let ran = course.grade(&asked);
    ran.ends(0).says("2 of 2 tests of 1.get pass, so here is").says("kv/src/lib.rs:");
    // The indentation of the file is not the solution's.
    assert!(ran.out.contains("\n    let stored_under_this_key"), "{}", ran.out);
    // Items that go with a hole are part of its solution.
    let ran = course.grade(&["solution", "1.put", "--reference", reference]);
    ran.ends(0).says("use std::collections::BTreeMap;").says("pairs: BTreeMap<String, String>,");
}

#[test]
fn lints_come_back_with_the_last_hole_of_a_crate() {
    let course = Course::toy_starter("tidy");
    write_stage_1(&course);
    course
        .grade(&["tidy", "1"])
        .ends(0)
        .says("kv: not yet. 1 of its holes are not written, 2.scan first");
    course.replace(LIB, "crate::hole(\"2.scan\", (self,))", "self.pairs.keys().cloned().collect()");
    course.grade(&["tidy"]).ends(0).says("kv: lints are on again (kv/src/lib.rs)");
    assert!(!course.read(LIB).contains("dead_code"));
    course.grade(&["tidy"]).ends(0).says("kv: its lints are on.");
    // And what they find is shown: an unused function of the student's own.
    course.append(LIB, "\nfn nobody_calls_me() {}\n");
    let ran = course.grade(&[]);
    ran.ends(0).says("1 warning of the compiler");
    // A call that comes back still compiles.
    course.grade(&["reset", "2.scan"]).ends(0);
    course.grade(&[]).ends(1).says("2      Scans     0/1");
}

#[test]
fn a_warm_up_is_offered_and_holds_nobody_up() {
    let course = Course::toy_starter("warm-up");
    course.replace("grader/course.toml", "points = 6", "points = 0\nextra = true");
    course
        .grade(&[])
        .ends(1)
        .says("1      A map     0/3       -  _._ s  not started")
        .says("Stage 1 is a warm-up for who is new to Rust; cargo grade 1 begins it.")
        .says("stage 2: 0 of 1 tests pass: this is where you start.")
        .says("A scan is sorted by key.");
    course.grade(&["hint"]).ends(0).says("hole 2.scan");
    // Asked for by name, it is what is asked for.
    course
        .grade(&["1"])
        .ends(1)
        .says("total            0/3       -  _._ s")
        .says("first   hole 1.put in kv/src/lib.rs:")
        .says("Whoever puts a pair finds it counted.");
    write_stage_1(&course);
    course.replace(LIB, "self.pairs.get(key).cloned()", "crate::hole(\"1.get\", (self, key))");
    course.grade(&["hint"]).ends(0).says("hole 1.get");
    let ran = course.grade(&["--why-points"]);
    ran.ends(1).says("1      A map     1/3       -  _._ s  unfinished").says("stage 2: 0 of 1");
    assert!(!ran.out.contains("stage 1: 0 x") && !ran.out.contains("warm-up"), "{}", ran.out);
    course.grade(&["list", "1"]).ends(0).says("no points, 2 holes");
}

#[test]
fn a_debugger_gets_the_one_process() {
    let course = Course::toy_starter("debugger");
    write_stage_1(&course);
    let ran = course.grade(&["replay", "last_put", "--seed", "3", "--debugger"]);
    ran.ends(0).says("grade stage1::get::the_last_put_wins --seeds 3 --brief");
    let line =
        1 + course.read(LIB).lines().position(|l| l.contains("self.pairs.get(key)")).unwrap();
    ran.says(&format!("(gdb) break kv/src/lib.rs:{line}"));
    // The command is to be copied, so it has to work.
    let command = ran.out.lines().find_map(|line| line.trim().strip_prefix("rust-gdb --args "));
    let mut words = command.unwrap().split(' ');
    let test = std::process::Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(test.status.success(), "{test:?}");
    let reference = Course::toy("debugger-in-reference");
    reference.grade(&["replay", "last_put", "--debugger"]).ends(0).says("break kv/src/lib.rs:");
}

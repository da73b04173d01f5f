//! Parts of the course: some stages only, and checkpoints with the earlier stages solved.

use grader::tree;

use crate::support::{Course, patch, scratch};

const COURSE: &str = "grader/course.toml";
const LIB: &str = "kv/src/lib.rs";

fn handed_out(course: &Course, name: &str, arguments: &[&str]) -> (Course, String) {
    let root = scratch().join(name);
    let _ = std::fs::remove_dir_all(&root);
    let ran = course.grade(&[&["handout", root.to_str().unwrap()], arguments].concat());
    ran.ends(0);
    (Course { root }, ran.out)
}

#[test]
fn a_starter_can_have_some_stages_only() {
    let course = Course::toy("stages");
    let (starter, said) = handed_out(&course, "stages-2", &["--stages", "2"]);
    assert!(said.contains("note: 1 is left out, not solved."), "{said}");
    assert!(!starter.read(COURSE).contains("1.put"), "stage 1 is in the course");
    // Its code is cut all the same: a smaller course gives nothing away.
    assert!(starter.read(LIB).contains("hole(\"1.get\""));
    starter.grade(&["list"]).ends(0).says("stage 2");
    let (_, said) = handed_out(&course, "stages-1", &["--stages", "1"]);
    assert!(!said.contains("note:"), "{said}");
    course.grade(&["handout", "x", "--stages", "7"]).ends(2).complains("there is no stage `7`");
    course.grade(&["handout", "x", "--stages", "1", "--until", "2"]).ends(2).complains("--until");
}

#[test]
fn a_checkpoint_has_the_earlier_stages_solved_and_nothing_else() {
    let course = Course::toy("checkpoint");
    patch(&course, "1-01", "1", "        self.len() == 0", "        self.len() == 1");
    patch(&course, "2-01", "2", "        self.len() == 0", "        true");
    let (checkpoint, said) = handed_out(&course, "checkpoint-2", &["--checkpoint", "2"]);
    assert!(said.contains("Solved: 1."), "{said}");
    let text = checkpoint.read(LIB);
    assert!(text.contains("stored_under_this_key.cloned()"), "{text}");
    assert!(
        text.contains("crate::hole(\"2.scan\", (self,))") && !text.contains("self.pairs.keys()")
    );
    // The bugs of what is solved come along, and only those.
    let zoo: Vec<_> = std::fs::read_dir(checkpoint.root.join("grader/zoo")).unwrap().collect();
    assert_eq!(zoo.len(), 1, "{zoo:?}");
    checkpoint.grade(&[]).ends(1).says("1      A map     3/3").says("2      Scans     0/1");
    checkpoint.grade(&["check", "--quick"]).ends(0);
    // Both: only the second stage is graded, and the first is there to stand on.
    let arguments = ["--stages", "2", "--checkpoint", "2"];
    let (alone, said) = handed_out(&course, "checkpoint-alone", &arguments);
    assert!(!said.contains("note:"), "{said}");
    assert!(!alone.read(COURSE).contains("1.put"));
    assert!(alone.read(LIB).contains("stored_under_this_key.cloned()"));
}

#[test]
fn a_checkpoint_that_quotes_a_later_solution_is_not_written() {
    let course = Course::toy("checkpoint-leak");
    course.append(
        "docs/src/chapter-1.md",
        "\nTry `self.pairs.keys().cloned().collect::<Vec<String>>()`.\n",
    );
    let root = scratch().join("checkpoint-leak-2");
    let _ = std::fs::remove_dir_all(&root);
    let root = root.to_str().unwrap();
    course.grade(&["handout", root, "--checkpoint", "2"]).ends(2).complains("chapter-1.md:");
    // What is solved may be quoted.
    let course = Course::toy("checkpoint-quote");
    course.append("docs/src/chapter-1.md", "\nSee `stored_under_this_key.cloned()`.\n");
    course.grade(&["handout", root, "--checkpoint", "2"]).ends(0);
}

#[test]
fn a_starter_says_what_is_asked_of_assistants() {
    let course = Course::toy("assistants");
    let (tutor, _) = handed_out(&course, "assistants-1", &[]);
    assert!(tutor.read("AGENTS.md").contains("be a tutor"));
    let (off, _) = handed_out(&course, "assistants-2", &["--assistant", "off"]);
    assert!(off.read("AGENTS.md").contains("without an assistant"));
    let unknown = ["handout", "x", "--assistant", "maybe"];
    course.grade(&unknown).ends(2).complains("[possible values: tutor, off, allowed]");
}

#[test]
fn a_starter_knows_what_was_handed_out() {
    let starter = Course::toy_starter("base");
    let base: serde_json::Value = serde_json::from_str(&starter.read("grader/base.json")).unwrap();
    assert_eq!(base["course"], "0.0.1");
    assert_eq!(base["sources"][LIB], starter.read(LIB));
    let files = tree::read_course(&starter.root).unwrap();
    let known =
        base["sources"].as_object().unwrap().len() + base["others"].as_object().unwrap().len();
    assert_eq!(known + 1, files.len(), "base.json does not know every file but itself");
}

//! A newer release: what a student wrote stays, what the course changed comes, and what clashes is named.

use std::collections::BTreeMap;

use grader::handout::{Scope, starter};
use grader::tree;
use grader::upgrade;
use grader::workspace::Workspace;

use crate::support::{Course, scratch};

const LIB: &str = "kv/src/lib.rs";

/// A starter of release 0.0.1 with a written hole, a helper and a field; and the reference of 0.0.2.
fn releases(name: &str) -> (Course, Course) {
    let old = Course::toy_starter(name);
    old.replace(
        LIB,
        "pub struct Store {",
        "pub struct Store {\n    pairs: std::collections::BTreeMap<String, String>,",
    );
    old.replace(LIB, "crate::hole(\"1.put\", (self, key, value))", "helped(self, key, value);");
    old.append(LIB, "\nfn helped(store: &mut Store, key: &str, value: &str) {\n    store.pairs.insert(key.into(), value.into());\n}\n");
    let new = Course::toy(&format!("{name}-newer"));
    new.replace("grader/course.toml", "version = \"0.0.1\"", "version = \"0.0.2\"");
    new.replace(LIB, "/// Whether there are none.", "/// Whether there is no pair at all.");
    new.append("docs/src/chapter-2.md", "\nA sentence more.\n");
    (old, new)
}

/// The starter of a reference.
fn handed_out(new: &Course, name: &str) -> String {
    let root = scratch().join(name);
    let workspace = Workspace::find(&new.root).unwrap();
    let course = workspace.course().unwrap();
    let files = starter(&workspace, &course, &Scope::default()).unwrap();
    tree::sync(&root, &files).unwrap();
    root.to_str().unwrap().to_owned()
}

fn everything(course: &Course) -> BTreeMap<String, Vec<u8>> {
    tree::read_course(&course.root).unwrap()
}

#[test]
fn a_students_work_survives_a_newer_release() {
    let (old, new) = releases("upgrade");
    new.write("docs/src/chapter-3.md", "# New\n");
    old.write("kv/src/mine.rs", "// my own file\n");
    old.append("docs/src/chapter-1.md", "my note\n");
    let newer = handed_out(&new, "upgrade-newer-starter");
    let before = everything(&old);
    let ran = old.grade(&["upgrade", &newer, "--dry-run"]);
    ran.ends(0)
        .says("From course 0.0.1 to 0.0.2.")
        .says("Your changes and the course's, in one file: kv/src/lib.rs")
        .says("Nothing was changed: this was a dry run.");
    assert!(before == everything(&old), "a dry run changed something");

    old.grade(&["upgrade", &newer])
        .ends(0)
        .says("Replaced, although you had changed it")
        .says("Done.");
    let text = old.read(LIB);
    for part in [
        "helped(self, key, value);",
        "fn helped(",
        "pairs: std::",
        "no pair at all",
        "hole(\"1.get\"",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(old.read("docs/src/chapter-2.md").contains("A sentence more."));
    assert_eq!(old.read("docs/src/chapter-3.md"), "# New\n");
    assert_eq!(old.read("kv/src/mine.rs"), "// my own file\n");
    // The course's own files are the course's; what stood there is kept.
    assert!(!old.read("docs/src/chapter-1.md").contains("my note"));
    assert!(old.read("target/grade/upgrade/old/docs/src/chapter-1.md").contains("my note"));
    // It builds, and the next task is a hole, not an error.
    old.grade(&["1"]).ends(1).says("this is where you start");
    // It is the newer release now: there is nothing left to do, and a reset takes the newer body.
    old.grade(&["upgrade", &newer])
        .ends(0)
        .says("From course 0.0.2 to 0.0.2.")
        .says("0 files to write, 0 to remove");
    old.grade(&["reset", "1.put"]).ends(0);
}

#[test]
fn conflicts_are_named_and_change_nothing() {
    let (old, new) = releases("conflict");
    old.replace(LIB, "/// Whether there are none.", "/// Whether it is empty, as I would say.");
    old.write("kv/src/extra.rs", "// mine\n");
    new.write("kv/src/extra.rs", "// theirs\n");
    let newer = handed_out(&new, "conflict-newer-starter");
    let before = everything(&old);
    let ran = old.grade(&["upgrade", &newer]);
    ran.ends(1)
        .says("2 conflicts:")
        .says("you and the newer release changed the same lines (1 place)")
        .says("kv/src/extra.rs: you have a file of this name, and the newer release brings one")
        .says("Nothing was changed.");
    let line = 1 + old.read(LIB).lines().position(|l| l.contains("as I would say")).unwrap();
    ran.says(&format!("kv/src/lib.rs:{line}: "));
    assert!(before == everything(&old), "a conflict changed something");
    old.grade(&["upgrade", &newer, "--with-conflicts"]).ends(1).says("Done.");
    let text = old.read(LIB);
    assert!(
        text.contains("<<<<<<<")
            && text.contains("as I would say")
            && text.contains("no pair at all"),
        "{text}"
    );
    assert_eq!(old.read("kv/src/extra.rs"), "// mine\n");
}

#[test]
fn what_the_course_drops_goes_unless_it_was_changed() {
    let (old, new) = releases("drops");
    // A source that only the old release has: as if it had been handed out.
    let mut base: serde_json::Value = serde_json::from_str(&old.read("grader/base.json")).unwrap();
    base["sources"]["kv/src/gone.rs"] = "// handed out\n".into();
    base["sources"]["kv/src/kept.rs"] = "// handed out\n".into();
    old.write("grader/base.json", &base.to_string());
    old.write("kv/src/gone.rs", "// handed out\n");
    old.write("kv/src/kept.rs", "// written by me\n");
    let newer = handed_out(&new, "drops-newer-starter");
    old.grade(&["upgrade", &newer])
        .ends(0)
        .says("Yours now; the course has no such file any more: kv/src/kept.rs")
        .says("1 to remove");
    assert!(!old.root.join("kv/src/gone.rs").exists());
    assert_eq!(old.read("kv/src/kept.rs"), "// written by me\n");
}

#[test]
fn an_upgrade_that_was_interrupted_goes_on() {
    let (old, new) = releases("interrupted");
    let newer = handed_out(&new, "interrupted-newer-starter");
    let workspace = Workspace::find(&old.root).unwrap();
    let plan = upgrade::plan(&workspace, newer.as_ref()).unwrap();
    upgrade::prepare(&workspace, &plan).unwrap();
    // The power goes here, after the first file.
    let (first, content) = plan.write.iter().next().unwrap();
    std::fs::write(old.root.join(first), content).unwrap();
    old.grade(&["list"])
        .ends(0)
        .says("An upgrade to course 0.0.2 had been interrupted; it is done now.");
    assert!(old.read(LIB).contains("no pair at all") && old.read(LIB).contains("fn helped("));
    let ran = old.grade(&["list"]);
    assert!(!ran.out.contains("interrupted"), "{}", ran.out);
}

#[cfg(unix)]
#[test]
fn an_upgrade_that_fails_half_way_is_taken_back() {
    let (old, new) = releases("failing");
    let newer = handed_out(&new, "failing-newer-starter");
    let before = everything(&old);
    let workspace = Workspace::find(&old.root).unwrap();
    let plan = upgrade::plan(&workspace, newer.as_ref()).unwrap();
    upgrade::prepare(&workspace, &plan).unwrap();
    // The last of the new files has rotted away.
    let last = plan.write.keys().next_back().unwrap();
    assert!(plan.write.len() > 2);
    std::fs::remove_file(old.root.join("target/grade/upgrade/new").join(last)).unwrap();
    old.grade(&["list"]).ends(2).complains("the upgrade failed, and the workspace is as it was");
    assert!(before == everything(&old), "the tree is half upgraded");
    old.grade(&["list"]).ends(0);
}

#[test]
fn only_a_fresh_starter_is_a_release() {
    let (old, new) = releases("releases");
    old.grade(&["upgrade", new.root.to_str().unwrap()])
        .ends(2)
        .complains("the newer release is no starter");
    let newer = handed_out(&new, "releases-newer-starter");
    let newer = Course { root: newer.into() };
    newer.append(LIB, "// I began here already\n");
    let path = newer.root.to_str().unwrap();
    old.grade(&["upgrade", path]).ends(2).complains("is not as it was handed out");
    old.grade(&["upgrade", "/no/such/folder"]).ends(2).complains("cannot be opened");
}

//! A bug hunt: planted without a trace, different by number, and checked.

use grader::tree;

use crate::support::{Course, patch, scratch};

const LIB: &str = "kv/src/lib.rs";
const GET: &str = "        stored_under_this_key.cloned()";
const NO_GET: &str = "        stored_under_this_key.and(None)";
const SCAN: &str = "        self.pairs.keys().cloned().collect::<Vec<String>>()";
const NO_SCAN: &str = "        self.pairs.keys().rev().cloned().collect::<Vec<String>>()";

fn with_bugs(name: &str) -> Course {
    let course = Course::toy(name);
    patch(&course, "1-01", "1", GET, NO_GET);
    patch(&course, "2-01", "2", SCAN, NO_SCAN);
    // Nobody sees this one, and nobody can apply that.
    patch(&course, "1-02", "1", "        self.len() == 0", "        self.len() == 1");
    patch(&course, "1-03", "1", "        nobody wrote this", "");
    course
}

fn hunt(course: &Course, name: &str, more: &[&str]) -> Course {
    let root = scratch().join(name);
    let _ = std::fs::remove_dir_all(&root);
    course
        .grade(&[&["bughunt", "--to", root.to_str().unwrap()], more].concat())
        .ends(0)
        .says("One bug is in");
    Course { root }
}

#[test]
fn a_hunt_shows_a_failing_run_and_nothing_else() {
    let course = with_bugs("hunt");
    let hunt = hunt(&course, "hunt-1", &["1", "--seed", "7"]);
    let story = hunt.read("README.md");
    assert!(story.contains("two values differ that have to be equal"), "{story}");
    assert!(story.contains("fact    seen:     None"), "{story}");
    // Neither the rule, nor the test, nor the place.
    for (path, content) in tree::read_course(&hunt.root).unwrap() {
        let text = String::from_utf8_lossy(&content);
        let secrets = ["SOLUTION", "It does something else", "They lose", "1-01"];
        for secret in secrets {
            assert!(!text.contains(secret), "{path} has {secret}");
        }
    }
    assert!(!story.contains("stage1::") && !story.contains("last put"), "{story}");
    assert!(!hunt.root.join("grader/zoo").exists() && !hunt.root.join(".git").exists());
    assert!(hunt.read(LIB).contains(NO_GET));

    hunt.grade(&["1"]).ends(1).says("failed: stage1::get::the_last_put_wins");
    hunt.grade(&["bughunt", "check"])
        .ends(1)
        .says("The bug is still there: 1 test of stage 1 not green.");
    hunt.replace(LIB, NO_GET, "        let wrong: u8 = \"\";");
    hunt.grade(&["bughunt", "check"]).ends(1).says("does not compile");
    hunt.replace(LIB, "        let wrong: u8 = \"\";", GET);
    hunt.grade(&["bughunt", "check"]).ends(1).says("Which rule did it break?");
    hunt.grade(&["bughunt", "check", "--rule", "a_put_is"])
        .ends(1)
        .says("Mended, but that is not the rule");
    hunt.grade(&["bughunt", "check", "--rule", "last_put"])
        .ends(0)
        .says("Found, mended, and named: A get returns the value of the last put.")
        .says("it was  It does something else.")
        .says("in      kv/src/lib.rs");
    hunt.grade(&["bughunt", "check", "--rule", "nothing"]).ends(2).complains("there is no test");
    hunt.write("grader/bughunt.json", "{]");
    hunt.grade(&["bughunt", "check"]).ends(2).complains("bughunt.json is damaged");
}

#[test]
fn another_number_is_another_hunt() {
    let course = with_bugs("hunt-seeds");
    let planted = |seed: u64| {
        let hunt = hunt(&course, &format!("hunt-seed-{seed}"), &["--seed", &seed.to_string()]);
        hunt.read(LIB)
    };
    let all: Vec<String> = (1..=6).map(planted).collect();
    assert!(all.iter().any(|text| text.contains(NO_GET)), "six numbers, and never 1-01");
    assert!(all.iter().any(|text| text.contains(NO_SCAN)), "six numbers, and never 2-01");
    assert_eq!(all[0], planted(1), "the same number is another hunt");
}

#[test]
fn a_starter_hunts_in_a_checkpoint_and_says_so_when_there_is_none() {
    let course = with_bugs("hunt-reference");
    let starter = Course::toy_starter("hunt-starter");
    starter.grade(&["bughunt"]).ends(2).complains("no reference was named");
    let itself = starter.root.to_str().unwrap();
    starter.grade(&["bughunt", "--reference", itself]).ends(2).complains("has no bugs to plant");
    starter.grade(&["bughunt", "check"]).ends(2).complains("this is no workspace of a bug hunt");
    let checkpoint = scratch().join("hunt-checkpoint");
    let _ = std::fs::remove_dir_all(&checkpoint);
    let checkpoint = checkpoint.to_str().unwrap();
    course.grade(&["handout", checkpoint, "--checkpoint", "2"]).ends(0);
    let hunt = hunt(&starter, "hunt-from", &["--reference", checkpoint, "--seed", "1"]);
    assert!(hunt.read(LIB).contains(NO_GET));
    starter
        .grade(&["bughunt", "2", "--reference", checkpoint])
        .ends(2)
        .complains("the zoo has no bug for 2 here");
    starter
        .grade(&["bughunt", "--reference", checkpoint, "--to", hunt.root.to_str().unwrap()])
        .ends(2)
        .complains("is not empty");
}

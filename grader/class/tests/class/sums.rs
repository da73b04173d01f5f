//! The sum behind the points, and the seeds behind the verdicts, without building anything.

use class::record::{Conditions, FORMAT, Fate, Score, StageScore, TestScore, Verdict};
use class::{seeds, sum};
use grader::verdict::{Outcome, Status};

pub fn verdict(status: Status) -> Verdict {
    let broke = if status == Status::Fail { "two values differ <here>" } else { "" };
    let mut verdict = Verdict::of(&Outcome::without_line(status, broke));
    if status == Status::Fail {
        verdict.facts = vec!["expected: \"a\" & more".into(), "seen: \"b\"".into()];
        verdict.seed = Some(7);
    }
    if status == Status::NotWritten {
        verdict.hole = Some("2.scan".into());
    }
    verdict
}

pub fn test(name: &str, weight: u32, ours: Status) -> TestScore {
    TestScore {
        name: name.into(),
        rule: format!("The rule of {name}."),
        reading: "docs/src/chapter-1.md".into(),
        weight,
        ours: verdict(ours),
        hidden: None,
        own: None,
    }
}

/// A student with two stages and some extra credit.
pub fn student(id: &str) -> Score {
    let stage = |id: &str, worth, extra, tests: Vec<TestScore>| StageScore {
        id: id.into(),
        title: format!("Stage <{id}>"),
        worth,
        extra,
        weight: tests.iter().map(|t| t.weight).sum(),
        points: 0.0,
        tests,
    };
    let mut on_own = test("d", 4, Status::Pass);
    on_own.own = Some(verdict(Status::Fail));
    let mut score = Score {
        format: FORMAT,
        id: id.into(),
        fate: Fate::Graded,
        points: 0.0,
        extra: 0.0,
        worth: 0,
        flags: Vec::new(),
        notes: Vec::new(),
        sources: "abc".into(),
        conditions: Conditions {
            course: "0.1.0".into(),
            rules: "r".into(),
            rustc: "rustc 1.90.0".into(),
            sandbox: "bwrap".into(),
            stages: vec!["1".into(), "2".into(), "X".into()],
            hidden_seeds: vec![],
        },
        builds: Vec::new(),
        stages: vec![
            stage(
                "1",
                8,
                false,
                vec![
                    test("a", 1, Status::Pass),
                    test("b", 2, Status::Fail),
                    test("c", 1, Status::Undecided),
                ],
            ),
            stage("2", 12, false, vec![on_own, test("e", 4, Status::NotWritten)]),
            stage("X", 4, true, vec![test("x", 1, Status::Pass)]),
        ],
    };
    sum::settle(&mut score);
    score
}

#[test]
fn a_stage_is_nine_tenths_on_our_base_and_one_tenth_on_their_own() {
    let score = student("alice");
    // 8 x (0.9 x 1/4 + 0.1 x 1/4), 12 x (0.9 x 4/8 + 0.1 x 0/8), and the extra credit beside it.
    let points: Vec<f64> = score.stages.iter().map(|stage| stage.points).collect();
    assert_eq!(points, [2.0, 5.4, 4.0]);
    assert_eq!((score.points, score.extra, score.worth), (7.4, 4.0, 20));
    let why = sum::why(&score);
    for line in [
        "stage 1: 8 x (0.9 x 0.2500 + 0.1 x 0.2500) = 2.00",
        "stage 2: 12 x (0.9 x 0.5000 + 0.1 x 0.0000) = 5.40",
        "   4.0 of   4  d, not on their own",
        "total: 7.40 of 20, and 4.00 of extra credit",
    ] {
        assert!(why.contains(line), "{why}");
    }
}

#[test]
fn hidden_seeds_take_a_tenth_of_a_test_and_never_give_one() {
    let mut green = test("a", 1, Status::Pass);
    assert_eq!(sum::credit(&green), 1.0);
    green.hidden = Some(verdict(Status::Pass));
    assert_eq!(sum::credit(&green), 1.0);
    green.hidden = Some(verdict(Status::Fail));
    assert_eq!(sum::credit(&green), 0.9);
    let mut red = test("a", 1, Status::Fail);
    red.hidden = Some(verdict(Status::Pass));
    assert_eq!(sum::credit(&red), 0.0);
}

#[test]
fn seeds_out_of_a_secret_are_the_same_for_everybody_and_public_for_nobody() {
    let drawn = seeds::draw(b"a secret", 4);
    assert_eq!(drawn, seeds::draw(b"a secret", 4));
    assert_eq!(drawn[..2], seeds::draw(b"a secret", 2));
    assert_ne!(drawn, seeds::draw(b"another", 4));
    assert!(drawn.iter().all(|seed| *seed >= 1_000_000));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), " \n1234567\n").unwrap();
    assert!(seeds::secret(file.path()).unwrap_err().to_string().contains("can be guessed"));
    std::fs::write(file.path(), "12345678\n").unwrap();
    assert_eq!(seeds::secret(file.path()).unwrap(), b"12345678");
}

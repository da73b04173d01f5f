//! How points come about, in one place: `docs/src/scoring.md` says the same in words.
//!
//! ```text
//! a test's credit    1 if it passes on the public seeds; with hidden seeds 9/10, and 1/10 more if it passes on those
//! on our base        weight x credit, summed, / weight of all tests     (earlier projects are the reference's)
//! on their own       weight of green tests      / weight of all tests   (earlier projects are the student's)
//! a stage            worth x (9/10 x on our base + 1/10 x on their own)
//! the course         the sum of its stages; extra credit stands beside it
//! ```
//!
//! So nine tenths of the course judge each project by itself, a mistake costs its own stage and little else, and the
//! last tenth is for the stack as a whole. Each stage is rounded to a hundredth, and sums are sums of rounded numbers:
//! whoever adds the table up by hand gets the same.

use grader::verdict::Status;

use crate::record::{Score, StageScore, TestScore};

/// The part of a stage that the whole stack on one's own code is worth.
pub const OWN: f64 = 0.1;
/// The part of a test that hidden seeds are worth, where there are any.
pub const HIDDEN: f64 = 0.1;

/// What a test earns on our base, from 0 to 1.
pub fn credit(test: &TestScore) -> f64 {
    match (&test.ours, &test.hidden) {
        (ours, _) if !ours.passed() => 0.0,
        (_, Some(hidden)) if !hidden.passed() => 1.0 - HIDDEN,
        _ => 1.0,
    }
}

/// The share of a stage that is green on our base, from 0 to 1.
pub fn on_ours(stage: &StageScore) -> f64 {
    share(stage, credit)
}

/// The share of a stage that is green on the student's own earlier projects, from 0 to 1.
pub fn on_own(stage: &StageScore) -> f64 {
    share(stage, |test| f64::from(u8::from(test.own.as_ref().unwrap_or(&test.ours).passed())))
}

fn share(stage: &StageScore, of: impl Fn(&TestScore) -> f64) -> f64 {
    let sum: f64 = stage.tests.iter().map(|test| f64::from(test.weight) * of(test)).sum();
    if stage.weight == 0 { 0.0 } else { sum / f64::from(stage.weight) }
}

/// A stage's points.
pub fn points(stage: &StageScore) -> f64 {
    round(f64::from(stage.worth) * ((1.0 - OWN) * on_ours(stage) + OWN * on_own(stage)))
}

/// Fills in the points of all stages and their sums.
pub fn settle(score: &mut Score) {
    for stage in &mut score.stages {
        stage.points = points(stage);
    }
    let sum =
        |extra| round(score.stages.iter().filter(|s| s.extra == extra).map(|s| s.points).sum());
    (score.points, score.extra) = (sum(false), sum(true));
    score.worth = score.stages.iter().filter(|s| !s.extra).map(|s| s.worth).sum();
}

fn round(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}

/// How many tests of a stage ended so on our base.
pub fn count(stage: &StageScore, status: Status) -> usize {
    stage.tests.iter().filter(|test| test.ours.verdict == status).count()
}

/// The sum behind the points, to be checked by hand.
pub fn why(score: &Score) -> String {
    let mut text =
        String::from("a stage = worth x (0.9 x share on our base + 0.1 x share on their own)\n");
    for stage in &score.stages {
        let extra = if stage.extra { " (extra credit)" } else { "" };
        text += &format!(
            "stage {}{extra}: {} x (0.9 x {:.4} + 0.1 x {:.4}) = {:.2}\n",
            stage.id,
            stage.worth,
            on_ours(stage),
            on_own(stage),
            stage.points
        );
        for test in &stage.tests {
            let own = match &test.own {
                Some(own) if own.passed() != test.ours.passed() => match own.passed() {
                    true => ", passes on their own",
                    false => ", not on their own",
                },
                _ => "",
            };
            let hidden = match &test.hidden {
                Some(hidden) if !hidden.passed() => ", not on the hidden seeds",
                _ => "",
            };
            let earned = credit(test) * f64::from(test.weight);
            text += &format!("  {earned:>4.1} of {:>3}  {}{hidden}{own}\n", test.weight, test.name);
        }
    }
    text += &format!("total: {:.2} of {}", score.points, score.worth);
    if score.extra > 0.0 {
        text += &format!(", and {:.2} of extra credit", score.extra);
    }
    text + "\n"
}

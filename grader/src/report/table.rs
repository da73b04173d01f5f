//! The table: a row for each stage, a line for the sum.

use super::explain::wrap;
use super::paint::Paint;
use super::{Report, StageReport, Standing};
use crate::verdict::Status;

/// The table as text.
pub fn render(report: &Report, paint: Paint) -> String {
    let rows: Vec<[String; 5]> = report.stages.iter().map(|stage| row(report, stage)).collect();
    let head = ["stage", "title", "passed", "points", "time"].map(str::to_owned);
    let sum = total(report);
    let all = || rows.iter().chain([&head, &sum]);
    let widths: [usize; 5] = std::array::from_fn(|column| {
        all().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });

    let mut text = String::new();
    text += &paint.dim(line(&head, &widths, ""));
    text.push('\n');
    for (stage, row) in report.stages.iter().zip(&rows) {
        text += &line(row, &widths, &word(stage.standing(), paint));
        text.push('\n');
    }
    text += &paint.strong(line(&sum, &widths, ""));
    text.push('\n');
    text
}

fn row(report: &Report, stage: &StageReport) -> [String; 5] {
    let ran = stage.standing() != Standing::NotRun;
    [
        stage.id.clone(),
        stage.title.clone(),
        format!(
            "{}/{}",
            if ran { stage.count(Status::Pass).to_string() } else { "-".into() },
            stage.tests.len()
        ),
        if report.partial || stage.is_unscored() { "-".into() } else { points(stage) },
        if ran { seconds(stage.seconds) } else { "-".into() },
    ]
}

// Extra credit comes on top, and looks so.
fn points(stage: &StageReport) -> String {
    let sign = if stage.extra { "+" } else { "" };
    format!("{sign}{:.1}/{}", stage.points(), stage.worth)
}

fn total(report: &Report) -> [String; 5] {
    let sum = |f: &dyn Fn(&StageReport) -> f64| report.stages.iter().map(f).sum::<f64>();
    let passed: usize = report.stages.iter().map(|s| s.count(Status::Pass)).sum();
    let tests: usize = report.stages.iter().map(|s| s.tests.len()).sum();
    let worth: u32 = report.stages.iter().filter(|s| !s.extra).map(|s| s.worth).sum();
    let extra = match report.extra_points() {
        0.0 => String::new(),
        points => format!(" +{points:.1}"),
    };
    [
        "total".into(),
        String::new(),
        format!("{passed}/{tests}"),
        match report.partial || report.stages.iter().all(StageReport::is_unscored) {
            true => "-".into(),
            false => format!("{:.1}/{worth}{extra}", report.points()),
        },
        seconds(sum(&|s| s.seconds)),
    ]
}

/// Words left, numbers right.
fn line(cells: &[String; 5], widths: &[usize; 5], word: &str) -> String {
    let [id, title, passed, points, time] = cells;
    let [a, b, c, d, e] = widths;
    let line = format!("{id:<a$}  {title:<b$}  {passed:>c$}  {points:>d$}  {time:>e$}  {word}");
    line.trim_end().to_owned()
}

fn word(standing: Standing, paint: Paint) -> String {
    match standing {
        Standing::Passed => paint.good("ok"),
        Standing::Failed => paint.bad("failed"),
        Standing::BuildError => paint.bad("does not compile"),
        Standing::Undecided => paint.open("undecided"),
        Standing::Unfinished => paint.open("unfinished"),
        Standing::NotStarted => paint.open("not started"),
        Standing::NotRun => paint.dim("not run"),
    }
}

/// `0.8 s`, `12 s`, `3 min 20 s`.
pub fn seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a run takes less than 2^64 s
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// The sum behind the points, so that a reader can check it by hand.
pub fn why_points(report: &Report) -> String {
    if report.partial {
        return "Only some tests were run, so there are no points.\n".into();
    }
    let mut text =
        String::from("points = worth x weight of the green tests / weight of all tests\n");
    for stage in report.stages.iter().filter(|stage| !stage.is_unscored()) {
        text += &format!(
            "stage {}{}: {} x {} / {} = {:.1}\n",
            stage.id,
            if stage.extra { " (extra credit)" } else { "" },
            stage.worth,
            stage.earned_weight(),
            stage.weight,
            stage.points()
        );
        for test in &stage.tests {
            let earned = if test.outcome.status == Status::Pass { test.weight } else { 0 };
            text += &format!("  {earned:>3} of {:>3}  {}\n", test.weight, test.name);
        }
    }
    text
}

/// What each test of a simulated world exercised.
pub fn coverage(report: &Report) -> String {
    let mut text = String::new();
    for test in report.stages.iter().flat_map(|stage| &stage.tests) {
        let outcome = &test.outcome;
        if outcome.world.coverage.is_empty() {
            continue;
        }
        let counted = outcome.world.coverage.iter().filter(|(_, count)| **count > 0);
        let counted: Vec<String> = counted.map(|(what, n)| format!("{what} {n}")).collect();
        text += &format!(
            "{}: {} ms of virtual time, {} inputs\n",
            test.name, outcome.virtual_ms, outcome.inputs
        );
        for line in wrap(&counted.join(", "), 90) {
            text += &format!("  {line}\n");
        }
    }
    if text.is_empty() {
        text += "No test ran in a simulated world that counts.\n";
    }
    text
}

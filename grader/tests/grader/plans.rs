//! The plans of the book add up: each has every stage, and the hours are those of the holes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use grader::course::Course;

/// How far a plan may be from the sum: it is written in half hours, and a guess is a guess.
const SLACK: f64 = 0.5;

/// One row: its stages, its hours.
fn row(line: &str) -> Option<(Vec<&str>, f64)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [_, week, stages, hours, ..] = cells[..] else { return None };
    week.parse::<u32>().ok()?;
    Some((stages.split(',').map(str::trim).collect(), hours.parse().ok()?))
}

/// What is wrong with a page of plans.
fn complaints(page: &str, course: &Course) -> Vec<String> {
    let mut complaints = Vec::new();
    for plan in page.split("\n## ").skip(1) {
        let title = plan.lines().next().unwrap_or_default();
        let rows: Vec<_> = plan.lines().filter_map(row).collect();
        let mut weeks: BTreeMap<&str, u32> = BTreeMap::new();
        for (stages, _) in &rows {
            stages.iter().for_each(|stage| *weeks.entry(stage).or_default() += 1);
        }
        for stage in course.stages.iter().filter(|s| !s.extra) {
            if !weeks.contains_key(stage.id.as_str()) {
                complaints.push(format!("{title}: stage {} is in no week", stage.id));
            }
        }
        for (week, (stages, hours)) in (1..).zip(&rows) {
            let mut sum = 0.0;
            for id in stages {
                let Some(stage) = course.stages.iter().find(|s| s.id == *id) else {
                    complaints.push(format!("{title}, week {week}: there is no stage {id}"));
                    continue;
                };
                let minutes: u32 = stage.holes.iter().map(|h| h.minutes).sum();
                sum += f64::from(minutes) / 60.0 / f64::from(weeks[id]);
            }
            if (sum - hours).abs() > SLACK {
                complaints.push(format!(
                    "{title}, week {week}: it says {hours} hours, and the holes make {sum:.1}"
                ));
            }
        }
    }
    complaints
}

#[test]
fn the_plans_have_every_stage_and_add_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (page, text) = (read("docs/src/plans.md"), read("grader/course.toml"));
    let course = Course::parse(&text).unwrap();
    let wrong = complaints(&page, &course);
    assert!(wrong.is_empty(), "docs/src/plans.md:\n{}", wrong.join("\n"));
    // The check is worth what it catches: a stage less, an hour more, a stage that is none.
    for (from, to, says) in [
        ("| 2AA | 3 |", "| 1 | 3 |", "stage 2AA is in no week"),
        ("| 3B | 6 |", "| 3B | 7 |", "it says 7 hours"),
        ("| 3C | 6 |", "| 3D | 6 |", "there is no stage 3D"),
    ] {
        assert!(page.contains(from), "no {from}");
        let wrong = complaints(&page.replacen(from, to, 1), &course);
        assert!(wrong.iter().any(|w| w.contains(says)), "{from} -> {to}: {wrong:?}");
    }
}

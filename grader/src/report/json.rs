//! The report for machines.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Report, StageReport, Standing};

#[derive(Serialize)]
struct Whole<'a> {
    /// The version of this format.
    format: u32,
    passed: bool,
    points: f64,
    extra_points: f64,
    standings: Vec<Standing>,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report as JSON.
pub fn render(report: &Report) -> String {
    let whole = Whole {
        format: 1,
        passed: report.passed(),
        points: report.points(),
        extra_points: report.extra_points(),
        standings: report.stages.iter().map(StageReport::standing).collect(),
        report,
    };
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}

/// Writes it to a file.
///
/// # Errors
/// The file cannot be written.
pub fn write(report: &Report, path: &Path) -> Result<()> {
    std::fs::write(path, render(report))
        .with_context(|| format!("the report cannot be written to {}", path.display()))
}

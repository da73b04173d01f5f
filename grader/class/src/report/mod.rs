//! From records to what people and other programs read. `docs/src/instructors.md` documents each format.
//!
//! Everything here is made from records alone, in the order of names, so the same records give the same bytes. Only
//! `times.csv` holds what a run took.
//!
//! A student's name is a stranger's text, and so is everything that a student's code printed: each format is written by
//! something that knows how to quote ([`page::text`], `csv`, `quick-xml`, `serde_json`).

pub mod gradescope;
pub mod junit;
pub mod overview;
pub mod page;
pub mod table;

use std::path::Path;

use anyhow::Result;

use crate::record::{self, Score};
use crate::run::{load_times, score_file};

/// Writes all reports about these records into a report folder.
///
/// # Errors
/// A file cannot be written.
pub fn write(out: &Path, scores: &[Score]) -> Result<()> {
    for score in scores {
        let at = score_file(out, &score.id);
        record::write(&at.with_file_name("index.html"), page::submission(score))?;
        record::write(
            &at.with_file_name("results.json"),
            record::json(&gradescope::results(score)),
        )?;
    }
    record::write(&out.join("class.csv"), table::class(scores)?)?;
    record::write(&out.join("rules.csv"), table::rules(scores)?)?;
    record::write(&out.join("class.json"), record::json(&overview::Overview::of(scores)))?;
    record::write(&out.join("junit.xml"), junit::render(scores)?)?;
    record::write(&out.join("index.html"), page::class(scores))?;
    record::write(&out.join("times.csv"), table::times(&load_times(out, scores))?)
}

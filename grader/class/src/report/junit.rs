//! `junit.xml`: a suite for each submission and stage, a case for each test, as continuous integration reads it.

use anyhow::{Context, Result};
use grader::verdict::Status;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::record::{Fate, Score, StageScore, TestScore};
use crate::sum;

/// The document.
///
/// # Errors
/// None that a memory buffer has.
pub fn render(scores: &[Score]) -> Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .with_attribute(("name", "class"))
        .write_inner_content(|xml| {
            for score in scores {
                for stage in &score.stages {
                    suite(xml, score, stage)?;
                }
            }
            Ok(())
        })
        .context("junit.xml")?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

type Xml = Writer<Vec<u8>>;

fn suite(xml: &mut Xml, score: &Score, stage: &StageScore) -> std::io::Result<()> {
    let name = clean(&format!("{}/{}", score.id, stage.id));
    let count = |status| sum::count(stage, status).to_string();
    let skipped = sum::count(stage, Status::NotWritten) + sum::count(stage, Status::NotRun);
    xml.create_element("testsuite")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("tests", stage.tests.len().to_string().as_str()))
        .with_attribute(("failures", count(Status::Fail).as_str()))
        .with_attribute(("errors", count(Status::Undecided).as_str()))
        .with_attribute(("skipped", skipped.to_string().as_str()))
        .write_inner_content(|xml| {
            stage.tests.iter().try_for_each(|test| case(xml, &name, score, test))
        })?;
    Ok(())
}

fn case(xml: &mut Xml, suite: &str, score: &Score, test: &TestScore) -> std::io::Result<()> {
    let element = xml
        .create_element("testcase")
        .with_attribute(("name", test.name.as_str()))
        .with_attribute(("classname", suite));
    let kind = match test.ours.verdict {
        Status::Pass => {
            element.write_empty()?;
            return Ok(());
        }
        Status::Fail => "failure",
        Status::Undecided => "error",
        Status::NotWritten | Status::NotRun => "skipped",
    };
    let message = clean(match (&score.fate, &test.ours.hole) {
        (Fate::Refused { why } | Fate::Void { why }, _) => why,
        (Fate::Graded, Some(_)) => "not written yet",
        (Fate::Graded, None) => &test.ours.broke,
    });
    element.write_inner_content(|xml| {
        let inner = xml.create_element(kind).with_attribute(("message", message.as_str()));
        if test.ours.facts.is_empty() {
            inner.write_empty()?;
        } else {
            inner.write_text_content(BytesText::new(&clean(&test.ours.facts.join("\n"))))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// XML has no way to write most control characters.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

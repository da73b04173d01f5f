//! *What is sent next?* A passing test is run with a trace, and the trace is stopped where a message arrives at a node
//! that answers it at once.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Exam, Question};
use crate::cargo_build;
use crate::course::Test;
use crate::grade::{Programs, runner, wanted};
use crate::verdict::Status;

/// So many lines before the stop are shown.
const BEFORE: usize = 14;

/// So many tests are tried for a trace.
const TRIES: u64 = 4;

pub(super) fn ask(exam: &Exam<'_>) -> Result<Question> {
    let mut stages: Vec<_> = exam.own.iter().map(|own| own.stage).collect();
    stages.dedup_by_key(|stage| &stage.id);
    let at = exam.draw(1, stages.len());
    stages.rotate_left(at);
    for stage in stages {
        let built = cargo_build::build(exam.copy, &wanted(&[stage], false), false, exam.progress)?;
        let folder = exam.copy.root.join(&exam.copy.student_folders(exam.course)?[&stage.package]);
        let Ok(programs) = Programs::of(stage, &folder, &built, false) else { continue };
        for attempt in 0..TRIES {
            let test = &stage.tests[exam.draw(1 + (attempt << 8), stage.tests.len())];
            if let Some(question) = stop_somewhere(exam, &programs, test)? {
                return Ok(question);
            }
        }
    }
    bail!("no test of these stages passes and writes a trace with messages");
}

fn stop_somewhere(exam: &Exam<'_>, programs: &Programs, test: &Test) -> Result<Option<Question>> {
    let file = exam.workspace.scratch().join("viva-trace.jsonl");
    let seed = 1 + exam.seed % test.seeds.max(1);
    let mut job = programs.job(&test.name, vec![seed]);
    job.trace = Some(file.clone());
    exam.progress.begin(&test.name);
    let outcome = runner(exam.course, exam.options)?.one(&job);
    exam.progress.end(&test.name);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    if outcome.status != Status::Pass {
        return Ok(None);
    }
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let stops: Vec<(usize, Vec<String>)> =
        (0..lines.len()).filter_map(|at| Some((at, answered(&lines, at)?))).collect();
    if stops.is_empty() {
        return Ok(None);
    }
    let (at, sent) = &stops[exam.draw(7, stops.len())];
    let node = lines[*at]["n"].as_u64().context("a message arrives at a node")?;
    let shown: Vec<String> = lines[..=*at].iter().filter_map(|line| tell(line, &lines)).collect();
    let from = shown.len().saturating_sub(BEFORE);
    let mut answer =
        vec!["It was run; this is what it sends before anything else reaches it:".to_owned()];
    answer.extend(sent.iter().cloned());
    answer.push(format!(
        "cargo grade replay {} --seed {seed} --trace FILE shows all of it.",
        test.name
    ));
    Ok(Some(Question {
        ask: format!(
            "This is the end of a run of your code ({}, seed {seed}). What does node {node} send next, to whom, and why?",
            test.name
        ),
        show: shown[from..].to_vec(),
        answer,
    }))
}

/// What the node sends after the message that arrives in line `at`, before its next input.
fn answered(lines: &[Value], at: usize) -> Option<Vec<String>> {
    let line = &lines[at];
    if line["k"] != "deliver" {
        return None;
    }
    let node = &line["n"];
    let own = lines[at + 1..].iter().filter(|l| l["n"] == *node);
    let until_input = own.take_while(|l| {
        !matches!(l["k"].as_str(), Some("deliver" | "crash" | "open" | "stop" | "call"))
    });
    let sent: Vec<String> =
        until_input.filter(|l| l["k"] == "send").filter_map(|l| tell(l, lines)).collect();
    (!sent.is_empty() && sent.len() <= 6).then_some(sent)
}

/// A line of a trace for a person; none for what only draws lanes.
fn tell(line: &Value, lines: &[Value]) -> Option<String> {
    let at = line["t"].as_u64()? / 1000;
    let what = match line["k"].as_str()? {
        "send" => message(line),
        "deliver" => {
            let sent = lines.iter().find(|l| l["k"] == "send" && l["id"] == line["id"])?;
            format!("arrives: {}", message(sent))
        }
        "drop" => {
            let sent = lines.iter().find(|l| l["k"] == "send" && l["id"] == line["id"])?;
            format!("lost:    {}", message(sent))
        }
        "crash" => format!("n{} crashes ({})", line["n"], line["how"].as_str()?),
        "open" => format!("n{} starts", line["n"]),
        _ => return None,
    };
    Some(format!("{at:>7} ms  {what}"))
}

fn message(line: &Value) -> String {
    match line["text"].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => format!("n{} -> n{} {}", line["n"], line["to"], line["kind"].as_str().unwrap_or("?")),
    }
}

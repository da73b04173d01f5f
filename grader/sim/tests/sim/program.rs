//! What the test program prints for a simulated test, as `cargo grade` will read it.

use std::process::Command;

use serde_json::Value;
use sim::cluster::faults::Chaos;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::scenario::Scenario;
use sim::trace::{Event, parse};

use crate::toy::{Bug, dialect, setup};

/// Two tests that fail.
pub fn suite() -> Vec<Test<Cluster>> {
    sim::tests!("program.rs": store_two_skips_commands, messages_leave_in_any_order)
}

/// Replicas hold equal data.
fn store_two_skips_commands(run: &mut Run<'_, Cluster>) -> Outcome {
    let rough = Chaos { every: SECOND / 2, ..Chaos::NETWORK };
    Scenario::new(setup(3, Bug::SkipsCommands), dialect).chaos(rough).length(5 * SECOND).run(run)
}

/// The same seed is the same run. (Fails in any case, so that it is run twice.)
fn messages_leave_in_any_order(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(setup(5, Bug::HashOrder), dialect).length(5 * SECOND).run(run)?;
    Err(Failure::broke("it fails", "one", "another"))
}

fn verdict(test: &str, more: &[&str]) -> Value {
    let program = std::env::current_exe().unwrap();
    let name = format!("program::{test}");
    let out =
        Command::new(program).args(["grade", &name, "--seeds", "3"]).args(more).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8(out.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

pub fn a_failing_seed_is_shown_with_its_plan_and_its_trace() {
    let file = std::env::temp_dir().join(format!("sim-trace-{}.jsonl", std::process::id()));
    let line = verdict("store_two_skips_commands", &["--trace", file.to_str().unwrap()]);
    let trace = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(line["verdict"], "fail", "{line}");
    assert_eq!(line["deterministic"], true, "{line}");
    assert_eq!(line["trace"], file.to_str().unwrap());
    assert!(
        line["virtual_ms"].as_u64().unwrap() > 0 && line["inputs"].as_u64().unwrap() > 0,
        "{line}"
    );
    assert!(line["coverage"]["elections"].as_u64().unwrap() > 0, "{line}");
    // No fault is needed, and a command or two.
    assert!(line["schedule"].as_str().unwrap().contains("; 0 faults"), "{line}");
    let last = parse(&trace).pop().unwrap();
    assert!(matches!(last.event, Event::Violation { .. }), "{last:?}");
}

pub fn a_second_run_that_differs_is_a_warning() {
    let line = verdict("messages_leave_in_any_order", &[]);
    assert_eq!(line["deterministic"], false, "{line}");
    assert!(line["differs"].as_str().unwrap().contains("and again: "), "{line}");
    assert_eq!(line["broke"], "it fails", "{line}");
}

pub fn brief_is_brief() {
    let line = verdict("store_two_skips_commands", &["--brief"]);
    assert_eq!((&line["schedule"], &line["trace"]), (&Value::Null, &Value::Null), "{line}");
    assert_eq!(line["verdict"], "fail");
}

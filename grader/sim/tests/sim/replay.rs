//! The same seed, the same run: twice, over a pipe, and shorter.

use sim::cluster::faults::Chaos;
use sim::cluster::setup::SECOND;
use sim::harness::Run;
use sim::link::{InProcess, Launch, Process};
use sim::scenario::Scenario;
use sim::trace::{Event, parse, render};

use crate::toy::{Bug, Toy, dialect, setup};

type Cluster = sim::cluster::protocol::Cluster;

fn scenario(bug: Bug) -> Scenario {
    Scenario::new(setup(5, bug), dialect).clients(4, 30).chaos(Chaos::ALL).length(10 * SECOND)
}

fn hash(launch: &dyn Launch<Cluster>, seed: u64) -> (u64, u64) {
    let mut run = Run::new(seed, "hash", launch);
    scenario(Bug::None).run(&mut run).unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    (run.findings().hash.unwrap(), run.findings().inputs)
}

pub fn the_same_seed_is_the_same_run() {
    let launch = InProcess(Toy::default);
    let first: Vec<_> = (0..5).map(|seed| hash(&launch, seed)).collect();
    let again: Vec<_> = (0..5).map(|seed| hash(&launch, seed)).collect();
    assert_eq!(first, again);
    assert_ne!(first[0].0, first[1].0);
    let mut run = Run::new(1, "twice", &launch);
    scenario(Bug::None)
        .expect_deterministic(&mut run)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

pub fn a_pipe_changes_nothing() {
    let process =
        Process { program: std::env::current_exe().unwrap(), suite: String::new(), mute: false };
    assert_eq!(hash(&InProcess(Toy::default), 3), hash(&process, 3));
}

pub fn a_nondeterministic_store_is_told() {
    let launch = InProcess(Toy::default);
    let mut run = Run::new(1, "twice", &launch);
    let failure = scenario(Bug::HashOrder).expect_deterministic(&mut run).unwrap_err();
    assert!(failure.what().contains("your code is not deterministic"), "{failure}");
    println!("{failure}");
}

pub fn a_failing_plan_is_made_shorter() {
    let launch = InProcess(Toy::default);
    let shorter = (0..60).find_map(|seed| {
        let mut run = Run::new(seed, "shrink", &launch).thorough();
        let scenario = scenario(Bug::Figure8).chaos(Chaos { every: SECOND / 3, ..Chaos::ALL });
        let failure = scenario.run(&mut run).err()?;
        let faults = scenario.plan(seed).faults.len();
        Some((failure, faults, run.findings().clone()))
    });
    let (failure, faults, findings) = shorter.expect("figure 8 is found in some seed");
    let plan = findings.shrunk.expect("it was made shorter");
    println!("{failure}\n{faults} faults became:\n{plan}");
    let left = plan.lines().filter(|line| line.starts_with("  t=")).count();
    assert!(left < faults / 2, "{left} of {faults} faults are left");
    assert!(matches!(findings.trace.lines().last().unwrap().event, Event::Violation { .. }));
}

pub fn the_trace_reads_back() {
    let launch = InProcess(Toy::default);
    let mut run = Run::new(1, "trace", &launch).thorough();
    scenario(Bug::None).run(&mut run).unwrap();
    let trace = &run.findings().trace;
    let json = trace.json();
    assert_eq!(parse(&json), trace.lines());
    assert_eq!(trace.text().lines().count(), trace.lines().len());
    assert!(trace.lines().is_sorted_by_key(|line| line.t));
    let text = render(trace.lines());
    for needle in [
        "Append base=",
        "CRASH",
        "sync log",
        "dropped (",
        " leader vote=",
        "put k",
        "FAULT",
        "HEAL",
    ] {
        assert!(text.iter().any(|line| line.contains(needle)), "no {needle:?} in the trace");
    }
    println!("{} lines, {} bytes\n{}", trace.lines().len(), json.len(), text[..60].join("\n"));
}

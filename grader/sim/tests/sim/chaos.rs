//! A correct toy under everything that the world can do to it.

use std::time::Instant;

use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::setup::{SECOND, Setup};
use sim::coverage::{self, Coverage};
use sim::harness::Run;
use sim::link::InProcess;
use sim::scenario::Scenario;

use crate::toy::{Bug, Toy, dialect, inline_setup, setup};

fn passes(scenario: &Scenario, seed: u64) -> Coverage {
    let launch = InProcess(Toy::default);
    let mut run = Run::new(seed, "chaos", &launch);
    if let Err(failure) = scenario.run(&mut run) {
        panic!("seed {seed}: {failure}");
    }
    run.findings().coverage.clone()
}

// As many as `SIM_SEEDS` says, for a long night; else few.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let many = std::env::var("SIM_SEEDS").ok().and_then(|many| many.parse().ok());
    0..many.unwrap_or(few)
}

pub fn a_calm_cluster_passes() {
    for seed in 0..5 {
        let scenario = Scenario::new(setup(3, Bug::None), dialect).clients(4, 40);
        let coverage = passes(&scenario, seed);
        assert!(coverage.count(coverage::ACKED) >= 160, "{coverage}");
        assert_eq!(coverage.count(coverage::CRASHES), 0);
    }
}

fn rough(setup: Setup) -> Scenario {
    let mut setup = setup;
    setup.clients.loss = 3;
    let mix = Mix { scans: 1, appends: 2, ..Mix::KV };
    Scenario::new(setup, dialect).clients(5, 40).mix(mix).chaos(Chaos::ALL).length(20 * SECOND)
}

pub fn chaos_passes_and_bites() {
    let mut coverage = Coverage::default();
    for seed in seeds(20) {
        coverage.merge(&passes(&rough(setup(5, Bug::None)), seed));
    }
    let floors = [
        (coverage::ELECTIONS, 60),
        (coverage::LEADER_CHANGES, 30),
        (coverage::TRUNCATIONS, 10),
        (coverage::CRASHES, 60),
        (coverage::CRASHES_BUSY, 20),
        (coverage::CRASHES_UNSYNCED, 5),
        (coverage::CRASHES_BEFORE_SEND, 5),
        (coverage::RESTARTS, 60),
        (coverage::DISK_ERRORS, 3),
        (coverage::STOPS, 3),
        (coverage::PARTITIONS, 200),
        (coverage::PAUSES, 3),
        (coverage::DROPPED, 1000),
        (coverage::DUPLICATED, 100),
        (coverage::REORDERED, 50),
        (coverage::INDEFINITE, 50),
        (coverage::REFUSED, 100),
        (coverage::DIGESTS, 200),
    ];
    assert_eq!(coverage.below(&floors), Vec::<String>::new(), "{coverage}");
}

pub fn crash_sweep_passes() {
    let launch = InProcess(Toy::default);
    for setup in [setup(3, Bug::None), inline_setup(3, Bug::None)] {
        let mut run = Run::new(1, "sweep", &launch);
        let scenario = Scenario::new(setup, dialect).clients(2, 6).length(4 * SECOND);
        scenario.sweep(&mut run, 60).unwrap_or_else(|failure| panic!("{failure}"));
        let coverage = &run.findings().coverage;
        assert!(coverage.count(coverage::CRASHES) >= 50, "{coverage}");
    }
}

pub fn stores_without_a_log_writer_pass() {
    for seed in seeds(10) {
        passes(&rough(inline_setup(3, Bug::None)), seed);
    }
}

// DESIGN 5: a virtual minute of five nodes costs less than a real second. Here without optimisation, and far less.
pub fn a_virtual_minute_is_cheap() {
    let launch = InProcess(Toy::default);
    let mut run = Run::new(7, "minute", &launch);
    let started = Instant::now();
    let scenario = Scenario::new(setup(5, Bug::None), dialect)
        .clients(5, 100)
        .chaos(Chaos::ALL)
        .length(60 * SECOND);
    scenario.run(&mut run).unwrap_or_else(|failure| panic!("{failure}"));
    let (real, found) = (started.elapsed(), run.findings());
    println!(
        "{} virtual ms in {real:?}: {} inputs, {} messages, {} syncs",
        found.virtual_us / 1000,
        found.inputs,
        found.coverage.count(coverage::DELIVERED),
        found.coverage.count(coverage::SYNCS),
    );
    assert!(found.virtual_us >= 60 * SECOND);
    // Generous: other tests run beside it.
    assert!(real.as_secs() < 10, "{real:?}");
}

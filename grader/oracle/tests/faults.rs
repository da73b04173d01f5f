//! The faults bite: what the storms claim to exercise, they do. Not graded, and with a floor for each count:
//! a storm that meets no fault proves nothing.

use std::process::ExitCode;

use raft_suite::protocol::RaftNode;
use raft_suite::world::World;
use raft_suite::world::chaos::{self, Coverage, Plan};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

fn main() -> ExitCode {
    let mut tests: Vec<Test<RaftNode>> =
        sim::tests!("faults.rs": storms_meet_every_fault, snapshots_are_installed);
    tests.extend(raft_suite::determinism_tests());
    sim::harness::run_tests(tests, oracle::Oracle::default)
}

const SEEDS: u64 = 20;

fn sum(run: &mut World, plan: &Plan) -> Outcome<Coverage> {
    let mut all = Coverage::default();
    let first = run.seed * SEEDS;
    for seed in first..first + SEEDS {
        run.seed = seed;
        all.add(&chaos::run(run, plan.clone())?);
    }
    Ok(all)
}

fn at_least(all: &Coverage, floors: &[(&str, u64)]) -> Outcome {
    for (name, floor) in floors {
        let seen = all.counts().into_iter().find(|(known, _)| known == name).map_or(0, |(_, n)| n);
        if seen < *floor {
            return Err(Failure::broke(
                format!("the storms are too tame: {name}"),
                format!("at least {floor} over {SEEDS} seeds are asked for"),
                format!("there were {seen}; {:?}", all.counts()),
            ));
        }
    }
    Ok(())
}

/// Over twenty seeds each kind of event happens often enough.
fn storms_meet_every_fault(run: &mut World) -> Outcome {
    let plan =
        Plan { faults: 8, reads: 4, proposals: 2, crash_at_persist: 3, ..Plan::stormy(3, 600) };
    let all = sum(run, &plan)?;
    at_least(
        &all,
        &[
            ("elections", 60),
            ("truncations", 10),
            ("crashes", 100),
            ("crashes before persist", 10),
            ("crashes between persist and send", 40),
            ("partitions", 60),
            ("lost", 500),
            ("duplicated", 500),
            ("reordered", 300),
            ("proposals", 300),
            ("reads", 300),
            ("reads released", 40),
        ],
    )
}

/// Over twenty seeds followers fall behind the cut, and are brought up by snapshots.
fn snapshots_are_installed(run: &mut World) -> Outcome {
    let plan = Plan { compact: true, keep: 2, proposals: 1, ..Plan::stormy(3, 600) };
    at_least(&sum(run, &plan)?, &[("compactions", 200), ("snapshots", 20), ("crashes", 40)])
}

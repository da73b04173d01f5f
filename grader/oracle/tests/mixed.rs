//! Clusters of both: some nodes are `raftcore`, some raft-rs, and they must agree entry by entry.
//!
//! They share nothing but the bytes of `eraftpb`, so this is what says that our messages mean what raft-rs's
//! mean, in storms too. Which node is whose changes with the seed, so over two seeds each has been the leader's
//! side and the followers'. The monitors that watch every other storm watch here: one leader a term, equal
//! entries under equal index and term, nothing committed lost, nothing applied twice in two ways.

#[path = "../../../project2-raftkv/raft/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use oracle::Oracle;
use raft_suite::protocol::{Effect, Input, Level, RaftNode};
use raft_suite::world::World;
use raft_suite::world::chaos::{self, Plan};
use sim::failure::Outcome;
use sim::harness::Test;
use sim::seam::Subject;
use support::subject::Node;

/// Whoever this node turns out to be.
#[derive(Default)]
enum Either {
    #[default]
    Nobody,
    Ours(Node),
    RaftRs(Box<Oracle>),
}

impl Subject<RaftNode> for Either {
    fn handle(&mut self, mut input: Input) -> Vec<Effect> {
        if let Input::Start(config, _) = &mut input {
            // raft-rs is complete from the start, so ours has to be.
            config.level = Level::Node;
            // The seed of a node is the run's, times a thousand, and its id.
            let ours = (config.id + config.seed / 1000).is_multiple_of(2);
            *self =
                if ours { Either::Ours(Node::default()) } else { Either::RaftRs(Box::default()) };
        }
        match self {
            Either::Ours(node) => node.handle(input),
            Either::RaftRs(node) => node.handle(input),
            Either::Nobody => unreachable!("a world starts a node before it speaks to it"),
        }
    }
}

fn main() -> ExitCode {
    let mut tests: Vec<Test<RaftNode>> =
        sim::tests!("mixed.rs": three_nodes_in_a_storm, five_nodes_in_a_storm);
    // What is asked of a group of one kind, and can be asked of any.
    let groups = ["stage2aa::group::", "stage2ab::group::", "::storm::"];
    let of_groups = |test: &Test<RaftNode>| groups.iter().any(|part| test.name.contains(part));
    tests.extend(raft_suite::tests().into_iter().filter(of_groups));
    sim::harness::run_tests(tests, Either::default)
}

/// Three nodes of both kinds agree in storms of every fault.
fn three_nodes_in_a_storm(run: &mut World) -> Outcome {
    storms(run, 3)
}

/// Five nodes of both kinds agree in storms of every fault.
fn five_nodes_in_a_storm(run: &mut World) -> Outcome {
    storms(run, 5)
}

const STORMS: u64 = 10;

fn storms(run: &mut World, nodes: u64) -> Outcome {
    let plan =
        Plan { faults: 8, reads: 4, proposals: 2, crash_at_persist: 3, ..Plan::stormy(nodes, 600) };
    let first = run.seed * STORMS;
    for seed in first..first + STORMS {
        run.seed = seed;
        chaos::run(run, plan.clone())?;
    }
    Ok(())
}

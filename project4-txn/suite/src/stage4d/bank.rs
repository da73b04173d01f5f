//! Money is moved between accounts in several regions. At each moment all accounts together hold nothing: what one has lost,
//! another has got.

use multiraft_suite::stage3b::config::StoreConfig;
use multiraft_suite::stage3b::pd::{Pd, Unrest};
use sim::cluster::dialect::Dialect;
use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{End, Micro, Op, OpResult, at, number, pair};
use sim::scenario::Scenario;
use sim::world::World;

use super::chaos::dense;
use super::config::Town;
use super::oracle::Oracle;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("bank.rs":
        every_snapshot_has_all_the_money,
        money_survives_crashes_and_splits,
    )
}

fn quiet() -> Box<dyn Dialect> {
    Box::new(Oracle::new(Pd::new()).collecting())
}

fn cutting() -> Box<dyn Dialect> {
    let unrest = Unrest { stores: 3, percent: 30, splits: true, members: false, until: 4 * SECOND };
    Box::new(Oracle::new(Pd::restless(unrest)).collecting())
}

fn scenario(dialect: fn() -> Box<dyn Dialect>) -> Scenario {
    let town = Town { stores: StoreConfig::new(3, 3), ..Town::small() };
    Scenario::new(town.setup(), dialect)
        .clients(3, 10)
        .mix(Mix::BANK)
        .length(5 * SECOND)
        .probe(sums)
}

/// In every audit, and at the end, the accounts' sum is 0; and each account holds what the transfers that were reported as
/// committed leave, give or take those of which nobody knows.
fn sums(world: &mut World<'_, '_>) -> Outcome {
    for operation in world.history().ops() {
        let (Op::Txn(steps), End::Returned(time, OpResult::Txn(values))) =
            (&operation.op, &operation.end)
        else {
            continue;
        };
        if !operation.op.is_read() {
            continue;
        }
        let seen = |value: &Option<Vec<u8>>| value.as_deref().map_or(0, number);
        let sum: i64 = values.iter().map(seen).sum();
        if sum != 0 {
            let all: Vec<String> = steps
                .iter()
                .zip(values)
                .map(|(step, value)| pair(step.key(), value.as_deref()))
                .collect();
            return Err(Failure::broke(
                "money was made or lost",
                "all accounts began with 0, and each transfer takes from one what it gives to another",
                format!(
                    "client {} read a sum of {sum} at {}: {}",
                    operation.client,
                    at(*time),
                    all.join(", ")
                ),
            ));
        }
    }
    nothing_is_lost(world)
}

// The last reader has read everything after all others: what committed transfers left is there.
fn nothing_is_lost(world: &World<'_, '_>) -> Outcome {
    let ops = world.history().ops();
    let Some((Op::Txn(steps), End::Returned(_, OpResult::Txn(values)))) =
        ops.last().map(|last| (&last.op, &last.end))
    else {
        return Ok(());
    };
    for (step, value) in steps.iter().zip(values) {
        let key = step.key();
        let (mut sure, mut least, mut most) = (0, 0, 0);
        for operation in ops {
            let Op::Txn(steps) = &operation.op else { continue };
            let moved: i64 = steps
                .iter()
                .map(|step| match step {
                    Micro::Add(account, amount) if account == key => *amount,
                    _ => 0,
                })
                .sum();
            match &operation.end {
                End::Returned(..) => sure += moved,
                End::Open => {
                    least += moved.min(0);
                    most += moved.max(0);
                }
                End::NeverHappened(..) => {}
            }
        }
        let there = value.as_deref().map_or(0, number);
        if there < sure + least || there > sure + most {
            return Err(Failure::broke(
                "a transfer that was reported is lost, or one that was refused has happened",
                format!(
                    "the committed transfers leave {sure} on account {}; those of which nobody knows, {least} to {most} more",
                    pair(key, None).trim_end_matches(" not found")
                ),
                format!("at the end it holds {there}"),
            ));
        }
    }
    Ok(())
}

/// Clients move money, others look at all accounts at once, in calm weather.
fn every_snapshot_has_all_the_money(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(quiet).length(4 * SECOND).run(run)
}

/// The same while regions are cut, leaders hand over, coordinators and stores crash, and the network is bad. Every transfer that
/// was reported is there at the end, and none that was refused.
fn money_survives_crashes_and_splits(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(cutting).chaos(dense(Chaos::ALL)).run(run)
}

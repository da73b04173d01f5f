//! Everything at once.

use multiraft_suite::stage3b::config::StoreConfig;
use multiraft_suite::stage3b::pd::{Pd, Unrest};
use sim::cluster::dialect::Dialect;
use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::scenario::Scenario;
use sim::world::World;

use super::config::Town;
use super::oracle::Oracle;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("chaos.rs":
        lists_in_calm_weather,
        lists_over_regions_that_split_and_move,
        lists_while_coordinators_and_stores_crash,
        lists_in_one_phase_while_leaders_change,
        a_power_cut_at_any_point_of_a_transaction,
        the_same_seed_gives_the_same_transactions,
    )
}

/// Of four stores: regions are cut, leaders hand over, members come and go.
const RESTLESS: Unrest =
    Unrest { stores: 4, percent: 25, splits: true, members: true, until: 4 * SECOND };

fn quiet() -> Box<dyn Dialect> {
    Box::new(Oracle::new(Pd::new()).collecting())
}

fn restless() -> Box<dyn Dialect> {
    Box::new(Oracle::new(Pd::restless(RESTLESS)).collecting())
}

fn handing_over() -> Box<dyn Dialect> {
    let unrest = Unrest { stores: 3, percent: 40, members: false, ..RESTLESS };
    Box::new(Oracle::new(Pd::restless(unrest)))
}

fn covers(world: &mut World<'_, '_>) -> Outcome {
    world.monitors().covers_all_keys()
}

fn scenario(town: &Town, dialect: fn() -> Box<dyn Dialect>) -> Scenario {
    Scenario::new(town.setup(), dialect)
        .clients(3, 10)
        .mix(Mix::LISTS)
        .length(5 * SECOND)
        .probe(covers)
}

/// Short, and dense.
pub(super) fn dense(chaos: Chaos) -> Chaos {
    Chaos { every: SECOND / 2, lasts: 2 * SECOND, ..chaos }
}

/// Three clients read lists and append to them, each in whole transactions, through two doors. What they were told can be
/// explained by snapshots: nothing torn, nothing lost, nothing seen that never happened.
fn lists_in_calm_weather(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&Town::small(), quiet).length(4 * SECOND).run(run)
}

/// The same while regions are cut and members move: a transaction's keys are in other regions at its end than at its beginning.
fn lists_over_regions_that_split_and_move(run: &mut Run<'_, Cluster>) -> Outcome {
    let town = Town { stores: StoreConfig::new(4, 3), ..Town::small() };
    scenario(&town, restless).chaos(dense(Chaos::NETWORK)).run(run)
}

/// Coordinators and stores crash at any point between two messages. Locks of the dead are cleared by whoever meets them, once
/// their time is over, as their primaries say.
fn lists_while_coordinators_and_stores_crash(run: &mut Run<'_, Cluster>) -> Outcome {
    let town = Town { stores: StoreConfig::new(4, 3), ..Town::small() };
    scenario(&town, restless).chaos(dense(Chaos::ALL)).run(run)
}

/// Commits in one phase, whose timestamps the stores choose, while leaders change: a new leader must not choose one that is in the
/// past of a reader that the old one has served.
fn lists_in_one_phase_while_leaders_change(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut town = Town::small();
    town.door.one_pc = true;
    scenario(&town, handing_over).chaos(dense(Chaos::NETWORK)).run(run)
}

/// One power cut of a door or a store, at one point between two of its effects: before and after each sync, message and answer.
fn a_power_cut_at_any_point_of_a_transaction(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&Town::small(), quiet).clients(2, 4).length(2 * SECOND).sweep(run, 6)
}

/// Coordinators, too, take their time and their luck from what they are given, and from nowhere else.
fn the_same_seed_gives_the_same_transactions(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&Town::small(), handing_over)
        .clients(2, 5)
        .length(3 * SECOND)
        .expect_deterministic(run)
}

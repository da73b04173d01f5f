//! Everything at once: a scheduler that is never content, and a world that is never well.

use std::cell::RefCell;
use std::rc::Rc;

use sim::cluster::dialect::Dialect;
use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::scenario::Scenario;
use sim::world::World;

use super::config::StoreConfig;
use super::dialect::ManyRegions;
use super::pd::{Pd, Unrest};

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("chaos.rs":
        members_change_under_load,
        regions_split_under_load,
        members_change_while_stores_crash,
        regions_split_while_the_network_is_bad,
        everything_at_once,
        everything_at_once_with_snapshots,
        a_power_cut_at_any_point_of_a_move_loses_nothing,
        the_same_seed_gives_the_same_run,
    )
}

fn with(pd: Pd) -> Box<dyn Dialect> {
    Box::new(ManyRegions { pd: Rc::new(RefCell::new(pd)) })
}

const RESTLESS: Unrest =
    Unrest { stores: 4, percent: 25, splits: true, members: true, until: 8 * SECOND };

/// A scheduler without a wish.
pub fn quiet() -> Box<dyn Dialect> {
    with(Pd::new())
}

/// One that cuts regions.
pub fn cutting() -> Box<dyn Dialect> {
    with(Pd::restless(Unrest { members: false, percent: 40, until: 2 * SECOND, ..RESTLESS }))
}

fn splitting() -> Box<dyn Dialect> {
    with(Pd::restless(Unrest { members: false, ..RESTLESS }))
}

fn moving() -> Box<dyn Dialect> {
    with(Pd::restless(Unrest { splits: false, ..RESTLESS }))
}

/// One that cuts regions and moves their members.
pub fn restless() -> Box<dyn Dialect> {
    with(Pd::restless(RESTLESS))
}

fn covers(world: &mut World<'_, '_>) -> Outcome {
    world.monitors().covers_all_keys()
}

fn scenario(config: &StoreConfig, dialect: fn() -> Box<dyn Dialect>) -> Scenario {
    Scenario::new(config.setup(), dialect).clients(3, 25).length(10 * SECOND).probe(covers)
}

/// Members come and go, leaders hand over, and clients read and write: one copy of the data could have said what they were told.
fn members_change_under_load(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(4, 3), moving).run(run)
}

/// Regions are cut while clients read and write.
fn regions_split_under_load(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(3, 3), splitting).run(run)
}

/// Members change while stores crash, at any point between two effects.
fn members_change_while_stores_crash(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(4, 3), moving).chaos(Chaos::CRASHES).run(run)
}

/// Regions are cut while messages are lost, doubled, late, and links are cut.
fn regions_split_while_the_network_is_bad(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(3, 3), splitting).chaos(Chaos::NETWORK).run(run)
}

/// Members change, regions are cut, stores crash, disks fail, the network is bad.
fn everything_at_once(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(4, 3), restless).chaos(Chaos::ALL).length(12 * SECOND).run(run)
}

/// The same with logs that are cut at every opportunity: who was away needs snapshots, in one piece or in many.
fn everything_at_once_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    let install_at_once = if run.seed.is_multiple_of(2) { 1 << 20 } else { 0 };
    let config = StoreConfig { gc_entries: 6, install_at_once, ..StoreConfig::new(4, 3) };
    scenario(&config, restless)
        .mix(Mix { gets: 4, puts: 8, value: 40, ..Mix::KV })
        .chaos(Chaos::ALL)
        .length(12 * SECOND)
        .run(run)
}

/// The power goes between any two things that stores do while peers move: births, snapshots, removals.
fn a_power_cut_at_any_point_of_a_move_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { gc_entries: 6, ..StoreConfig::new(4, 3) };
    Scenario::new(config.setup(), moving).clients(2, 8).length(4 * SECOND).sweep(run, 6)
}

/// A store takes its time and its luck from what it is given, and from nowhere else.
fn the_same_seed_gives_the_same_run(run: &mut Run<'_, Cluster>) -> Outcome {
    scenario(&StoreConfig::new(4, 3), restless)
        .clients(2, 10)
        .length(5 * SECOND)
        .expect_deterministic(run)
}

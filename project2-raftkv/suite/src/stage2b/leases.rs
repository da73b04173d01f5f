//! Reads by lease, on clocks that disagree and stores that fall asleep.
//!
//! A lease is a bet on clocks: it is won as long as none runs more than a quarter faster than another. These worlds keep
//! within that, and do all else that can make a leader believe too long in itself.

use sim::cluster::faults::{Chaos, Fault, Who};
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{SECOND, Setup};
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::World;

use super::expect;
use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("leases.rs":
        leases_stand_on_clocks_that_drift_and_stores_that_sleep,
        a_leader_that_slept_does_not_believe_in_its_lease,
        a_lease_costs_no_message,
    )
}

/// Three stores with leases, whose clocks run up to ten parts in a hundred wrong.
fn leased() -> Setup {
    let config = StoreConfig { disciplined: true, lease_read: true, ..StoreConfig::new(3) };
    Setup { drift_ppm: 100_000, ..config.setup() }
}

/// Clocks run a tenth too fast or too slow, stores sleep and crash, links are cut: whatever a leader answers by its lease
/// is what is true.
fn leases_stand_on_clocks_that_drift_and_stores_that_sleep(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(leased(), dialect)
        .clients(4, 40)
        .mix(Mix { gets: 20, keys: 3, ..Mix::KV })
        .chaos(Chaos::ALL)
        .length(15 * SECOND)
        .run(run)
}

/// A leader sleeps. Meanwhile the others elect another, who writes. When the old one wakes up, the first thing that it
/// hears is a client who reads, and its last tick was long ago: it must look at the clock, and not at its ticks.
///
/// Hint: `set_now` before each request.
fn a_leader_that_slept_does_not_believe_in_its_lease(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, leased(), dialect())?;
    let old = world.await_leader(5 * SECOND)?;
    expect(&mut world, old, Op::Put(b"a".to_vec(), b"1".to_vec()), &OpResult::Written)?;
    world.run_for(SECOND)?;
    let asleep = world.fault(Fault::Pause(Who::Node(old)), None)?;
    // It lies in the sleeper's inbox before anything else.
    world.begin(7, Op::Get(b"a".to_vec()), old);
    world.run_for(2 * SECOND)?;
    let new = world.await_leader(5 * SECOND)?;
    if new == old {
        return Err(Failure::broke(
            "two of three did not replace a leader that slept for two seconds",
            "an election timeout is less than a second",
            format!("n{old} still leads"),
        ));
    }
    expect(&mut world, new, Op::Put(b"a".to_vec(), b"2".to_vec()), &OpResult::Written)?;
    // This one begins after the write was acknowledged: it must not see the value before.
    world.begin(8, Op::Get(b"a".to_vec()), old);
    world.heal(asleep)?;
    world.run_for(SECOND)?;
    world.finish()
}

/// While the lease lasts, a read is answered although nobody else can be heard.
fn a_lease_costs_no_message(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, leased(), dialect())?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Put(b"a".to_vec(), b"1".to_vec()), &OpResult::Written)?;
    world.run_for(SECOND)?;
    let alone = world.fault(Fault::Isolate(Who::Node(leader)), None)?;
    let value = OpResult::Value(Some(b"1".to_vec()));
    expect(&mut world, leader, Op::Get(b"a".to_vec()), &value)?;
    world.heal(alone)?;
    world.finish()
}

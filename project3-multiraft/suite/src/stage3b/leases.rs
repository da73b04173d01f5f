//! Reads by lease, in regions that split and sleep. (Extra credit: leases are off in all other tests of this stage.)
//!
//! Project 2's suite asks what a lease needs of clocks; here it meets what only many regions do.

use proto::raft_cmdpb::RaftRequestHeader;
use sim::cluster::faults::{Chaos, Fault, Who};
use sim::cluster::plan::Mix;
use sim::cluster::protocol::{Cluster, NodeId};
use sim::cluster::setup::{SECOND, Setup};
use sim::coverage;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;

use super::chaos::restless;
use super::city::{City, REGION, broke, epoch};
use super::config::StoreConfig;
use super::pd::Wish;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("leases.rs":
        leases_stand_in_regions_that_split_and_move,
        a_lease_costs_no_message,
        a_leader_that_slept_does_not_believe_in_its_lease,
        who_wakes_has_no_lease,
        a_split_ends_the_lease,
        the_right_half_has_a_leader_at_once_with_leases,
    )
}

/// A tick, in the world's time.
const TICK: u64 = SECOND / 20;

fn leased(config: StoreConfig) -> Setup {
    StoreConfig { disciplined: true, lease_read: true, ..config }.setup()
}

/// Clocks run a tenth too fast or too slow, stores sleep and crash, regions are cut, members come and go, leaders hand over:
/// whatever a leader answers by its lease is what is true.
fn leases_stand_in_regions_that_split_and_move(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { sleep_ticks: 8, ..StoreConfig::new(4, 3) };
    Scenario::new(Setup { drift_ppm: 100_000, ..leased(config) }, restless)
        .clients(4, 30)
        .mix(Mix { gets: 20, keys: 3, ..Mix::KV })
        .chaos(Chaos::ALL)
        .length(12 * SECOND)
        .run(run)
}

/// Asks a leader that nobody can hear. Whether it answered with a value.
fn answers_alone(city: &mut City<'_, '_>, leader: NodeId, key: &[u8]) -> Outcome<bool> {
    let alone = city.world.fault(Fault::Isolate(Who::Node(leader)), None)?;
    let call = city.world.begin(7, Op::Get(key.to_vec()), leader);
    city.world.run_for(SECOND)?;
    let answered = city.world.ended(call).and_then(|end| end.result().cloned());
    city.world.heal(alone)?;
    Ok(matches!(answered, Some(OpResult::Value(_))))
}

/// While the lease lasts, a read is answered although nobody else can be heard.
fn a_lease_costs_no_message(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::with(run, leased(StoreConfig::new(3, 3)))?;
    city.put(b"a", b"1")?;
    city.world.run_for(SECOND)?;
    let leader = city.settle()?;
    if !answers_alone(&mut city, leader, b"a")? {
        return broke(
            "a leader with a lease asks before it reads",
            format!("n{leader} has led for a second, and its heartbeats were answered"),
            "alone, it did not answer a read",
        );
    }
    city.finish()
}

/// A leader's process sleeps. Meanwhile the others elect another, who writes. The first thing that the old one hears when it
/// wakes is a client who reads, and its last tick was long ago.
///
/// Hint: the node must hear what time it is before it is asked, and not only with its ticks.
fn a_leader_that_slept_does_not_believe_in_its_lease(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::with(run, leased(StoreConfig::new(3, 3)))?;
    city.put(b"a", b"1")?;
    city.world.run_for(SECOND)?;
    let old = city.settle()?;
    let asleep = city.world.fault(Fault::Pause(Who::Node(old)), None)?;
    // It lies in the sleeper's inbox before anything else.
    city.world.begin(7, Op::Get(b"a".to_vec()), old);
    let replaced = city
        .world
        .run_until(10 * SECOND, |world| world.leader(REGION).is_some_and(|leader| leader != old))?;
    if !replaced {
        return broke(
            "two of three did not replace a leader that sleeps",
            "an election timeout is less than a second",
            format!("n{old} still leads"),
        );
    }
    city.put(b"a", b"2")?;
    // This one begins after the write was acknowledged: it must not see the value before.
    city.world.begin(8, Op::Get(b"a".to_vec()), old);
    city.world.heal(asleep)?;
    city.world.run_for(SECOND)?;
    city.finish()
}

/// A region that sleeps has no lease: it is not renewed, and its followers' patience is not counted. Who wakes asks a majority.
///
/// Hint: `suspend_lease` when the leader falls asleep, `resume_lease` when it wakes.
fn who_wakes_has_no_lease(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { sleep_ticks: 10, heartbeat_ticks: 1_000, ..StoreConfig::new(3, 3) };
    let mut city = City::with(run, leased(config))?;
    city.put(b"a", b"1")?;
    let leader = city.settle()?;
    // The first quiet moment: the last heartbeat was a tick or two ago, and its lease would last for four.
    let mut asleep = false;
    for _ in 0..200 {
        let before = city.world.coverage().count(coverage::DELIVERED);
        city.world.run_for(TICK + TICK / 10)?;
        asleep = city.world.coverage().count(coverage::DELIVERED) == before;
        if asleep {
            break;
        }
    }
    if !asleep {
        return broke(
            "an idle region does not go to sleep",
            "nothing has happened for ten seconds",
            "there was no tick without a message",
        );
    }
    if answers_alone(&mut city, leader, b"a")? {
        return broke(
            "a leader that has just woken relies on a lease",
            format!("n{leader} slept; who sleeps is not asked whether somebody else leads"),
            "alone, it answered a read",
        );
    }
    city.finish()
}

/// A leader that has executed a split does not renew its lease before the split is applied: on another store the new half
/// may lead already. (A read waits for all that is committed, the split among it, and is refused then; this is the second
/// lock on that door.)
///
/// Hint: `suspend_lease` when the entry is executed, `resume_lease` when `kv_written` has brought it.
fn a_split_ends_the_lease(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = leased(StoreConfig::new(3, 3));
    // The data's disk is slow: between execution and `kv_written` two ticks pass.
    setup.times.apply = (2 * TICK, 2 * TICK + 1_000);
    let mut city = City::with(run, setup)?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    let leader = city.settle()?;
    let (_, before) = city.epoch(REGION);
    city.wish(b"", Wish::Split(b"k".to_vec()));
    let split = city.world.run_until(10 * SECOND, |world| {
        world.view(leader, REGION).is_some_and(|view| view.epoch.1 > before)
    })?;
    if !split {
        return broke(
            "a region is not cut",
            "the scheduler wants it cut, and its leader was told",
            "ten seconds later its version is the same",
        );
    }
    // The right part has kept the region's id, and its leader. Nobody but this leader can say so yet.
    let (conf_ver, version) = city.epoch(REGION);
    let header = RaftRequestHeader {
        region_epoch: Some(epoch(conf_ver, version)),
        ..city.header(b"x", leader)
    };
    let header = RaftRequestHeader { region_id: REGION, ..header };
    let alone = city.world.fault(Fault::Isolate(Who::Node(leader)), None)?;
    city.begin_get(leader, header, b"x");
    city.world.run_for(SECOND)?;
    city.world.heal(alone)?;
    if city.found().is_some() {
        return broke(
            "a leader reads by a lease that it won while its split was under way",
            format!("n{leader} had executed the split, and not applied it"),
            "alone, right after it, it answered a read",
        );
    }
    city.finish()
}

/// Who restarts with leases on keeps silent for an election timeout, since it may have promised to. A peer that a split
/// makes has promised nothing.
fn the_right_half_has_a_leader_at_once_with_leases(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::with(run, leased(StoreConfig::new(3, 3)))?;
    city.put(b"a", b"1")?;
    city.world.run_for(2 * SECOND)?;
    let leader = city.settle()?;
    let (_, before) = city.epoch(REGION);
    city.wish(b"", Wish::Split(b"k".to_vec()));
    city.world.run_until(10 * SECOND, |world| {
        world.view(leader, REGION).is_some_and(|view| view.epoch.1 > before)
    })?;
    let led = city.world.run_until(4 * TICK, |world| {
        let regions = world.monitors().regions();
        regions.len() > 1 && regions.iter().all(|region| world.leader(*region).is_some())
    })?;
    if !led {
        return broke(
            "after a split half of the keys have no leader",
            format!(
                "n{leader} led the region; nobody else knows the new one, so that its peer there can lead at once"
            ),
            "four ticks later it does not",
        );
    }
    city.put(b"a", b"2")?;
    city.finish()
}

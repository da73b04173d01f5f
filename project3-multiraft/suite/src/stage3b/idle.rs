//! Idle regions sleep: they send nothing, and wake when there is work.

use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{MS, SECOND};
use sim::coverage;
use sim::failure::Outcome;
use sim::harness::{Run, Test};

use super::city::{City, REGION, broke};
use super::config::StoreConfig;
use super::pd::Wish;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("idle.rs":
        idle_regions_are_silent,
        a_region_at_work_does_not_sleep,
        a_region_waits_for_its_slowest_member,
        a_sleeping_region_serves_at_once,
        a_dead_leader_wakes_its_regions,
    )
}

fn asleep<'w, 'a>(run: &'w mut Run<'a, Cluster>) -> Outcome<City<'w, 'a>> {
    let config = StoreConfig { sleep_ticks: 10, heartbeat_ticks: 20, ..StoreConfig::new(3, 3) };
    let mut city = City::new(run, &config)?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.put(b"x", b"1")?;
    city.world.run_for(5 * SECOND)?;
    Ok(city)
}

fn messages(city: &mut City<'_, '_>, span: u64) -> Outcome<u64> {
    let before = city.world.coverage().count(coverage::DELIVERED);
    city.world.run_for(span)?;
    Ok(city.world.coverage().count(coverage::DELIVERED) - before)
}

fn expect_silence(city: &mut City<'_, '_>, why: &str) -> Outcome {
    let sent = messages(city, 5 * SECOND)?;
    if sent > 200 {
        return broke(
            "idle regions do not go to sleep",
            why,
            format!("in the next five seconds {sent} messages were delivered"),
        );
    }
    Ok(())
}

/// Two regions of three peers with a heartbeat every 50 ms make 160 messages a second. Asleep they make none; the stores alone
/// tell each other that they are alive.
fn idle_regions_are_silent(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = asleep(run)?;
    expect_silence(
        &mut city,
        "nothing has happened for five seconds, and everybody has everything",
    )?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A write every 300 ms is work: a region sleeps when nothing has happened for `sleep_ticks`, half a second here. One that dozed off
/// between two writes would be woken again and again, and has no lease when it is.
///
/// Hint: what must have been so, and for how long, before the leader asks the others to sleep?
fn a_region_at_work_does_not_sleep(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = asleep(run)?;
    city.put(b"a", b"2")?;
    let mut sent = 0;
    for number in 0..10u8 {
        sent += messages(&mut city, 300 * MS)?;
        city.put(b"a", &[number])?;
    }
    // Heartbeats and their answers every 50 ms, 240 messages, and what the writes cost. One that dozes off sends 200 in all.
    if sent < 260 {
        return broke(
            "a region sleeps that has something to do",
            "something was written every 300 ms, for three seconds, and it may sleep after 500",
            format!("in between {sent} messages were delivered: heartbeats alone are 240"),
        );
    }
    city.finish()
}

/// A member has the whole log, and has applied only a part of it: its disk is slow. It does not agree to sleep before it has done
/// all, however often it is asked; and while one does not agree, nobody sleeps.
///
/// Hint: what does a follower look at before it agrees? It is not enough that the question comes from its leader.
fn a_region_waits_for_its_slowest_member(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { sleep_ticks: 10, heartbeat_ticks: 20, ..StoreConfig::new(3, 3) };
    let mut setup = config.setup();
    setup.times.apply = (100 * MS, 120 * MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    // Ten seconds for a commit of the data on this store.
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(3), 100), None)?;
    city.put(b"a", b"2")?;
    city.world.run_for(3 * SECOND)?;
    let sent = messages(&mut city, 3 * SECOND)?;
    if city.view(3, REGION).is_none_or(|view| view.applied == view.last) {
        return broke(
            "a store shows data that is still on its way to the disk",
            "n3 was given a write six seconds ago, and a commit of its data takes ten",
            "n3 says that it has applied its whole log",
        );
    }
    if sent < 200 {
        return broke(
            "a region sleeps although one of its members is behind",
            "n3 has the whole log of region 1, and has not applied all of it: its disk takes ten seconds",
            format!("in three seconds {sent} messages were delivered: heartbeats alone are 240"),
        );
    }
    city.world.heal(slow)?;
    city.world.run_for(15 * SECOND)?;
    expect_silence(
        &mut city,
        "the slowest of the members has caught up, and nothing has happened for seconds",
    )?;
    city.expect(b"a", Some(b"2"))?;
    city.finish()
}

/// A request wakes its region, and is served without an election.
fn a_sleeping_region_serves_at_once(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = asleep(run)?;
    let before = city.world.coverage().count(coverage::ELECTIONS);
    city.put(b"a", b"2")?;
    city.expect(b"x", Some(b"1"))?;
    city.world.run_for(3 * SECOND)?;
    city.put(b"a", b"3")?;
    let after = city.world.coverage().count(coverage::ELECTIONS);
    if after != before {
        return broke(
            "a region that wakes elects another leader",
            "its leader was asleep, not dead",
            format!("there were {} elections", after - before),
        );
    }
    city.expect(b"a", Some(b"3"))?;
    city.finish()
}

/// Who sleeps misses no heartbeats; so if a store dies, somebody must notice for all regions that it leads.
fn a_dead_leader_wakes_its_regions(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = asleep(run)?;
    let leader = city.settle()?;
    city.world.fault(Fault::Crash(Who::Node(leader), Cut::Power), Some(20 * SECOND))?;
    let regions = city.world.monitors().regions();
    let others = city.world.run_until(10 * SECOND, |world| {
        regions.iter().all(|region| world.leader(*region).is_some_and(|n| n != leader))
    })?;
    if !others {
        return broke(
            "regions sleep on although their leader is dead",
            format!("n{leader} led them, and is down for ten seconds"),
            "they have no other leader",
        );
    }
    city.world.run_for(3 * SECOND)?;
    city.expect(b"a", Some(b"1"))?;
    city.expect(b"x", Some(b"1"))
}

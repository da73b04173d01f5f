//! What takes its time is overtaken: a snapshot on its way, an installation, a commit of the data or of the log. What was right
//! when it began may be wrong when it ends.

use sim::cluster::faults::{Cut, Fault, Point, Who};
use sim::cluster::protocol::{Cluster, NodeId};
use sim::cluster::setup::{MS, SECOND};
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::history::Op;
use sim::world::World;

use super::city::{City, REGION, broke};
use super::config::StoreConfig;
use super::pd::Wish;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("meantime.rs":
        a_late_snapshot_does_not_lie_over_a_neighbour,
        a_snapshot_waits_for_no_other_range,
        a_peer_whose_snapshot_is_being_installed_dies_later,
        a_peer_whose_region_is_changing_dies_later,
        slow_work_waits_for_the_data_that_it_rests_on,
        a_dead_peer_leaves_no_promise,
        a_dead_parent_takes_nothing_of_its_child_along,
        whoever_writes_behind_a_change_is_told_the_truth,
    )
}

/// The peer of a region that a store shows.
fn peer(world: &World<'_, '_>, node: NodeId, region: u64) -> Option<u64> {
    world.view(node, region).map(|view| view.peer)
}

/// Which peer the scheduler knows on a store, of the region with this key.
fn wanted(city: &City<'_, '_>, key: &[u8], store: NodeId) -> Option<u64> {
    city.region(key).peers.iter().find(|peer| peer.store_id == store).map(|peer| peer.id)
}

/// Waits until a store has the data of a region, as the peer that the scheduler knows there.
fn filled(city: &mut City<'_, '_>, key: &[u8], node: NodeId) -> Outcome {
    let (region, id) = (city.region(key).id, wanted(city, key, node));
    let there = |world: &World<'_, '_>| {
        world.view(node, region).is_some_and(|view| Some(view.peer) == id && view.range.is_some())
    };
    if city.world.run_until(20 * SECOND, there)? {
        return Ok(());
    }
    broke(
        "a member does not get the data of its region",
        format!("peer {id:?} of region {region} was added on n{node}"),
        format!("twenty seconds later n{node} shows {:?}", city.view(node, region)),
    )
}

/// Waits until a store has destroyed its peer, which is a member no more.
fn gone(city: &mut City<'_, '_>, node: NodeId, meanwhile: &str) -> Outcome {
    if city.world.run_until(10 * SECOND, |world| peer(world, node, REGION).is_none())? {
        return Ok(());
    }
    broke(
        "a removed peer is not destroyed",
        format!("n{node} is no member any more, and {meanwhile}"),
        format!("ten seconds later it shows {:?}", city.view(node, REGION)),
    )
}

/// A new member's snapshot is on its way, and takes long. Meanwhile its region is cut, and the new half's leader, on another
/// store, is quick: the new half's data is being installed when the old snapshot arrives, with the whole range. It must not be let
/// in: two peers of one store would have the same keys. And when the new half has its place, the old region, smaller now, must find
/// its own beside it.
///
/// Hint: `claims`. And what does a first word say of the range that it is for, if the region has been cut since the one before?
fn a_late_snapshot_does_not_lie_over_a_neighbour(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { snapshot_patience: 200, ..StoreConfig::new(4, 3) };
    let mut setup = config.setup();
    setup.times.region = (300 * MS, 310 * MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.wish(b"", Wish::Add(4));
    city.world.run_until(10 * SECOND, |world| peer(world, 4, REGION).is_some())?;
    // The leader has built what is wanted, and reads it. What it sends then takes five seconds.
    city.world.run_for(500 * MS)?;
    let late = city.world.fault(Fault::SlowLink(1, 4, 5 * SECOND), None)?;
    city.world.run_for(400 * MS)?;
    // And six seconds for an installation.
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(4), 20), None)?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"a", Wish::Lead(2))?;
    city.put(b"a", b"2")?;
    filled(&mut city, b"a", 4)?;
    city.world.heal(late)?;
    city.world.heal(slow)?;
    filled(&mut city, b"x", 4)?;
    city.expect(b"a", Some(b"2"))?;
    city.expect(b"x", Some(b"1"))?;
    city.finish()
}

/// A store gets two regions at once, side by side. An installation takes two seconds; the other snapshot that comes meanwhile
/// lies elsewhere, and is let in. Sent in vain, it would come again when its sender has lost patience, after twenty: a store that is to
/// hold a thousand regions would get them one by one.
///
/// Hint: a claim is in the way of what it overlaps.
fn a_snapshot_waits_for_no_other_range(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { snapshot_patience: 400, ..StoreConfig::new(4, 3) };
    let mut setup = config.setup();
    setup.times.region = (100 * MS, 110 * MS);
    let mut city = City::with(run, setup)?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.led(b"x")?;
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(4), 20), None)?;
    city.wish(b"a", Wish::Add(4));
    city.wish(b"x", Wish::Add(4));
    let regions = [city.region(b"a").id, city.region(b"x").id];
    let there = |world: &World<'_, '_>| {
        regions.iter().all(|&region| world.view(4, region).is_some_and(|view| view.range.is_some()))
    };
    if !city.world.run_until(12 * SECOND, there)? {
        return broke(
            "a snapshot was not let in because of another one that is not in its way",
            "two regions, side by side, were to be filled on n4, where an installation takes two seconds",
            format!(
                "twelve seconds later n4 shows {:?} and {:?}",
                city.view(4, regions[0]),
                city.view(4, regions[1])
            ),
        );
    }
    city.world.heal(slow)?;
    city.expect(b"a", Some(b"1"))?;
    city.expect(b"x", Some(b"1"))?;
    city.finish()
}

/// A peer's snapshot is being installed, which takes long, and meanwhile the peer is removed, and another one added in its place. The
/// old one must go, but not yet: the installation would write over its tombstone, and a restart would find it alive.
///
/// Hint: `doomed`. What does the region worker do first, and what does it write last?
fn a_peer_whose_snapshot_is_being_installed_dies_later(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { snapshot_patience: 200, ..StoreConfig::new(4, 3) };
    let mut setup = config.setup();
    setup.times.region = (50 * MS, 60 * MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    city.wish(b"", Wish::Add(4));
    city.world.run_until(10 * SECOND, |world| peer(world, 4, REGION).is_some())?;
    // Three seconds for an installation on this store, and for a burial; the snapshot comes at once.
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(4), 60), None)?;
    city.fulfil(10 * SECOND)?;
    city.world.run_for(SECOND)?;
    let old = wanted(&city, b"", 4);
    // It hears, and nobody hears it: the next one gets no snapshot that would cover up what is wrong.
    let mute = city.world.fault(Fault::Half(Who::Node(4), true), None)?;
    city.make(b"", Wish::Remove(4))?;
    city.make(b"", Wish::Add(4))?;
    let new = wanted(&city, b"", 4);
    city.world.run_for(8 * SECOND)?;
    city.world.heal(slow)?;
    city.world.run_for(SECOND)?;
    city.world.fault(Fault::Crash(Who::Node(4), Cut::Power), Some(SECOND / 4))?;
    city.world.run_for(SECOND)?;
    let shown = peer(&city.world, 4, REGION);
    if shown.is_some() && shown != new {
        return broke(
            "a peer that was removed is alive after a restart",
            format!(
                "peer {old:?} was removed from n4 while its snapshot was being installed, and peer {new:?} added"
            ),
            format!("after a power cut n4 shows peer {shown:?}"),
        );
    }
    city.world.heal(mute)?;
    filled(&mut city, b"", 4)?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A split was applied, and its commit is slow. Before it is durable, the store hears that another peer was added in the place of
/// the one that has applied it. That one must go, but not yet: it does not know yet that it has become smaller, and would take the
/// new half's data along.
///
/// Hint: `doomed`, again. What does a dead peer leave behind, and from whom does the store know?
fn a_peer_whose_region_is_changing_dies_later(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(3, 3).setup();
    setup.times.apply = (100 * MS, 120 * MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.world.run_for(SECOND)?;
    // Five seconds for a commit of the data on this store. It hears, and nobody hears it: what it loses no snapshot replaces.
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(3), 50), None)?;
    let mute = city.world.fault(Fault::Half(Who::Node(3), true), None)?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"x", Wish::Remove(3))?;
    city.make(b"x", Wish::Add(3))?;
    city.world.run_for(SECOND)?;
    city.world.heal(slow)?;
    city.world.run_for(12 * SECOND)?;
    city.world.fault(Fault::Crash(Who::Node(3), Cut::Power), Some(SECOND / 4))?;
    city.world.run_for(SECOND)?;
    city.world.heal(mute)?;
    filled(&mut city, b"x", 3)?;
    filled(&mut city, b"a", 3)?;
    city.make(b"a", Wish::Lead(3))?;
    city.expect(b"a", Some(b"1"))?;
    city.expect(b"x", Some(b"1"))?;
    city.finish()
}

/// The disk of the data is slow, and the region worker is quick. What the worker does rests on what was written before: a
/// snapshot's parts, a tombstone. If it were sent off at once, it would install parts that are not there, or remove the data of a
/// peer that a power cut brings back.
///
/// Hint: `Resting::jobs` go out when the commit is done that they rest on, and behind what that commit brings into the log.
fn slow_work_waits_for_the_data_that_it_rests_on(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(3, 3).setup();
    setup.times.apply = (100 * MS, 200 * MS);
    setup.times.region = (100, MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    for nth in 1..=6 {
        // Its own log does not tell it: others do, and its tombstone is the first that it writes about it.
        let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
        city.make(b"", Wish::Remove(3))?;
        let crash = Fault::CrashAt(Who::Node(3), Point::AfterSync, nth, Cut::Power);
        city.world.fault(crash, Some(SECOND / 2))?;
        city.world.heal(away)?;
        gone(&mut city, 3, "its power was cut meanwhile")?;
        city.make(b"", Wish::Add(3))?;
        filled(&mut city, b"", 3)?;
    }
    city.make(b"", Wish::Lead(3))?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A store was away and has campaigned in vain, so that its peer's term is far ahead; meanwhile the peer was removed. It hears of
/// that and dies, and while the disk of its log is slow, the power goes. The next peer there begins with nothing. If it found the
/// dead one's term and vote, it would take the region's leader for one of the past, and have it deposed.
///
/// Hint: what tells a restart that something of a dead peer is left, and when does that go?
fn a_dead_peer_leaves_no_promise(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(3, 3).setup();
    setup.times.log_write = (20 * MS, 30 * MS);
    setup.times.region = (100, MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    for _ in 0..4 {
        let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
        city.make(b"", Wish::Remove(3))?;
        city.world.run_for(2 * SECOND)?;
        city.world.heal(away)?;
        gone(&mut city, 3, "it hears the others again")?;
        city.world.run_for(10 * MS)?;
        city.world.fault(Fault::Crash(Who::Node(3), Cut::Power), Some(SECOND / 4))?;
        city.world.run_for(SECOND)?;
        let term = |city: &City<'_, '_>| city.view(1, REGION).map_or(0, |view| view.term);
        let before = term(&city);
        city.make(b"", Wish::Add(3))?;
        filled(&mut city, b"", 3)?;
        let after = term(&city);
        if after > before {
            return broke(
                "a new peer has the term of a dead one",
                format!("n1 led in term {before} when a peer was added on n3, where one had died"),
                format!(
                    "when the new one has its data, the term is {after}: nobody was slow or cut off"
                ),
            );
        }
    }
    city.make(b"", Wish::Lead(3))?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A store was away while its region was cut and its peer of the one half was removed. The other half asks it for a vote, gets it,
/// and sends its snapshot as soon as the old peer, which still has the whole range, has gone. Its burial waits for a slow log; if
/// the snapshot were installed meanwhile, the burial would take the new data along.
///
/// Hint: what does the region worker do first, if one piece of work waits and the next one need not?
fn a_dead_parent_takes_nothing_of_its_child_along(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(3, 3).setup();
    setup.times.log_write = (1_500, 2_000);
    (setup.times.apply, setup.times.region) = ((1, 10), (1, 10));
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    // Only where the burial is, or the others would be too slow to elect anybody: 150 to 200 ms for its log, up to one for the rest.
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(3), 100), None)?;
    let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"x", Wish::Remove(3))?;
    // Its leader is gone, and the one that is left needs the vote of the store that was away.
    let down = city.world.fault(Fault::Crash(Who::Node(1), Cut::Power), None)?;
    city.world.run_for(200 * MS)?;
    city.world.heal(away)?;
    filled(&mut city, b"a", 3)?;
    city.expect(b"a", Some(b"1"))?;
    city.world.heal(slow)?;
    city.world.heal(down)?;
    city.make(b"a", Wish::Lead(3))?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// Members come and go, the log is cut, and all the while clients write. The disk of the data is slow, so that many of them are still
/// unanswered when a change is done. Who is told that its write never happens must not find it there: it would write again, over
/// whatever came between.
///
/// Hint: `Peer::answer` takes whoever waits before an entry for one who has lost its place. Who may be answered while somebody
/// before them in the log is not?
fn whoever_writes_behind_a_change_is_told_the_truth(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig { gc_entries: 8, ..StoreConfig::new(4, 3) }.setup();
    setup.times.apply = (20 * MS, 40 * MS);
    let mut city = City::with(run, setup)?;
    city.make(b"", Wish::Lead(1))?;
    let mut keys = Vec::new();
    for wish in [Wish::Add(4), Wish::Remove(4), Wish::Add(4), Wish::Remove(4)] {
        city.wish(b"", wish);
        for _ in 0..150 {
            let client = 10 + keys.len() as u64;
            let key = format!("k{client}").into_bytes();
            city.world.begin(client, Op::Put(key.clone(), b"1".to_vec()), 1);
            keys.push(key);
            city.world.run_for(2 * MS)?;
        }
        city.fulfil(10 * SECOND)?;
    }
    for key in keys {
        let leader = city.led(&key)?;
        city.world.call(1, Op::Get(key), leader)?;
    }
    city.finish()
}

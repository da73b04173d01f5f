//! Stores that are behind a split: what comes to them before the region that it is for is born there.

use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::{Channel, Cluster};
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::world::World;

use super::city::{City, REGION, broke};
use super::config::StoreConfig;
use super::pd::Wish;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("behind.rs":
        a_store_that_lags_behind_a_split_still_votes,
        a_peer_without_data_votes_before_its_split,
        a_snapshot_waits_until_there_is_room,
        a_peer_that_was_removed_before_its_split_is_not_born,
        halves_go_their_own_ways,
        a_half_that_left_a_store_can_come_back,
        a_split_and_a_change_overtake_a_snapshot,
        who_was_only_told_tells_nobody,
    )
}

/// A store is late with the split. A request to vote in the new region comes, which it does not know: a peer without data gives
/// the vote, and keeps it when the split makes it whole. If the vote were thrown away, the region would wait; if it were
/// forgotten, it could be given twice.
///
/// Hint: a raft state in the log's file that no region belongs to is no garbage.
fn a_store_that_lags_behind_a_split_still_votes(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.put(b"x", b"1")?;
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    let (late, down) = (others[0], others[1]);
    // One follower commits the split with the leader, and dies. The other is asked for its vote before it has the split.
    let apart = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    city.wish(b"", Wish::Split(b"k".to_vec()));
    let split = |world: &World<'_, '_>| world.monitors().regions().len() > 1;
    if !city.world.run_until(10 * SECOND, split)? {
        return broke("a split does not happen", "the scheduler wants it", "for ten seconds");
    }
    let dead = city.world.fault(Fault::Crash(Who::Node(down), Cut::Power), None)?;
    city.world.heal(apart)?;
    let regions = city.world.monitors().regions();
    let new = regions.into_iter().find(|region| *region != REGION).unwrap_or_default();
    let voted = city.world.run_until(3 * SECOND, |world| world.leader(new).is_some())?;
    if !voted {
        return broke(
            "a region that was split off gets no leader",
            format!("n{leader} has it; n{late} was away when it was made, n{down} is down"),
            "two of three are enough, and for three seconds they did not do it",
        );
    }
    city.world.fault(Fault::Crash(Who::Node(late), Cut::Power), Some(SECOND / 4))?;
    city.world.run_for(SECOND)?;
    city.world.heal(dead)?;
    city.fulfil(10 * SECOND)?;
    city.expect(b"x", Some(b"1"))?;
    city.put(b"a", b"2")?;
    city.finish()
}

/// The same store, and its disk is so slow that the split waits for it: meanwhile a peer without data is there, and has voted.
///
/// Hint: which messages may create a peer, even where another region lies?
fn a_peer_without_data_votes_before_its_split(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.put(b"x", b"1")?;
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    let (late, down) = (others[0], others[1]);
    let apart = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    city.wish(b"", Wish::Split(b"k".to_vec()));
    city.world.run_until(10 * SECOND, |world| world.monitors().regions().len() > 1)?;
    let dead = city.world.fault(Fault::Crash(Who::Node(down), Cut::Power), None)?;
    let slow = city.world.fault(Fault::SlowDisk(Who::Node(late), 1_000), None)?;
    city.world.heal(apart)?;
    let regions = city.world.monitors().regions();
    let new = regions.into_iter().find(|region| *region != REGION).unwrap_or_default();
    let voted = city.world.run_until(3 * SECOND, |world| {
        world.view(late, new).is_some_and(|view| view.range.is_none() && view.vote != 0)
    })?;
    if !voted {
        return broke(
            "a request to vote in a region that was not split off here yet is not answered",
            format!("n{leader} has the new region {new}; n{late} has not applied the split"),
            format!("three seconds later n{late} shows {:?}", city.view(late, new)),
        );
    }
    city.world.heal(slow)?;
    city.world.heal(dead)?;
    city.fulfil(15 * SECOND)?;
    city.expect(b"x", Some(b"1"))?;
    city.put(b"a", b"2")?;
    city.finish()
}

/// A store lags behind a split, and the logs are cut, so that only snapshots help. The new region's snapshot may come first, while
/// the old region's peer still has the whole range: there is no room for it until that one has become smaller.
///
/// Hint: whose ranges overlap? And what are the sender and its receiver to do with a snapshot that was not let in?
fn a_snapshot_waits_until_there_is_room(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { gc_entries: 6, ..StoreConfig::new(3, 3) };
    let mut city = City::new(run, &config)?;
    let leader = city.settle()?;
    city.put(b"a", b"0")?;
    city.put(b"x", b"0")?;
    let late = leader % 3 + 1;
    let away = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    for round in 1..10u8 {
        city.put(b"a", &[b'0' + round])?;
        city.put(b"x", &[b'0' + round])?;
        city.put(b"b", &[b'0' + round])?;
    }
    city.world.run_for(3 * SECOND)?;
    // The old region's leader does not get through at first: the new one's snapshot comes first.
    let old = city.pd().find(b"x").map(|(_, leader)| leader);
    if let Some(old) = old {
        let drop = Fault::DropNext(old.store_id, late, Channel::Snapshot, 2);
        city.world.fault(drop, None)?;
    }
    city.world.heal(away)?;
    city.world.run_for(3 * SECOND)?;
    city.expect(b"a", Some(b"9"))?;
    city.expect(b"x", Some(b"9"))?;
    city.finish()
}

/// A store is away; meanwhile its region is split, and its peer of the new half is removed. When it comes back and applies the
/// split from its log, that peer must not be born: its group went on without it.
fn a_peer_that_was_removed_before_its_split_is_not_born(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 3))?;
    let leader = city.settle()?;
    city.put(b"a", b"1")?;
    let late = leader % 3 + 1;
    let away = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"a", Wish::Remove(late))?;
    city.make(b"a", Wish::Add(4))?;
    city.put(b"a", b"2")?;
    let new = city.region(b"a").id;
    city.world.heal(away)?;
    let gone = |world: &World<'_, '_>| {
        world.view(late, REGION).is_some_and(|view| view.epoch.1 > 1)
            && world.view(late, new).is_none()
    };
    if !city.world.run_until(10 * SECOND, gone)? {
        return broke(
            "a peer that was removed is born by a late split",
            format!("n{late} was removed from region {new} while it was away"),
            format!("it has come back, and shows {:?}", city.view(late, new)),
        );
    }
    city.expect(b"a", Some(b"2"))?;
    city.finish()
}

/// After a split the halves are regions like others: they have other leaders, other members, and are cut again.
fn halves_go_their_own_ways(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"a", Wish::Add(4))?;
    city.make(b"a", Wish::Lead(4))?;
    city.make(b"x", Wish::Lead(1))?;
    city.make(b"a", Wish::Remove(1))?;
    city.make(b"a", Wish::Split(b"c".to_vec()))?;
    for key in [b"a", b"e", b"x"] {
        city.put(key, b"2")?;
    }
    city.finish()
}

/// A new region's peer leaves a store on which the old region's peer stays, and another one is added there: its snapshot needs room,
/// and there is, since the old region has become smaller.
///
/// Hint: which range has the old region in the store's map after the split?
fn a_half_that_left_a_store_can_come_back(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.make(b"a", Wish::Lead(1))?;
    let new = city.region(b"a").id;
    city.make(b"a", Wish::Remove(3))?;
    city.world.run_until(5 * SECOND, |world| world.view(3, new).is_none())?;
    city.make(b"a", Wish::Add(3))?;
    let there = |world: &World<'_, '_>| world.view(3, new).is_some_and(|view| view.applied > 0);
    if !city.world.run_until(10 * SECOND, there)? {
        return broke(
            "a snapshot finds no room although there is",
            format!("region {new} lies beside region 1, and was added on n3, which has region 1"),
            format!("ten seconds later n3 shows {:?}", city.view(3, new)),
        );
    }
    city.finish()
}

/// A new member's snapshot is on its way, slowly. Meanwhile its region is cut, and the new half lets that member go and takes
/// another in its place. What arrives at last is a region as it was before all that; the store must come to what it is now: a peer of
/// the old region, smaller, and none of the new one.
///
/// Hint: the snapshot's range was right when it was made. What does the log behind it say, and what does the store know of the
/// peer that the split in it would give birth to?
fn a_split_and_a_change_overtake_a_snapshot(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { part_bytes: 64, snapshot_patience: 100, ..StoreConfig::new(5, 3) };
    let mut city = City::new(run, &config)?;
    city.make(b"", Wish::Lead(1))?;
    for key in [b"a", b"b", b"x", b"y"] {
        city.put(key, &[b'1'; 60])?;
    }
    let slow = city.world.fault(Fault::SlowLink(1, 4, 2 * SECOND), None)?;
    city.make(b"", Wish::Add(4))?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    let new = city.region(b"a").id;
    city.make(b"a", Wish::Remove(4))?;
    city.make(b"a", Wish::Add(5))?;
    city.put(b"a", b"2")?;
    city.world.heal(slow)?;
    let settled = |world: &World<'_, '_>| {
        let old =
            world.view(4, REGION).is_some_and(|view| view.epoch.1 > 1 && view.range.is_some());
        let gone = world.view(4, new).is_none();
        let other = world.view(5, new).is_some_and(|view| view.range.is_some());
        old && gone && other
    };
    if !city.world.run_until(15 * SECOND, settled)? {
        return broke(
            "a store does not come to what its regions are now",
            format!(
                "n4 is a member of region {REGION}, and was removed from region {new}, which n5 has"
            ),
            format!(
                "n4 shows {:?} and {:?}, n5 shows {:?}",
                city.view(4, REGION),
                city.view(4, new),
                city.view(5, new)
            ),
        );
    }
    city.expect(b"a", Some(b"2"))?;
    city.expect(b"x", Some(&[b'1'; 60]))?;
    city.finish()
}

/// A member is away while a learner is added and the member itself is removed. When it is back it is told that it was removed, and
/// dies. Then the learner, which has not heard of its leader for long, asks it: do I still belong to the region? The dead one has
/// heard of an epoch that is newer than the learner's, but has never seen who was a member then. It must be silent, or the
/// learner dies, and its id with it: the leader will write to it for ever.
///
/// Hint: an epoch and the members at that epoch belong together. What does a tombstone know of an epoch that it was only told of?
fn who_was_only_told_tells_nobody(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 3))?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    let apart = |groups: &[&[u64]]| Fault::Partition(groups.iter().map(|g| g.to_vec()).collect());
    let away = city.world.fault(apart(&[&[1, 2, 4], &[3]]), None)?;
    city.make(b"", Wish::AddLearner(4))?;
    let learns = |world: &World<'_, '_>| {
        world.view(4, REGION).is_some_and(|view| view.range.is_some() && view.applied > 0)
    };
    if !city.world.run_until(10 * SECOND, learns)? {
        let seen = format!("{:?}", city.view(4, REGION));
        return broke("a learner gets no data", "it was added ten seconds ago", seen);
    }
    let alone = city.world.fault(apart(&[&[1, 2], &[3], &[4]]), None)?;
    city.world.heal(away)?;
    city.make(b"", Wish::Remove(3))?;
    let back = city.world.fault(apart(&[&[1, 2, 3], &[4]]), None)?;
    city.world.heal(alone)?;
    if !city.world.run_until(20 * SECOND, |world| world.view(3, REGION).is_none())? {
        let seen = format!("{:?}", city.view(3, REGION));
        return broke("a removed peer stays", "it can talk to those who have removed it", seen);
    }
    let together = city.world.fault(apart(&[&[1, 2], &[3, 4]]), None)?;
    city.world.heal(back)?;
    city.world.run_until(10 * SECOND, |world| world.view(4, REGION).is_none())?;
    if city.view(4, REGION).is_none() {
        return broke(
            "a member was destroyed",
            "n4 is a learner of region 1, and could talk to n3 only",
            "n3 was removed before it ever saw n4 among the members, and told it that it is none",
        );
    }
    city.world.heal(together)?;
    city.put(b"a", b"2")?;
    city.finish()
}

//! Members come and go: peers are born by messages, filled by snapshots, and buried.

use proto::eraftpb::ConfChangeType;
use proto::metapb::Peer;
use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{MS, SECOND};
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};

use super::city::{City, REGION, Said, broke, change_command, epoch};
use super::config::StoreConfig;
use super::pd::Wish;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("members.rs":
        a_change_is_in_the_region,
        a_change_that_changes_nothing_raises_nothing,
        a_change_for_members_of_old_is_refused,
        a_first_word_creates_a_peer,
        a_new_peer_is_born_and_filled,
        a_learner_is_promoted,
        leadership_goes_where_the_scheduler_wants_it,
        leadership_is_not_offered_to_the_silent,
        a_removed_peer_is_gone,
        a_removed_peer_comes_back_as_another,
        a_leader_that_is_removed_leaves_a_region_that_serves,
        of_two_the_leader_can_be_removed,
        a_peer_that_was_removed_while_away_learns_of_it,
        who_campaigns_in_vain_is_told_why,
        even_the_dead_tell_who_was_removed,
        the_dead_do_not_vote,
        the_dead_of_a_power_cut_do_not_vote,
        a_peer_without_data_goes_when_nobody_wants_it,
        all_peers_move_to_other_stores,
        a_new_member_with_a_slow_log_survives_crashes,
    )
}

fn learner(id: u64, store_id: u64) -> Peer {
    let role = proto::metapb::PeerRole::Learner.into();
    Peer { id, store_id, role }
}

/// A change of members is in the region when it is applied, with `conf_ver` one higher; its proposer learns the region as it
/// is then. The version is that of the range, and stays.
///
/// Hint: an entry of the type `EntryConfChange` carries the whole command, so that whoever applies it can tell what the
/// new peer's store is.
fn a_change_is_in_the_region(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    let leader = city.settle()?;
    city.put(b"a", b"0")?;
    let header = city.header(b"", leader);
    // What it is to become says the kind of the change, not the peer that it names.
    let named = Peer { role: 0, ..learner(40, 9) };
    let command = change_command(header, ConfChangeType::AddLearnerNode, named);
    let said = city.command(leader, &command)?;
    let answer = match &said {
        Said::Done(response) => {
            response.admin_response.as_ref().and_then(|a| a.change_peer.as_ref()?.region.clone())
        }
        _ => None,
    };
    let after = answer.as_ref().and_then(|region| region.region_epoch).unwrap_or_default();
    let there = answer.is_some_and(|region| region.peers.contains(&learner(40, 9)));
    if !there || (after.conf_ver, after.version) != (2, 1) {
        return broke(
            "an applied change of members is not in the answer",
            "a learner, peer 40 on store 9, was added to a region at epoch 1:1",
            format!("the answer must have the region with it at 2:1, and was {said:?}"),
        );
    }
    let seen = city.view(1, REGION).map(|view| (view.epoch, view.learners.len()));
    if seen != Some(((2, 1), 1)) {
        return broke(
            "consensus or the region does not know a change that was applied",
            "a learner was added, and the proposer was told so",
            format!("the store shows epoch and number of learners as {seen:?}"),
        );
    }
    city.put(b"a", b"1")?;
    city.expect(b"a", Some(b"1"))?;
    // The last thing here: of two voters one is on a store that does not exist.
    let voter = Peer { id: 41, store_id: 8, ..Default::default() };
    let named = learner(voter.id, voter.store_id);
    let command = change_command(city.header(b"", leader), ConfChangeType::AddNode, named);
    let said = city.command(leader, &command)?;
    let Said::Done(response) = &said else {
        return broke(
            "a change of members is not carried out",
            "a voter, peer 41 on store 8, was added to a region with one voter and a learner",
            format!("the answer was {said:?}"),
        );
    };
    let region =
        response.admin_response.as_ref().and_then(|a| a.change_peer.as_ref()?.region.as_ref());
    if region.is_none_or(|region| !region.peers.contains(&voter)) {
        return broke(
            "a peer is not added as what the change says",
            "AddNode adds a voter, whatever role the request's peer names",
            format!("the answer's region must have {voter:?}, and is {region:?}"),
        );
    }
    Ok(())
}

/// A change that finds things as it wants them, or that makes no sense, is refused, and raises nothing: an epoch that moves
/// without a change makes all maps wrong.
fn a_change_that_changes_nothing_raises_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    let leader = city.settle()?;
    city.put(b"a", b"1")?;
    let peer = |id, store_id| Peer { id, store_id, ..Default::default() };
    let cases = [
        ("add a voter that is one", ConfChangeType::AddNode, peer(1, 1)),
        ("add a second peer to a store", ConfChangeType::AddNode, peer(50, 1)),
        ("remove somebody who is not there", ConfChangeType::RemoveNode, peer(60, 7)),
        ("remove another peer of this store", ConfChangeType::RemoveNode, peer(61, 1)),
        ("remove the last voter", ConfChangeType::RemoveNode, peer(1, 1)),
        ("add a peer without an id", ConfChangeType::AddLearnerNode, peer(0, 7)),
        ("add a peer on no store", ConfChangeType::AddLearnerNode, peer(62, 0)),
    ];
    for (what, kind, peer) in cases {
        let header = city.header(b"", leader);
        let said = city.command(leader, &change_command(header, kind, peer))?;
        let now = city.epoch(REGION);
        if !matches!(said, Said::Refused(_)) || now != (1, 1) {
            return broke(
                "a change of members that changes nothing had an effect",
                format!("asked to {what}"),
                format!("the answer was {said:?}, the epoch is {}:{}", now.0, now.1),
            );
        }
    }
    city.finish()
}

/// Who changes members must know them: a change that was made for an older `conf_ver` is refused with `EpochNotMatch`. Else
/// two schedulers' ideas add up to a region that neither wanted.
fn a_change_for_members_of_old_is_refused(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    let leader = city.settle()?;
    city.put(b"a", b"0")?;
    let old = city.header(b"", leader);
    let first = change_command(old, ConfChangeType::AddLearnerNode, learner(40, 8));
    let Said::Done(_) = city.command(leader, &first)? else {
        return broke(
            "a change of members was refused",
            "nothing was wrong with it",
            "at epoch 1:1",
        );
    };
    let second = change_command(old, ConfChangeType::AddLearnerNode, learner(41, 9));
    match city.command(leader, &second)? {
        Said::Region(error) if error.epoch_not_match.is_some() => {}
        other => {
            return broke(
                "a change of members was taken from somebody who does not know the members",
                "it was made for conf_ver 1; a change before it had raised it to 2",
                format!("the answer was {other:?}"),
            );
        }
    }
    let ahead = proto::raft_cmdpb::RaftRequestHeader { region_epoch: Some(epoch(9, 1)), ..old };
    let third = change_command(ahead, ConfChangeType::AddLearnerNode, learner(41, 9));
    match city.command(leader, &third)? {
        Said::Region(error) if error.epoch_not_match.is_some() => Ok(()),
        other => broke(
            "a change of members was taken for a conf_ver that there never was",
            "conf_ver is 2, the command said 9",
            format!("the answer was {other:?}"),
        ),
    }
}

fn on(city: &City<'_, '_>, node: u64) -> Option<u64> {
    city.view(node, REGION).map(|view| view.peer)
}

/// Waits until a store's peer has applied what the leader has.
fn caught_up(city: &mut City<'_, '_>, node: u64) -> Outcome {
    let done = city.world.run_until(10 * SECOND, |world| {
        let applied = |node| world.view(node, REGION).map_or(0, |view| view.applied);
        let leader = world.leader(REGION).unwrap_or_default();
        applied(node) > 0 && applied(node) >= applied(leader)
    })?;
    if done {
        return Ok(());
    }
    broke(
        "a new member does not get the data",
        format!("the leader writes to store {node}, which has nothing of the region"),
        format!("ten seconds later it shows {:?}", city.view(node, REGION)),
    )
}

/// The first word of a leader to a store that has never heard of the region creates a peer there: with the id that the leader
/// called it by, without a range, without a log, and without a vote in anything.
///
/// Hint: which kinds of message may be a first word?
fn a_first_word_creates_a_peer(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    // Nothing comes back from store 4, so it gets no snapshot either.
    city.world.fault(Fault::Half(Who::Node(4), true), None)?;
    city.make(b"", Wish::Add(4))?;
    city.world.run_for(2 * SECOND)?;
    let id = city.region(b"").peers.iter().find(|peer| peer.store_id == 4).map(|peer| peer.id);
    let shown = city.view(4, REGION).map(|view| (view.peer, view.range.clone(), view.last));
    if id.is_some() && shown == id.map(|id| (id, None, 0)) {
        return Ok(());
    }
    broke(
        "a leader's first word does not create a peer",
        format!("peer {id:?} was added on n4, which hears its leader and cannot answer"),
        format!("n4 shows peer, range and last index as {shown:?}"),
    )
}

/// A member is added on a store that has never heard of the region. The leader's first word creates a peer without data
/// there, and the leader's snapshot fills it.
///
/// Hint: which messages may create a peer, and with which id does it begin? Answers to somebody whom it does not know
/// as a member need an address: the envelope that came has it.
fn a_new_peer_is_born_and_filled(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(2, 1))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.make(b"", Wish::Add(2))?;
    caught_up(&mut city, 2)?;
    city.put(b"b", b"2")?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A learner gets the data and has no vote; the same peer is promoted.
fn a_learner_is_promoted(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(2, 1))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.make(b"", Wish::AddLearner(2))?;
    caught_up(&mut city, 2)?;
    let peer = on(&city, 2);
    city.make(b"", Wish::Add(2))?;
    city.put(b"b", b"2")?;
    let voters = city.view(1, REGION).map_or(0, |view| view.voters.len());
    if voters != 2 || on(&city, 2) != peer {
        return broke(
            "a learner was not promoted",
            format!("peer {peer:?} on store 2 was a learner, and then added as a voter"),
            format!("there are {voters} voters, and store 2 has peer {:?}", on(&city, 2)),
        );
    }
    city.finish()
}

/// The scheduler says who is to lead.
///
/// Hint: `TransferLeader` is no entry; the node acts on it at once.
fn leadership_goes_where_the_scheduler_wants_it(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    for store in [3, 1, 2, 3] {
        city.make(b"", Wish::Lead(store))?;
        city.put(b"a", &[b'0' + u8::try_from(store).unwrap_or(0)])?;
    }
    city.expect(b"a", Some(b"3"))?;
    city.finish()
}

/// The scheduler wants a store to lead that was cut off a moment ago, and says so again and again. Whoever hands over takes no
/// proposals, so a leader that waits for the silent one serves nothing. When it is back, it is to lead.
///
/// Hint: `Replica::heard` says when the leader last heard each member; every message of a member counts.
fn leadership_is_not_offered_to_the_silent(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"0")?;
    let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
    city.world.run_for(2 * SECOND)?;
    city.wish(b"", Wish::Lead(3));
    for round in 0..20u8 {
        city.world.run_for(SECOND / 5)?;
        let end = city.world.call(1, Op::Put(b"a".to_vec(), vec![round]), 1)?;
        if end.result() != Some(&OpResult::Written) {
            return broke(
                "a region stops to wait for a store that is away",
                "n3 was cut off more than two seconds ago, the scheduler wants it to lead, and n1 leads, with n2".to_owned(),
                format!("n1 does not take write {round} of twenty: {end:?}"),
            );
        }
    }
    city.world.heal(away)?;
    city.fulfil(10 * SECOND)?;
    city.expect(b"a", Some(&[19]))?;
    city.finish()
}

fn gone(city: &mut City<'_, '_>, node: u64, span: u64) -> Outcome {
    let had = city.view(node, REGION).map(|view| view.peer);
    if city.world.run_until(span, |world| world.view(node, REGION).is_none())? {
        return Ok(());
    }
    broke(
        "a removed peer is not destroyed",
        format!("peer {had:?} on n{node} is no member any more"),
        format!("after {} ms n{node} still shows {:?}", span / 1_000, city.view(node, REGION)),
    )
}

/// A peer whose removal is applied is destroyed: tombstone, log, data. A restart does not bring it back.
///
/// Hint: the tombstone first, durably. And what of the region in the store's map?
fn a_removed_peer_is_gone(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    let leader = city.settle()?;
    let victim = leader % 3 + 1;
    city.make(b"", Wish::Remove(victim))?;
    gone(&mut city, victim, 5 * SECOND)?;
    city.world.fault(Fault::Crash(Who::Node(victim), Cut::Power), Some(SECOND / 2))?;
    city.world.run_for(2 * SECOND)?;
    if let Some(view) = city.view(victim, REGION) {
        return broke(
            "a destroyed peer is back after a restart",
            format!("n{victim} had destroyed it"),
            format!("after a power cut it shows {view:?}"),
        );
    }
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// Who is removed and added again is another peer, with another id, and begins from nothing: an old log, an old vote or old
/// data under the new name would be a lie.
///
/// Hint: what is left in `raft.redb` when the peer is destroyed? What does the new one find there?
fn a_removed_peer_comes_back_as_another(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.put(b"b", b"1")?;
    city.make(b"", Wish::Lead(1))?;
    for round in 0..3u8 {
        let before = on(&city, 3);
        city.make(b"", Wish::Remove(3))?;
        gone(&mut city, 3, 5 * SECOND)?;
        city.put(b"a", &[b'2' + round])?;
        if round == 1 {
            city.world.fault(Fault::Crash(Who::Node(3), Cut::Power), Some(SECOND / 2))?;
        }
        city.make(b"", Wish::Add(3))?;
        caught_up(&mut city, 3)?;
        if on(&city, 3) == before {
            return broke(
                "a peer that was removed lives again",
                format!(
                    "peer {before:?} was removed from store 3, and another one was added there"
                ),
                "store 3 still shows the old one",
            );
        }
    }
    city.make(b"", Wish::Lead(3))?;
    city.expect(b"a", Some(b"4"))?;
    city.finish()
}

/// The leader itself may be removed. Its region elects another, and clients go on.
fn a_leader_that_is_removed_leaves_a_region_that_serves(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 4))?;
    for round in 0..2u8 {
        let leader = city.settle()?;
        city.put(b"a", &[b'0' + round])?;
        city.make(b"", Wish::Remove(leader))?;
        gone(&mut city, leader, 10 * SECOND)?;
        city.expect(b"a", Some(&[b'0' + round]))?;
    }
    city.finish()
}

/// Of two members the leader is removed: it hands over first. If it went at once, the other might never learn that the
/// change was committed, and could not elect itself without the one that is gone.
fn of_two_the_leader_can_be_removed(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(2, 2))?;
    let leader = city.settle()?;
    city.put(b"a", b"1")?;
    city.make(b"", Wish::Remove(leader))?;
    gone(&mut city, leader, 10 * SECOND)?;
    city.put(b"a", b"2")?;
    city.expect(b"a", Some(b"2"))?;
    city.finish()
}

/// A peer is cut off, removed meanwhile, and comes back with an old log. It campaigns, in its old configuration; whoever hears
/// that knows better, and says so: the peer destroys itself, and the region keeps its leader.
///
/// Hint: a message from somebody who is no member, in an older `conf_ver` than ours. What does its sender need to hear?
fn a_peer_that_was_removed_while_away_learns_of_it(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.put(b"a", b"1")?;
    let victim = leader % 3 + 1;
    let away = city.world.fault(Fault::Isolate(Who::Node(victim)), None)?;
    city.put(b"a", b"2")?;
    city.make(b"", Wish::Remove(victim))?;
    city.put(b"a", b"3")?;
    city.world.heal(away)?;
    gone(&mut city, victim, 10 * SECOND)?;
    city.expect(b"a", Some(b"3"))?;
    city.finish()
}

/// A peer was removed while it was away. It asks nobody whether it is a member still, and campaigns, as one does that hears nothing.
/// Whoever is asked for a vote by a stranger from an older configuration tells it, or it would ask for ever.
///
/// Hint: no member of ours, and its `conf_ver` is smaller than ours.
fn who_campaigns_in_vain_is_told_why(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { stale_ticks: 0, ..StoreConfig::new(3, 3) };
    let mut city = City::new(run, &config)?;
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
    city.make(b"", Wish::Remove(3))?;
    city.put(b"a", b"2")?;
    city.world.heal(away)?;
    gone(&mut city, 3, 10 * SECOND)?;
    city.expect(b"a", Some(b"2"))?;
    city.finish()
}

/// Two peers were removed, and one of them knows. The other one can reach nobody else. A tombstone that knows who was a member at its
/// epoch tells it.
///
/// Hint: it is none of those that the tombstone knows, and its `conf_ver` is smaller.
fn even_the_dead_tell_who_was_removed(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { stale_ticks: 0, ..StoreConfig::new(4, 3) };
    let mut city = City::new(run, &config)?;
    city.make(b"", Wish::Lead(2))?;
    city.put(b"a", b"1")?;
    let away = city.world.fault(Fault::Isolate(Who::Node(3)), None)?;
    city.make(b"", Wish::Remove(3))?;
    city.make(b"", Wish::Add(4))?;
    city.make(b"", Wish::Remove(1))?;
    gone(&mut city, 1, 10 * SECOND)?;
    let apart = city.world.fault(Fault::Partition(vec![vec![1, 3], vec![2, 4]]), None)?;
    city.world.heal(away)?;
    gone(&mut city, 3, 10 * SECOND)?;
    city.world.heal(apart)?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// A member lags behind: it does not know that another one was removed, and is destroyed. It campaigns in its old configuration and
/// asks the dead one for its vote. If that were born again, with an empty log and no memory of its votes, the two would elect
/// a leader whom the others know nothing of.
///
/// Hint: a peer that is no more has a tombstone. What does it say about the peer that the message is for?
fn the_dead_do_not_vote(run: &mut Run<'_, Cluster>) -> Outcome {
    let city = City::new(run, &StoreConfig::new(3, 3))?;
    let fact = "n3 had a peer of the region, and destroyed it when it was removed";
    is_not_born_again(city, None, fact)
}

/// n3's peer dies, perhaps with its store's power just then, while n2 is away; n2 comes back, and can ask n3 alone.
fn is_not_born_again(mut city: City<'_, '_>, cut: Option<Cut>, fact: &str) -> Outcome {
    city.make(b"", Wish::Lead(1))?;
    city.put(b"a", b"1")?;
    let away = city.world.fault(Fault::Isolate(Who::Node(2)), None)?;
    city.make(b"", Wish::Remove(3))?;
    gone(&mut city, 3, 10 * SECOND)?;
    if let Some(cut) = cut {
        city.world.fault(Fault::Crash(Who::Node(3), cut), Some(SECOND / 4))?;
    }
    city.world.heal(away)?;
    let apart = city.world.fault(Fault::Partition(vec![vec![2, 3], vec![1]]), None)?;
    city.world.run_for(4 * SECOND)?;
    if let Some(view) = city.view(3, REGION) {
        return broke(
            "a peer that was destroyed was born again",
            fact,
            format!("n2, which does not know that, asked it for its vote; n3 shows {view:?}"),
        );
    }
    city.world.heal(apart)?;
    city.put(b"a", b"2")?;
    city.expect(b"a", Some(b"2"))?;
    city.finish()
}

/// A store applies the removal of its peer, and its power goes before it has written all that destroys the peer. At the restart
/// the tombstone in the commit of the removal is all that tells who died here, when a member that lags behind asks for a vote.
///
/// Hint: applying one's own removal writes the region's state, as a tombstone. Does it name the peer that it is for?
fn the_dead_of_a_power_cut_do_not_vote(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(3, 3).setup();
    setup.times.apply = (20 * MS, 30 * MS);
    let fact = "n3 had applied the removal of its peer, durably, when its power was cut";
    is_not_born_again(City::with(run, setup)?, Some(Cut::Power), fact)
}

/// A peer is added on a store that is cut off half: it hears the leader once, is born, and gets nothing. Then it is removed
/// again. It has no data and no members to ask; it asks whom it has heard, and goes.
fn a_peer_without_data_goes_when_nobody_wants_it(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(4, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    // Nothing comes back from store 4, so it gets no snapshot either.
    let mute = city.world.fault(Fault::Half(Who::Node(4), true), None)?;
    city.make(b"", Wish::Add(4))?;
    let born = city.world.run_until(5 * SECOND, |world| world.view(4, REGION).is_some())?;
    if !born {
        return broke(
            "a peer is not born by its leader's first word",
            "a member was added on n4, which hears its leader",
            "five seconds later n4 has no peer",
        );
    }
    city.make(b"", Wish::Remove(4))?;
    city.world.heal(mute)?;
    gone(&mut city, 4, 10 * SECOND)?;
    city.put(b"a", b"2")?;
    city.finish()
}

/// One after the other, all peers of a region move to other stores; clients notice nothing.
fn all_peers_move_to_other_stores(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(6, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    for (from, to) in [(1, 4), (2, 5), (3, 6)] {
        city.make(b"", Wish::Add(to))?;
        city.put(b"b", &[b'0' + u8::try_from(to).unwrap_or(0)])?;
        city.make(b"", Wish::Remove(from))?;
        city.expect(b"a", Some(b"1"))?;
    }
    for node in 1..=3 {
        gone(&mut city, node, 10 * SECOND)?;
    }
    city.expect(b"b", Some(b"6"))?;
    city.finish()
}

/// A new member's snapshot may be installed before its log writer has written anything of it. If the power goes then, there is
/// data, and no log: that is a snapshot that came early, and no damage.
///
/// Hint: the installation leaves a copy of the raft state beside the data.
fn a_new_member_with_a_slow_log_survives_crashes(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = StoreConfig::new(2, 1).setup();
    setup.times.log_write = (100_000, 200_000);
    let mut city = City::with(run, setup)?;
    city.settle()?;
    city.put(b"a", b"1")?;
    for nth in 1..=4 {
        let point = sim::cluster::faults::Point::AfterSync;
        let crash = Fault::CrashAt(Who::Node(2), point, nth, Cut::Power);
        city.world.fault(crash, Some(SECOND / 2))?;
        city.make(b"", Wish::Add(2))?;
        caught_up(&mut city, 2)?;
        city.make(b"", Wish::Lead(1))?;
        city.make(b"", Wish::Remove(2))?;
        gone(&mut city, 2, 10 * SECOND)?;
    }
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

//! A change is proposed: one at a time, and not too early.

use proto::eraftpb::MessageType;
use raft_suite::mail::{accepted, entry, vote};
use raft_suite::members::{add, add_learner, remove};
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{change_entry, expect_changes, expect_works, lead, led_group, stranger};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("propose.rs":
        a_proposed_change_stands_in_the_log,
        a_group_grows_and_shrinks,
        one_change_at_a_time,
        a_new_leader_waits_for_its_own_first_entry,
        a_new_leader_waits_for_the_tail_of_its_log,
        a_second_leadership_begins_anew,
        a_change_that_changes_nothing_is_harmless,
        the_last_voter_stays,
        a_learner_has_the_log_and_no_vote,
        a_late_member_comes_by_snapshot,
        members_survive_a_crash,
    )
}

/// A change is an entry of the log as any other, of a type of its own, and it is sent and committed as one.
///
/// Hint: `raw.propose_entry` with `EntryType::EntryConfChange`.
fn a_proposed_change_stands_in_the_log(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = lead(&lab, Setup::of(1, &[1]), &[])?;
    let taken = node.propose_change(&add(2))?;
    let why = "n1, the only voter, has applied an entry of its term, and was asked to add n2";
    expect::that(taken.is_ok(), "a good change is refused", why, format!("{taken:?}"))?;
    expect_changes(&mut node, &[add(2)], why)?;
    node.settle()?;
    let members = node.conf().voters.clone();
    expect::that(
        members == [1, 2],
        "a change is not committed and applied",
        why,
        format!("the voters are {members:?}"),
    )
}

/// A group of three takes in a fourth, lets an old one go, and works all the while.
///
/// Hint: this is the whole of it; the smaller tests say which part is wrong.
fn a_group_grows_and_shrinks(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    stranger(&mut net, 4)?;
    net.change(1, &add(4))?;
    net.beats(1)?;
    let why = "n1 leads {n1 n2 n3}, and was asked to add n4";
    for id in 1..=4 {
        net.expect_members(id, &[1, 2, 3, 4], &[], why)?;
    }
    net.isolate(2);
    net.change(1, &remove(2))?;
    net.beats(1)?;
    let why = "n1 leads {n1 n2 n3 n4}; n2 is cut off, and is removed";
    for id in [1, 3, 4] {
        net.expect_members(id, &[1, 3, 4], &[], why)?;
    }
    net.isolate(3);
    expect_works(&mut net, 1, "of {n1 n3 n4}, n1 and n4 are up")?;
    net.heal();
    net.isolate(1);
    net.campaign(4)?;
    expect_works(&mut net, 4, "n4 was added; of {n1 n3 n4}, n3 and n4 are up")
}

/// While a change is in the log and not applied, a second one is not taken: the two together could make a group of which
/// a majority has no node in common with one of the old.
///
/// Hint: `pending_conf_index` against what is *applied*. Committed is not enough: until it is applied here, this leader
/// still counts by the old group.
fn one_change_at_a_time(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    stranger(&mut net, 4)?;
    stranger(&mut net, 5)?;
    net.ignore(MessageType::MsgAppend);
    net.change(1, &add(4))?;
    let _ = net.try_change(1, &add(5))?;
    let why = "n1 leads {n1 n2 n3}; `add n4` is in its log, and nobody else has it";
    expect_changes(net.node(1)?, &[add(4)], why)?;
    net.heal();
    net.late.insert(1);
    net.beats(1)?;
    let _ = net.try_change(1, &add(5))?;
    let why = "n1 leads {n1 n2 n3}; `add n4` is committed, and n1 has not applied it";
    expect_changes(net.node(1)?, &[add(4)], why)?;
    net.apply(1)?;
    net.change(1, &add(5))?;
    let why = "n1 leads {n1 n2 n3 n4}, and has applied everything";
    expect_changes(net.node(1)?, &[add(4), add(5)], why)?;
    net.expect_members(1, &[1, 2, 3, 4, 5], &[], why)
}

/// A new leader may not change the members before an entry of its own term is committed, and applied here. Until then
/// there may be an entry of an earlier leader somewhere, committed by a group that this one does not know (Ongaro's
/// correction of 2015 to the thesis, 4.1).
///
/// Hint: when a node becomes leader, the last index of its log is its own first entry.
fn a_new_leader_waits_for_its_own_first_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1]).applied(2))?;
    node.campaign()?;
    node.tell(vote(2, 1, 2, true))?;
    let why = "n1 was elected in term 2, has applied all of term 1, and nobody has its first entry";
    expect::role(&mut node, Role::Leader, 2, why)?;
    let _ = node.propose_change(&add(4))?;
    expect_changes(&mut node, &[], why)?;
    node.settle()?;
    let last = node.status()?.last_index;
    node.tell(accepted(2, 1, 2, last))?;
    let taken = node.propose_change(&add(4))?;
    let why = "n1 leads term 2, and has applied its first entry";
    expect::that(taken.is_ok(), "a good change is refused", why, format!("{taken:?}"))?;
    expect_changes(&mut node, &[add(4)], why)
}

/// A new leader's log may end with a change that an earlier leader proposed. Until that is applied, or is known not to
/// exist, there is no second one.
///
/// Hint: at each step from follower to leader, `pending_conf_index` is the end of the log. Nobody has to look
/// for a change in it.
fn a_new_leader_waits_for_the_tail_of_its_log(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let log = || vec![entry(1, 1, b""), change_entry(2, 1, &add(4))];
    let setup = |id| Setup::new(id, 3).entries(log()).applied(1);
    let mut net = lab.net(vec![setup(1), setup(2), setup(3)])?;
    net.late.insert(1);
    net.campaign(1)?;
    net.beats(1)?;
    let why = "n1 leads term 2; `add n4` of term 1 is in its log, is committed now, and not applied on n1";
    let _ = net.try_change(1, &add(5))?;
    expect_changes(net.node(1)?, &[add(4)], why)?;
    net.expect_members(1, &[1, 2, 3], &[], why)?;
    net.apply(1)?;
    net.change(1, &remove(4))?;
    net.beats(1)?;
    net.expect_members(1, &[1, 2, 3], &[], "n4 was added, and removed again")
}

/// What a leader remembers of changes is of one leadership. A change that was lost with the last one must not block
/// the next.
///
/// Hint: `look` starts over whenever the term that this node leads is another.
fn a_second_leadership_begins_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.isolate(1);
    for _ in 0..4 {
        net.propose(1, b"lost")?;
    }
    net.change(1, &add(4))?;
    net.campaign(2)?;
    net.heal();
    net.beats(2)?;
    net.campaign(1)?;
    net.beats(1)?;
    let why = "n1 led, and proposed `add n4` when it was cut off; n2 led, and the change was lost; n1 leads again";
    expect_changes(net.node(1)?, &[], why)?;
    net.change(1, &remove(3))?;
    net.expect_members(1, &[1, 2], &[], why)
}

/// Whoever asks for a change may ask twice, for the answer may be lost. Adding a member, or removing a stranger, changes
/// nothing, and blocks nothing.
///
/// Hint: it goes through the log like any other; what is done with it is `conf::changed`.
fn a_change_that_changes_nothing_is_harmless(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    for change in [add(2), add(2), remove(9), add(3)] {
        net.change(1, &change)?;
        net.beats(1)?;
        net.expect_members(1, &[1, 2, 3], &[], "what was asked for is so already")?;
    }
    expect_works(&mut net, 1, "n1 leads {n1 n2 n3}, and was asked for what is so already")?;
    net.change(1, &remove(3))?;
    net.expect_members(1, &[1, 2], &[], "then n3 was removed")
}

/// The last voter can neither go nor become a learner: nobody would be left to decide anything.
///
/// Hint: a change that `conf::changed` refuses is not proposed.
fn the_last_voter_stays(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [remove(1), add_learner(1)] {
        let mut net =
            lab.net(vec![Setup::of(1, &[1]).learners(&[2]), Setup::of(2, &[1]).learners(&[2])])?;
        net.campaign(1)?;
        net.beats(1)?;
        let _ = net.try_change(1, &change)?;
        net.beats(1)?;
        let why = "n1 is the only voter, and was asked to give up its vote";
        net.expect_members(1, &[1], &[2], why)?;
        expect_works(&mut net, 1, why)?;
        net.change(1, &add(2))?;
        net.expect_members(1, &[1, 2], &[], "then n2 was promoted")?;
    }
    Ok(())
}

/// A learner gets every entry and has no vote: the group commits without it, and never because of it.
///
/// Hint: a learner is a member, and no voter.
fn a_learner_has_the_log_and_no_vote(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    stranger(&mut net, 4)?;
    net.change(1, &add_learner(4))?;
    net.propose(1, b"a write")?;
    net.beats(1)?;
    net.expect_members(4, &[1, 2, 3], &[4], "n4 was added as a learner")?;
    let last = net.status(1)?.last_index;
    net.expect_commit(4, last, "a learner gets the log")?;
    net.isolate(2);
    net.isolate(3);
    net.propose(1, b"too few")?;
    net.beats(1)?;
    let why = "n1 leads {n1 n2 n3, learner n4}; n2 and n3 are cut off";
    net.expect_commit(1, last, why)?;
    net.heal();
    net.beats(1)?;
    net.expect_commit(1, last + 1, "n1 leads {n1 n2 n3, learner n4}, and all are up again")
}

/// A new member gets the leader's snapshot if the log does not begin at its beginning, and is a member as any other then.
/// Without a configuration of its own, it learns from the snapshot that there is a group.
///
/// Hint: nothing here is new: a restore goes through the core's `set_conf`.
fn a_late_member_comes_by_snapshot(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    for _ in 0..5 {
        net.propose(1, b"a write")?;
    }
    stranger(&mut net, 4)?;
    net.cut(1, 4);
    net.change(1, &add(4))?;
    let applied = net.status(1)?.applied;
    net.compact(1, applied)?;
    net.heal();
    net.beats(1)?;
    net.beats(1)?;
    let why = format!("n4 was added to {{n1 n2 n3}}; the leader's log begins behind {applied}");
    net.expect_members(4, &[1, 2, 3, 4], &[], &why)?;
    net.isolate(2);
    net.isolate(3);
    net.campaign(4)?;
    net.heal();
    net.campaign(4)?;
    expect_works(&mut net, 4, "n4 came by snapshot; all four are up, and it campaigned")
}

/// Who the members are is durable with what was applied: a node that was killed comes back into the group that it
/// knew.
///
/// Hint: `RawNode::new` starts from what the storage tells; `apply_conf_change` answers with what it must tell then.
fn members_survive_a_crash(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.change(1, &remove(3))?;
    net.beats(1)?;
    net.destroy(3);
    net.crash(2)?;
    net.crash(1)?;
    net.campaign(2)?;
    net.beats(2)?;
    expect_works(
        &mut net,
        2,
        "n3 was removed from {n1 n2 n3}; then both others were killed, and are back",
    )?;
    net.expect_members(2, &[1, 2], &[], "n3 was removed before the crash")
}

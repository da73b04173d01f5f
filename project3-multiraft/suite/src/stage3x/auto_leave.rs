//! A joint configuration that ends by itself.

use proto::eraftpb::ConfChangeTransition;
use raft_suite::members::{Change, add, at_once, is_joint, joint, leave, remove};
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, Net, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{before_the_move, expect_changes, leader_of, the_move};
use crate::stage3a::scene::{expect_works, led_group, stranger};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("auto_leave.rs":
        the_time_between_ends_by_itself,
        the_end_waits_until_the_beginning_is_applied,
        the_next_leader_ends_what_the_last_one_began,
        a_leader_of_the_old_half_hands_over_before_the_end,
    )
}

/// Whoever asked for the change need not come back for its end: the leader proposes it, once. If it was told to wait, it
/// waits.
///
/// Hint: `auto_leave` of the members that this node has applied.
fn the_time_between_ends_by_itself(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let changes = [add(4), add(5), remove(2), remove(3)];
    for kind in [ConfChangeTransition::Auto, ConfChangeTransition::Implicit] {
        let mut net = before_the_move(&lab)?;
        let change = joint(kind, &changes);
        net.change(1, &change)?;
        for _ in 0..3 {
            net.beats(1)?;
        }
        let why = format!("n1 led {{n1 n2 n3}}, and was asked to go to {{n1 n4 n5}} ({kind:?})");
        net.expect_members(1, &[1, 4, 5], &[], &why)?;
        expect_changes(net.node(1)?, &[Change::Many(change), Change::Many(leave())], &why)?;
        expect_works(&mut net, 1, &why)?;
    }
    let mut net = before_the_move(&lab)?;
    net.change(1, &the_move())?;
    for _ in 0..3 {
        net.beats(1)?;
    }
    let why = "n1 led {n1 n2 n3}, and was asked to go to {n1 n4 n5}, and not to leave the old half";
    expect_changes(net.node(1)?, &[Change::Many(the_move())], why)
}

/// The end is the next change: it comes when the beginning is applied, not before. Meanwhile this leader counts by the old
/// half alone.
///
/// Hint: `propose_conf_change` refuses until then; ask again.
fn the_end_waits_until_the_beginning_is_applied(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    stranger(&mut net, 4)?;
    let change = at_once([add(4), remove(3)]);
    net.late.insert(1);
    net.change(1, &change)?;
    net.beats(1)?;
    let why = "n1 leads {n1 n2 n3}; the move to {n1 n2 n4} is committed, and n1 has not applied it";
    expect_changes(net.node(1)?, &[Change::Many(change.clone())], why)?;
    net.apply(1)?;
    for _ in 0..3 {
        net.beats(1)?;
    }
    let why = "n1 has applied the move to {n1 n2 n4}";
    expect_changes(net.node(1)?, &[Change::Many(change), Change::Many(leave())], why)?;
    net.expect_members(1, &[1, 2, 4], &[], why)
}

/// Nodes that stand between two groups, `new` and `old`, and shall not stay there.
fn on_the_way<'l>(lab: &'l Lab<'l>, new: &[u64], old: &[u64], ids: &[u64]) -> Outcome<Net<'l>> {
    let setup = |&id: &u64| {
        let mut setup = Setup::of(id, new).outgoing(old);
        setup.image.conf.auto_leave = true;
        setup
    };
    lab.net(ids.iter().map(setup).collect())
}

/// The leader that began it may be gone. Whoever leads next finds the members as they are, and ends it when an entry of its
/// own term is applied.
///
/// Hint: what is to be done follows from the configuration, and from nothing that a leader remembers.
fn the_next_leader_ends_what_the_last_one_began(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = on_the_way(&lab, &[1, 4, 5], &[1, 2, 3], &[1, 2, 3, 4, 5])?;
    net.campaign(4)?;
    for _ in 0..3 {
        net.beats(4)?;
    }
    let why = "all stood between {n1 n2 n3} and {n1 n4 n5}, and n4 was elected";
    expect_changes(net.node(4)?, &[Change::Many(leave())], why)?;
    net.expect_members(4, &[1, 4, 5], &[], why)?;
    expect_works(&mut net, 4, why)
}

/// A voter of the old half may be elected in between. It must not end what takes its own vote: it hands over to one that
/// stays, and that one ends it.
///
/// Hint: the end is a change like any other, and `must_go_to` is asked of it.
fn a_leader_of_the_old_half_hands_over_before_the_end(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = on_the_way(&lab, &[2, 3], &[1, 2], &[1, 2, 3])?;
    net.campaign(1)?;
    for _ in 0..12 {
        net.tick_all()?;
    }
    let why = "all stood between {n1 n2} and {n2 n3}, and n1 was elected";
    let leader = leader_of(&mut net, &[2, 3], why)?;
    for _ in 0..3 {
        net.beats(leader)?;
    }
    net.expect_members(leader, &[2, 3], &[], why)?;
    let term = net.status(1)?.term;
    let log = net.log(leader)?;
    let ends: Vec<u64> = log.iter().filter(|e| e.entry_type != 0).map(|entry| entry.term).collect();
    expect::that(
        ends.iter().all(|&ended| ended > 1) && term > 1,
        "a leader that goes with the old half ends it itself",
        why,
        format!("the end is in the log of n{leader} with the terms {ends:?}; n1 led term 1"),
    )?;
    net.destroy(1);
    expect_works(&mut net, leader, &format!("{why}; it is gone now"))?;
    let conf = net.node(leader)?.conf().clone();
    expect::that(!is_joint(&conf), "the old half is not left", why, format!("{conf:?}"))?;
    net.expect_role(leader, Role::Leader, why)
}

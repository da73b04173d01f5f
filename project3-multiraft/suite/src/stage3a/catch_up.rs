//! Wishes that are granted: the transferee gets everything, and then the word.

use proto::eraftpb::MessageType;
use raft_suite::mail::{accepted, request_vote};
use raft_suite::members::remove;
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{
    change_entry, expect_changes, expect_closed, expect_open, expect_works, forward, leader,
    led_group, timeout_now, told,
};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("catch_up.rs":
        a_voter_that_has_everything_is_told_at_once,
        a_voter_that_is_behind_gets_everything_first,
        the_told_campaigns_at_once_and_wins,
        no_proposals_while_the_leader_hands_over,
        a_later_wish_takes_the_place_of_the_first,
        a_wish_for_the_leader_itself_ends_the_transfer,
        a_voter_that_needs_a_snapshot_gets_one,
        another_leader_ends_the_transfer,
        a_deposed_leader_forgets_the_transfer,
        a_transferee_that_is_removed_ends_the_transfer,
        leadership_goes_round,
    )
}

/// A transferee that has all of the leader's log is told to campaign, at once.
///
/// Hint: nothing will come from it that you could wait for.
fn a_voter_that_has_everything_is_told_at_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let sent = node.transfer(3)?;
    let why = "n1 leads {n1 n2 n3}, n3 has everything, and n1 was asked to hand over to n3";
    let m = expect::one(&sent, MessageType::MsgTimeoutNow, why)?;
    expect::that(
        m.to == 3 && m.from == 1 && m.term == 1,
        "the wrong node is told to campaign, or in the wrong term",
        why,
        raft_suite::notation::message(m),
    )
}

/// A transferee that lacks entries may lose the election, or win it and drop what clients still wait for. So it
/// gets them first; the word follows with its last acknowledgement, and not before.
///
/// Hint: `match` of the transferee against the *last* index, whenever it has answered an append.
fn a_voter_that_is_behind_gets_everything_first(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    puppets.only(&[2]);
    for _ in 0..3 {
        let sent = node.offer(b"a write")?;
        puppets.talk(&mut node, sent)?;
    }
    let last = node.status()?.last_index;
    let sent = node.transfer(3)?;
    let why = format!("n1 leads with entries up to {last}; n3 has those up to 1");
    expect::none(&sent, MessageType::MsgTimeoutNow, &why)?;
    let sent = node.tell(accepted(2, 1, 1, last))?;
    expect::none(&sent, MessageType::MsgTimeoutNow, &format!("{why}; n2 answered"))?;
    let sent = node.tell(accepted(3, 1, 1, last - 1))?;
    let almost = format!("n1 leads with entries up to {last}; n3 has acknowledged {}", last - 1);
    expect::none(&sent, MessageType::MsgTimeoutNow, &almost)?;
    let sent = node.tell(accepted(3, 1, 1, last))?;
    let now = format!("n1 is handing over to n3, which has acknowledged {last}, the last entry");
    expect::one(&sent, MessageType::MsgTimeoutNow, &now)?;

    // Committed or not: what is in the leader's log is somebody's write.
    let (mut node, _) = leader(&lab, &[2, 3])?;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    let sent = node.transfer(3)?;
    let why = format!("n1 leads; n3 has everything that is committed, and lacks entry {last}");
    expect::none(&sent, MessageType::MsgTimeoutNow, &why)?;
    let sent = node.tell(accepted(3, 1, 1, last))?;
    let now = format!("{why}; then it has acknowledged it");
    expect::one(&sent, MessageType::MsgTimeoutNow, &now).map(drop)
}

/// Who is told campaigns without waiting for its election timeout, in the next term, and marks the request as made for
/// the leader's sake: voters that protect their leader listen to it.
///
/// Hint: `CampaignKind::Transfer`. (It is the core that hears a MsgTimeoutNow.)
fn the_told_campaigns_at_once_and_wins(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(3, 3).log(&[1]).applied(1))?;
    node.settle()?;
    let sent = node.tell(timeout_now(1, 3, 1))?;
    let why = "n3 follows n1 in term 1, and got a MsgTimeoutNow";
    let m = expect::some(&sent, "a MsgRequestVote to n1", why, |m| {
        m.msg_type() == MessageType::MsgRequestVote && m.to == 1 && m.term == 2
    })?;
    expect::that(
        m.context.as_ref() == b"CampaignTransfer",
        "the request does not say that the leader wants it",
        why,
        format!("its context is {:?}", m.context),
    )?;
    let mut net = led_group(&lab, 3)?;
    net.propose(1, b"a write")?;
    net.transfer(1, 3)?;
    let why = "n1 led {n1 n2 n3}, all were up to date, and n1 was asked to hand over to n3";
    net.expect_role(3, Role::Leader, why)?;
    net.expect_role(1, Role::Follower, why)?;
    net.beats(3)?;
    expect_works(&mut net, 3, why)
}

/// While it hands over, a leader appends nothing: no proposal, no change of members, and nothing that a follower passed
/// on. One more entry, and the transferee is behind again.
///
/// Hint: there are three ways in: `propose`, `propose_conf_change` and `step`.
fn no_proposals_while_the_leader_hands_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    puppets.only(&[2]);
    let sent = node.offer(b"a write")?;
    puppets.talk(&mut node, sent)?;
    node.transfer(3)?;
    let last = node.status()?.last_index;
    let why = "n1 leads, and is handing over to n3, which lacks an entry";
    expect_closed(&mut node, why)?;
    let _ = node.propose_change(&remove(2))?;
    expect_changes(&mut node, &[], why)?;
    let brought = vec![raft_suite::mail::entry(0, 0, b"x"), change_entry(0, 0, &remove(2))];
    node.deliver(&forward(2, 1, brought).into())?;
    expect::status(&mut node, "ending its log where it did", why, |s| s.last_index == last)
}

/// Whoever asks last is right: the leader turns to the new transferee.
///
/// Hint: end the first transfer, then begin the second.
fn a_later_wish_takes_the_place_of_the_first(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.isolate(3);
    net.transfer(1, 3)?;
    net.transfer(1, 2)?;
    let why = "n1 was asked to hand over to n3, which is cut off; then to n2, which is up to date";
    net.expect_role(2, Role::Leader, why)?;
    net.beats(2)?;
    expect_works(&mut net, 2, why)
}

/// A wish for the leader itself says: stay. It ends a transfer that is under way.
///
/// Hint: abort, and do nothing else.
fn a_wish_for_the_leader_itself_ends_the_transfer(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.isolate(3);
    net.propose(1, b"n3 has not got this")?;
    net.transfer(1, 3)?;
    let why = "n1 is handing over to n3, which is cut off";
    expect_closed(net.node(1)?, why)?;
    net.transfer(1, 1)?;
    expect_works(&mut net, 1, "n1 was asked to hand over to n3, which is cut off; then to itself")
}

/// A transferee whose missing entries are compacted gets a snapshot on the way, and takes over after it.
///
/// Hint: an acknowledgement is one, whatever it answers: an append or a snapshot.
fn a_voter_that_needs_a_snapshot_gets_one(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.isolate(3);
    net.propose(1, b"one")?;
    net.propose(1, b"two")?;
    let applied = net.status(1)?.applied;
    net.compact(1, applied)?;
    net.heal();
    net.transfer(1, 3)?;
    for _ in 0..5 {
        net.tick(1)?;
    }
    let why = format!(
        "n3 was cut off, and n1's log begins behind {applied}; n1 was asked to hand over to n3"
    );
    net.expect_role(3, Role::Leader, &why)?;
    net.beats(3)?;
    expect_works(&mut net, 3, &why)
}

/// A leader that is deposed while it hands over has nothing to hand over any more.
///
/// Hint: the core changes its role by itself; look at it after each step.
fn another_leader_ends_the_transfer(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    puppets.only(&[2]);
    let sent = node.offer(b"a write")?;
    puppets.talk(&mut node, sent)?;
    node.transfer(3)?;
    let last = node.status()?.last_index;
    node.tell(request_vote(2, 1, 2, (last, 1)))?;
    let why = "n1 was handing over to n3 in term 1; n2 campaigns in term 2";
    expect::role(&mut node, Role::Follower, 2, why)?;
    let sent = node.tell(accepted(3, 1, 1, last))?;
    expect::none(&sent, MessageType::MsgTimeoutNow, &format!("{why}; then n3's last answer came"))
}

/// When a node leads again, the wish of its last leadership is void: it takes proposals, and tells nobody to campaign.
///
/// Hint: `look`.
fn a_deposed_leader_forgets_the_transfer(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.isolate(3);
    net.propose(1, b"n3 has not got this")?;
    net.transfer(1, 3)?;
    net.campaign(2)?;
    let why = "n1 was handing over to n3, which is cut off; then n2 was elected";
    net.expect_role(2, Role::Leader, why)?;
    net.campaign(1)?;
    net.heal();
    net.sent.clear();
    net.beats(1)?;
    let why = "n1 was handing over to n3 in term 2, n2 led term 3, n1 leads term 4";
    expect::none(&net.sent, MessageType::MsgTimeoutNow, why)?;
    expect_works(&mut net, 1, why)
}

/// If the transferee is removed meanwhile, there is nobody to wait for: the leader goes on at once. If somebody else is, it waits on.
///
/// Hint: `apply_conf_change` knows who has a vote from now on.
fn a_transferee_that_is_removed_ends_the_transfer(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3, 4])?;
    puppets.only(&[2, 4]);
    let sent = node.offer(b"n3 has not got this")?;
    puppets.talk(&mut node, sent)?;
    node.transfer(3)?;
    let why = "n1 is handing over to n3, which is silent";
    expect_closed(&mut node, why)?;
    node.impose(&remove(4))?;
    expect_closed(&mut node, "n1 is handing over to n3, and n4 was removed")?;
    node.impose(&remove(3))?;
    expect_open(&mut node, "n1 was handing over to n3, which was removed")
}

/// Leadership goes round a group and back, and no write is lost on the way.
///
/// Hint: what is left over from the last time?
fn leadership_goes_round(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    for (from, to) in [(1, 2), (2, 3), (3, 1), (1, 3), (3, 2)] {
        net.transfer(from, to)?;
        let why =
            format!("n{from} led, all were up to date, and it was asked to hand over to n{to}");
        net.expect_role(to, Role::Leader, &why)?;
        net.beats(to)?;
        expect_works(&mut net, to, &why)?;
        net.beats(to)?;
    }
    let sent = std::mem::take(&mut net.sent);
    expect::that(
        told(&sent).len() == 5,
        "five wishes are five transfers",
        "leadership went round five times",
        format!("told to campaign, in this order: {:?}", told(&sent)),
    )
}

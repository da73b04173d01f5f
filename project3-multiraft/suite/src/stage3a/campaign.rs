//! Who may campaign, and who must not.

use proto::eraftpb::MessageType;
use raft_suite::mail::{Mail, entry};
use raft_suite::members;
use raft_suite::protocol::{Input, RaftNode, Role};
use raft_suite::world::{Lab, Node, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{change_entry, expect_works, led_group, timeout_now};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("campaign.rs":
        a_group_elects_and_commits_as_before,
        a_peer_without_a_group_never_campaigns,
        a_learner_never_campaigns,
        a_node_outside_its_group_never_campaigns,
        who_has_a_change_to_apply_does_not_campaign,
        who_has_applied_the_change_campaigns_again,
    )
}

/// A node whose members could change is a Raft node all the same: it elects, takes proposals and commits.
///
/// Hint: every tick, step and campaign ends with `look`.
fn a_group_elects_and_commits_as_before(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    expect_works(&mut net, 1, "three nodes, all up; n1 campaigned")?;
    net.campaign(2)?;
    net.beats(2)?;
    expect_works(&mut net, 2, "three nodes, all up; n2 campaigned after n1")?;
    for id in 1..=3 {
        net.expect_commit(id, 9, "two elections and two writes")?;
    }
    Ok(())
}

// Nothing makes it ask for votes.
fn expect_never_runs(node: &mut Node, who: &str) -> Outcome {
    let term = node.status()?.term;
    let why = |what: &str| format!("n{} {who}; {what}", node.id);
    let (waited, asked, told) = (
        why("60 ticks went by without a word of a leader"),
        why("its driver called `campaign`"),
        why("it got a MsgTimeoutNow"),
    );
    let silent = |node: &mut Node, sent: &[Mail], why: &str| -> Outcome {
        expect::none(sent, MessageType::MsgRequestVote, why)?;
        expect::status(node, "a follower that waits", why, |s| {
            s.role == Role::Follower && s.term <= term.max(1)
        })
    };
    let sent = node.ticks(60)?;
    silent(node, &sent, &waited)?;
    let sent = node.campaign()?;
    silent(node, &sent, &asked)?;
    let sent = node.tell(timeout_now(9, node.id, term.max(1)))?;
    silent(node, &sent, &told)
}

/// A peer that was created by a message knows of no members yet. It must wait for the leader's snapshot or log, however
/// long: a group of nobody has no majority, and its votes for itself would be worth nothing.
///
/// Hint: who is `promotable`? An empty configuration is one, too.
fn a_peer_without_a_group_never_campaigns(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::of(4, &[]))?;
    expect_never_runs(&mut node, "was created, and knows of no group")
}

/// A learner receives the log and has no vote, so it does not campaign: not when it hears nothing, and not when
/// somebody tells it to.
///
/// Hint: only a voter is `promotable`.
fn a_learner_never_campaigns(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::of(4, &[1, 2, 3]).learners(&[4]).log(&[1, 1]))?;
    expect_never_runs(&mut node, "is a learner")
}

/// A node that is not in its own configuration was removed. If it ran, it would disturb a group that is content.
///
/// Hint: only a voter is `promotable`.
fn a_node_outside_its_group_never_campaigns(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::of(1, &[2, 3, 4]).log(&[1, 1]))?;
    expect_never_runs(&mut node, "is not among its members n2, n3 and n4")
}

fn with_change<'l>(lab: &'l Lab<'l>) -> Outcome<Node<'l>> {
    let log = vec![entry(1, 1, b""), change_entry(2, 1, &members::add(4)), entry(3, 1, b"a write")];
    let setup = Setup::new(1, 3).entries(log).applied(1);
    // Committed: the write behind the change is, too.
    let mut node = lab.node(setup.commit(3))?;
    // It is handed out, and the state machine takes its time.
    while let Some(taken) = node.ready()? {
        node.persisted(taken.number)?;
    }
    Ok(node)
}

fn take_all(node: &mut Node) -> Outcome<Vec<Mail>> {
    let mut sent = Vec::new();
    while let Some(taken) = node.ready()? {
        sent.extend(taken.messages);
        sent.extend(node.persisted(taken.number)?);
    }
    Ok(sent)
}

/// A change of members is committed, and this node has not applied it: it does not know yet who has a vote. It must
/// not campaign before it does, or it could win with a majority of a group that is gone, while the new group has a
/// leader of its own.
///
/// Hint: `conf::harmless` is the gate; the core asks it about each entry that is committed and not applied.
fn who_has_a_change_to_apply_does_not_campaign(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = with_change(&lab)?;
    let why = "entry 2 adds n4, and is committed; n1 has applied entry 1";
    for _ in 0..60 {
        let _ = node.order(Input::Tick)?;
        let sent = take_all(&mut node)?;
        expect::none(&sent, MessageType::MsgRequestVote, why)?;
    }
    let _ = node.order(Input::Campaign)?;
    let sent = take_all(&mut node)?;
    expect::none(&sent, MessageType::MsgRequestVote, why)?;
    node.deliver(&timeout_now(2, 1, 1).into())?;
    let sent = take_all(&mut node)?;
    expect::none(&sent, MessageType::MsgRequestVote, why)?;
    expect::status(&mut node, "a follower", why, |s| s.role == Role::Follower)
}

/// Once the change is applied, the gate is open, and the new member is asked for its vote.
///
/// Hint: after `apply_conf_change` the core's members are the new ones.
fn who_has_applied_the_change_campaigns_again(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = with_change(&lab)?;
    node.applied(3)?;
    let why = "entry 2 adds n4; n1 has applied it, and campaigns";
    let sent = node.campaign()?;
    expect::some(&sent, "a MsgRequestVote to n4", why, |m| {
        m.msg_type() == MessageType::MsgRequestVote && m.to == 4
    })
    .map(drop)
}

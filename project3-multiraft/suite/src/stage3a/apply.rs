//! A change is applied: what it makes of the group, and of what a leader knows.

use proto::eraftpb::{ConfChange, MessageType};
use raft_suite::mail::{accepted, of_kind, vote};
use raft_suite::members::{self, add, add_learner, remove};
use raft_suite::notation;
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, Node, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{lead, leader};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("apply.rs":
        a_change_makes_the_group_that_it_says,
        a_change_of_the_last_voter_changes_nothing,
        a_change_counts_on_a_follower_too,
        a_new_member_has_nothing_yet,
        a_member_that_stays_is_known_as_before,
        a_promoted_learner_keeps_what_it_has,
        what_waited_for_the_removed_is_committed,
        a_leader_that_is_removed_counts_no_more,
        an_acknowledgement_of_the_removed_does_not_count,
        a_vote_of_the_removed_does_not_count,
        a_new_voter_is_asked_and_counted,
    )
}

/// What each change makes of voters and learners. A voter is never a learner at the same time, and a change that finds
/// everything as it should be is none.
///
/// Hint: the table at `conf::changed`.
fn a_change_makes_the_group_that_it_says(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [ConfChange; 10] = [
        add(5),
        add(2),
        add(4),
        add_learner(5),
        add_learner(4),
        add_learner(3),
        remove(3),
        remove(4),
        remove(9),
        add(0),
    ];
    for change in rows {
        let mut node = lab.node(Setup::of(1, &[1, 2, 3]).learners(&[4]))?;
        node.settle()?;
        // Its answer is held against the table there.
        let answer = node.apply_change(&change)?;
        expect::that(
            answer.is_ok(),
            "a good change is refused",
            format!("of the members {{n1 n2 n3, learner n4}}: {}", members::show_change(&change)),
            format!("it says: {}", answer.err().unwrap_or_default()),
        )?;
    }
    // One upon the other.
    let mut node = lab.node(Setup::of(1, &[1]))?;
    node.settle()?;
    for change in [add_learner(2), add(3), add(2), add_learner(3), remove(3), add(3), remove(1)] {
        node.impose(&change)?;
    }
    Ok(())
}

/// A group without voters could never decide anything again, not even to take somebody in. Such a change, if it ever
/// gets into the log, changes nothing, on any replica.
///
/// Hint: look at what would be left, before you set it.
fn a_change_of_the_last_voter_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [remove(1), add_learner(1)] {
        let (mut node, _) = lead(&lab, Setup::of(1, &[1]).learners(&[2]), &[2])?;
        let _ = node.apply_change(&change)?;
        let sent = node.offer(b"a write")?;
        drop(sent);
        let last = node.status()?.last_index;
        let why = format!(
            "n1 is the only voter, and applied: {}; then it got a proposal",
            members::show_change(&change)
        );
        expect::commit(&mut node, last, &why)?;
    }
    Ok(())
}

/// Followers apply a change as their leader does: the next leader is one of them, and must know whom to ask.
///
/// Hint: `apply_conf_change` sets the core's members whoever leads.
fn a_change_counts_on_a_follower_too(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.settle()?;
    node.impose(&remove(3))?;
    node.impose(&add(4))?;
    let sent = node.campaign()?;
    let mut asked: Vec<u64> =
        of_kind(&sent, MessageType::MsgRequestVote).iter().map(|m| m.to).collect();
    asked.sort_unstable();
    expect::that(
        asked == [2, 4],
        "a candidate does not ask the voters of its group",
        "a follower of the group {n1 n2 n3} applied: remove n3, add n4; then it campaigned",
        format!("it asked {asked:?}"),
    )
}

fn matched(node: &mut Node, member: u64) -> Outcome<Option<u64>> {
    let status = node.status()?;
    Ok(status.progress.iter().find(|(id, ..)| *id == member).map(|(_, matched, _)| *matched))
}

/// Of a new member nothing is known: it has no entry until it says so. A leader that took it for a copy of its log
/// would count it, and commit what is on no majority.
///
/// Hint: `match` of a new member is 0. And it must be sent what it lacks.
fn a_new_member_has_nothing_yet(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = lead(&lab, Setup::of(1, &[1]).log(&[1, 1, 1]), &[])?;
    node.impose(&add(2))?;
    let last = node.status()?.last_index;
    node.offer(b"a write")?;
    let why = "n1 was the only voter, and added n2, which has not answered yet; then it proposed";
    let seen = matched(&mut node, 2)?;
    expect::that(
        seen == Some(0),
        "a new member is taken for one that has entries",
        why,
        format!("match of n2 is {seen:?}"),
    )?;
    expect::commit(&mut node, last, why)?;
    puppets.add(2);
    puppets.beats(&mut node, 4)?;
    let why = "n1 leads {n1 n2}; n2 answers now";
    expect::commit(&mut node, last + 1, why)?;
    let seen = matched(&mut node, 2)?;
    expect::that(
        seen == Some(last + 1),
        "a new member is not brought up to date",
        why,
        format!("match of n2 is {seen:?}"),
    )
}

/// A change of one member says nothing about the others. What a leader knows of those, it keeps; also of one that is
/// "added" a second time.
///
/// Hint: an existing `Progress` stays as it is.
fn a_member_that_stays_is_known_as_before(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [add(2), add(1), add(4), add_learner(4), remove(3)] {
        let (mut node, _) = leader(&lab, &[2, 3])?;
        let before = node.status()?;
        node.impose(&change)?;
        let why = format!(
            "n1 led {{n1 n2 n3}}, all had everything up to {}; it applied: {}",
            before.last_index,
            members::show_change(&change)
        );
        for id in [1, 2] {
            let seen = matched(&mut node, id)?;
            expect::that(
                seen == Some(before.last_index),
                format!("what the leader knew of n{id} is forgotten"),
                &why,
                format!("match of n{id} is {seen:?}"),
            )?;
        }
    }
    Ok(())
}

/// A learner that becomes a voter has its log already, and counts with it at once.
///
/// Hint: promotion moves a name from one list to the other, and touches no `Progress`.
fn a_promoted_learner_keeps_what_it_has(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = lead(&lab, Setup::of(1, &[1, 2]).learners(&[3]), &[2, 3])?;
    node.impose(&add(3))?;
    puppets.only(&[3]);
    let sent = node.offer(b"a write")?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 2)?;
    let last = node.status()?.last_index;
    let why =
        "n1 led {n1 n2, learner n3}, and promoted n3; of the next write n3 has a copy, n2 has none";
    expect::commit(&mut node, last, why)
}

/// An entry waits for a member that is slow. When that one is removed, the others are a majority, and have it: it is
/// committed at once, since nobody else's answer will come.
///
/// Hint: after every change, look at the commit index again.
fn what_waited_for_the_removed_is_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [(&[u64], &[u64], u64); 2] = [(&[2], &[], 2), (&[2, 3, 4], &[3], 4)];
    for (others, quick, slow) in rows {
        let (mut node, mut puppets) = leader(&lab, others)?;
        puppets.only(quick);
        let sent = node.offer(b"a write")?;
        puppets.talk(&mut node, sent)?;
        let last = node.status()?.last_index;
        let group = others.len() + 1;
        let why = format!("of {group} voters {} have the write", 1 + quick.len());
        expect::commit(&mut node, last - 1, &why)?;
        node.impose(&remove(slow))?;
        let why = format!("{why}; n{slow}, which has not, is removed");
        expect::commit(&mut node, last, &why)?;
    }
    Ok(())
}

/// A leader that has applied its own removal belongs to the group no more: its copy of an entry does not count. If it
/// did, an entry could be committed that is on a minority of the real members (thesis 4.2.2).
///
/// Hint: the core counts the voters of its configuration. Is it set when the leader itself is removed?
fn a_leader_that_is_removed_counts_no_more(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let before = node.status()?.last_index;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    node.impose(&remove(1))?;
    node.tell(accepted(2, 1, 1, last))?;
    let why = "n1 led {n1 n2 n3}, had one write on its disk that nobody else had, and applied its own removal; then n2 acknowledged the write";
    expect::commit(&mut node, before, why)
}

/// A late acknowledgement of a member that was removed is an answer of a stranger: it counts for nothing, and makes no
/// member of it again.
///
/// Hint: progress is kept of members only, and answers make no new entries in it.
fn an_acknowledgement_of_the_removed_does_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let before = node.status()?.last_index;
    node.impose(&remove(3))?;
    node.offer(b"a write")?;
    node.tell(accepted(3, 1, 1, before + 1))?;
    let why = "n1 leads {n1 n2}; of its last write n2 has no copy; n3, which was removed, acknowledged it";
    expect::commit(&mut node, before, why)?;
    let seen = matched(&mut node, 3)?;
    expect::that(seen.is_none(), "a removed member is known again", why, format!("{seen:?}"))?;
    node.tell(accepted(2, 1, 1, before + 1))?;
    expect::commit(&mut node, before + 1, "n1 leads {n1 n2}, and n2 has acknowledged the write")
}

/// A vote of a node that was removed does not count.
///
/// Hint: votes are counted by voter of the candidate's configuration.
fn a_vote_of_the_removed_does_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 4))?;
    node.settle()?;
    node.impose(&remove(4))?;
    node.impose(&remove(3))?;
    node.campaign()?;
    for gone in [3, 4] {
        node.tell(vote(gone, 1, 1, true))?;
    }
    let why =
        "of {n1 n2 n3 n4} n3 and n4 were removed; n1 campaigned, and got the votes of n3 and n4";
    expect::role(&mut node, Role::Candidate, 1, why)?;
    node.tell(vote(2, 1, 1, true))?;
    expect::role(&mut node, Role::Leader, 1, "n1 has the votes of both of {n1 n2}")
}

/// A voter that was added is needed for a majority, and counts for one.
///
/// Hint: the quorum is made of the voters anew at each change.
fn a_new_voter_is_asked_and_counted(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.settle()?;
    node.impose(&add(4))?;
    node.campaign()?;
    node.tell(vote(2, 1, 1, true))?;
    let status = node.status()?;
    let why = "n4 was added to {n1 n2 n3}; n1 campaigned, and has its own vote and that of n2";
    expect::that(
        status.role == Role::Candidate,
        "two votes of four are taken for a majority",
        why,
        notation::status(1, &status),
    )?;
    node.tell(vote(4, 1, 1, true))?;
    expect::role(&mut node, Role::Leader, 1, "n1 has the votes of n1, n2 and n4, of four")
}

//! What a leader knows of its followers: late, doubled and foreign answers (sections 5.3 and 5.5).

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{accepted, append, message, refused, vote};
use crate::notation;
use crate::protocol::{Input, RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("progress.rs":
        match_never_falls,
        an_answer_counts_for_what_it_names,
        match_starts_from_nothing_in_each_leadership,
        an_answer_of_an_older_term_is_not_counted,
        answers_of_strangers_are_not_counted,
        an_append_tells_what_is_committed,
        a_heartbeat_tells_each_what_it_can_believe,
        late_refusals_do_no_harm,
        a_follower_far_behind_is_brought_in_line,
        a_long_conflict_is_skipped_in_few_steps,
        a_refused_leader_skips_what_the_other_log_cannot_have,
        an_unreachable_follower_is_served_again,
    )
}

fn matched(node: &mut Node, follower: u64) -> Outcome<u64> {
    let status = node.status()?;
    let found = status.progress.iter().find(|(id, _, _)| *id == follower);
    Ok(found.map_or(0, |(_, matched, _)| *matched))
}

fn expect_match(node: &mut Node, follower: u64, expected: u64, why: &str) -> Outcome {
    let seen = matched(node, follower)?;
    expect::that(
        seen == expected,
        format!("match of n{follower} should be {expected}"),
        why,
        format!("it is {seen}; {}", notation::status(node.id, &node.status()?)),
    )
}

/// A leader of a group of this size in term 1, whose followers have stored all of `count` entries.
fn leader<'l>(lab: &'l Lab<'l>, size: u64, count: u64) -> Outcome<(Node<'l>, Puppets)> {
    let mut puppets = Puppets::new(&(2..=size).collect::<Vec<_>>());
    let mut node = lab.node(Setup::new(1, size))?;
    puppets.elect(&mut node)?;
    for _ in 1..count {
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
    }
    puppets.beats(&mut node, 3)?;
    Ok((node, puppets))
}

/// Within a term, what a follower has acknowledged stays stored. Answers overtake each other: an older one
/// that arrives later says nothing new.
///
/// Hint: `match` becomes the larger of what it was and what the answer names.
fn match_never_falls(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3, 5)?;
    expect_match(&mut node, 2, 5, "n2 acknowledged 5 entries")?;
    for late in [3, 1, 0, 5, 4] {
        node.tell(accepted(2, 1, 1, late))?;
        let why = format!("n2 had acknowledged 5, then a late answer for {late} arrived");
        expect_match(&mut node, 2, 5, &why)?;
        expect::commit(&mut node, 5, &why)?;
    }
    Ok(())
}

/// An acknowledgement is for the entries that it names, not for all that was sent since: those may be lost
/// on the way. With `match = next - 1` a leader commits what nobody has.
///
/// Hint: use the index in the answer.
fn an_answer_counts_for_what_it_names(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3, 2)?;
    for _ in 0..4 {
        node.offer(b"some data")?;
    }
    for index in 3..=6 {
        node.tell(accepted(2, 1, 1, index))?;
        let why =
            format!("four proposals made 3 to 6; n2 acknowledged up to {index}, n3 only up to 2");
        expect_match(&mut node, 2, index, &why)?;
        expect_match(&mut node, 3, 2, &why)?;
        expect::commit(&mut node, index, &why)?;
    }
    Ok(())
}

/// "When a leader first comes to power, it initializes all nextIndex values"; matchIndex is initialised to
/// 0 (figure 2). What a follower had acknowledged in an earlier leadership of this node may have been
/// overwritten since.
///
/// Hint: make all progress new in `become_leader`.
fn match_starts_from_nothing_in_each_leadership(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 3, 5)?;
    node.tell(append(2, 1, 2, (5, 1), Vec::new()))?;
    expect::role(&mut node, Role::Follower, 2, "n2 leads term 2")?;
    puppets.only(&[]);
    node.campaign()?;
    node.tell(vote(3, 1, 3, true))?;
    expect::role(&mut node, Role::Leader, 3, "n3 granted its vote in term 3")?;
    let why = "n1 led term 1, when all acknowledged 5; n2 led term 2; n1 leads term 3, and nobody has answered it";
    expect_match(&mut node, 2, 0, why)?;
    expect_match(&mut node, 3, 0, why)?;
    node.ticks(3)?;
    expect::commit(&mut node, 5, why)
}

/// An acknowledgement given in an older term is about a log that may have been overwritten. A leader that
/// was deposed and elected again must not count it.
///
/// Hint: drop answers of older terms as you drop requests of older terms.
fn an_answer_of_an_older_term_is_not_counted(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3, 1)?;
    node.offer(b"in term 1")?;
    node.tell(append(2, 1, 2, (1, 1), Vec::new()))?;
    node.campaign()?;
    node.tell(vote(3, 1, 3, true))?;
    expect::role(&mut node, Role::Leader, 3, "n3 granted its vote in term 3")?;
    for term in [1, 2] {
        for from in [2, 3] {
            node.tell(accepted(from, 1, term, 3))?;
        }
        let why = format!(
            "it leads term 3 with the log [1..2@1 3@3]; acknowledgements of term {term} up to 3 arrived"
        );
        expect::commit(&mut node, 1, &why)?;
        expect_match(&mut node, 2, 0, &why)?;
    }
    node.tell(accepted(2, 1, 3, 3))?;
    expect::commit(&mut node, 3, "n2 acknowledged 3 in term 3")
}

/// Only voters of the configuration make a majority. Others may answer, too: a learner, a node that was
/// removed.
///
/// Hint: look the sender up before you note anything.
fn answers_of_strangers_are_not_counted(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3, 4, 5, 6]);
    let mut node = lab.node(Setup::new(1, 5).learners(&[6]))?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    node.offer(b"some data")?;
    for stranger in [6, 7, 8, 9] {
        node.tell(accepted(stranger, 1, 1, 2))?;
    }
    let why = "of the voters n1 to n5 only n1 has stored 2@1; n6, a learner, and n7 to n9 say that they have";
    expect::commit(&mut node, 1, why)?;
    node.tell(accepted(2, 1, 1, 2))?;
    node.tell(accepted(3, 1, 1, 2))?;
    expect::commit(&mut node, 2, "n1, n2 and n3 of five have stored 2@1")
}

/// An append carries the commit index, too (figure 2, leaderCommit): under load a follower applies what it has with the next append,
/// and need not wait for a heartbeat.
///
/// Hint: `commit` in the message.
fn an_append_tells_what_is_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3, 4)?;
    let why = "all of its four entries are committed, and another one was proposed";
    let sent = node.offer(b"some data")?;
    for to in [2, 3] {
        expect::some(&sent, &format!("an append of 5@1 to n{to} with commit 4"), why, |m| {
            (m.msg_type(), m.to, m.commit) == (MessageType::MsgAppend, to, 4)
                && m.entries.iter().any(|e| (e.index, e.term) == (5, 1))
        })?;
    }
    Ok(())
}

/// A heartbeat carries the commit index, so that a follower learns of it when the append that said so was lost. But to
/// each only as far as its log is known to agree: behind that it may have entries of another leader.
///
/// Hint: the smaller of `committed` and the follower's match index.
fn a_heartbeat_tells_each_what_it_can_believe(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1]).term(1))?;
    node.campaign()?;
    node.tell(vote(3, 1, 2, true))?;
    node.tell(accepted(2, 1, 2, 4))?;
    let why = "n2 has acknowledged all four entries, and n3 nothing yet";
    expect::commit(&mut node, 4, why)?;
    let sent = node.ticks(5)?;
    for (to, commit) in [(2, 4), (3, 0)] {
        expect::some(&sent, &format!("a heartbeat to n{to} with commit {commit}"), why, |m| {
            (m.msg_type(), m.to, m.commit) == (MessageType::MsgHeartbeat, to, commit)
        })?;
    }
    Ok(())
}

/// A refusal names an entry of the other log and its term. Entries of larger terms cannot be in that log, so the leader goes back
/// behind all of them at once, and no further: what it sends again costs time, too. A refusal without a term (0) says the place only.
///
/// Hint: `find_conflict_by_term` from the hint on, in the leader's own log; the next append goes behind what it returns.
fn a_refused_leader_skips_what_the_other_log_cannot_have(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let log = [1, 1, 1, 3, 3, 3, 5];
    for (hint, base) in
        [((6, 2), (3, 1)), ((6, 4), (6, 3)), ((5, 3), (5, 3)), ((2, 1), (2, 1)), ((5, 0), (5, 3))]
    {
        let mut node = lab.node(Setup::new(1, 3).log(&log).term(5))?;
        node.campaign()?;
        node.tell(vote(3, 1, 6, true))?;
        let m = refused(2, 1, 6, 7, hint);
        let why = format!(
            "its log is {}, and n2 refused what goes behind 7@5: {}",
            notation::log(&log),
            notation::message(&m)
        );
        let sent = node.tell(m)?;
        let next = expect::one(&sent, MessageType::MsgAppend, &why)?;
        expect::that(
            (next.index, next.log_term) == base,
            format!("the next append should go behind {}", notation::at(base.0, base.1)),
            &why,
            notation::message(next),
        )?;
    }
    Ok(())
}

/// A refusal that arrives twice, late, or with numbers that make no sense, costs time and nothing else:
/// next stays at least 1, match stays, and the follower is served on.
///
/// Hint: unsigned numbers below zero are very large. Is this refusal an answer to what was sent last?
fn late_refusals_do_no_harm(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 3, 4)?;
    for round in 0..3 {
        for base in [0, 1, 3, 4, 5] {
            for hint in [(0, 0), (1, 1), (3, 1), (4, 1)] {
                node.tell(refused(2, 1, 1, base, hint))?;
                let status = node.status()?;
                let (_, matched, next) =
                    status.progress.iter().find(|(id, _, _)| *id == 2).copied().unwrap_or_default();
                expect::that(
                    matched == 4 && (1..=6).contains(&next),
                    "a late refusal spoils what the leader knows",
                    format!(
                        "n2 had acknowledged 4 of 4, then came a refusal of {base} with hint {}",
                        notation::at(hint.0, hint.1)
                    ),
                    format!("match is {matched}, next is {next} (round {round})"),
                )?;
            }
        }
    }
    let sent = node.offer(b"some data")?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 4)?;
    let why = "after late refusals a proposal was made, and all answered as they should";
    expect_match(&mut node, 2, 5, why)?;
    expect::commit(&mut node, 5, why)?;
    // The same at the very beginning of a log, where there is nothing to go back to.
    let mut node = lab.node(Setup::new(1, 3))?;
    node.campaign()?;
    node.tell(vote(3, 1, 1, true))?;
    for _ in 0..5 {
        node.tell(refused(2, 1, 1, 0, (0, 0)))?;
    }
    let mut puppets = Puppets::new(&[2, 3]);
    puppets.beats(&mut node, 4)?;
    expect_match(
        &mut node,
        2,
        1,
        "n2 refused an append at 0 five times, then all answered as they should",
    )
}

/// "The leader handles inconsistencies by forcing the followers' logs to duplicate its own" (section 5.3):
/// it goes back until the logs agree, then sends what comes after.
///
/// Hint: on a refusal, lower `next` and send again; on an acknowledgement, raise it.
fn a_follower_far_behind_is_brought_in_line(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for log in [&[1, 1, 1, 1, 1, 1, 1, 1][..], &[1, 2, 3, 4, 5, 6], &[4; 12]] {
        let mut node = lab.node(Setup::new(1, 3).log(log))?;
        let mut puppets = Puppets::new(&[2, 3]);
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 20)?;
        let last = log.len() as u64 + 1;
        let why = format!(
            "its log is {}, n2 and n3 have nothing, and twenty heartbeats went by",
            notation::log(log)
        );
        for id in [2, 3] {
            expect_match(&mut node, id, last, &why)?;
            expect::that(
                puppets.last(id) == last,
                "a follower does not get the leader's log",
                &why,
                format!("n{id} has entries up to {}", puppets.last(id)),
            )?;
        }
        expect::commit(&mut node, last, &why)?;
    }
    Ok(())
}

/// "When rejecting an AppendEntries request, the follower can include the term of the conflicting entry and
/// the first index it stores for that term": the leader then skips a term at a time, not an entry
/// (section 5.3). Here a follower that was cut off has 200 entries that must go.
///
/// Hint: on a refusal, the largest index at which both may agree: whatever has a later term there, on
/// either side, cannot match.
fn a_long_conflict_is_skipped_in_few_steps(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let tail = |term: u64| -> Vec<u64> { [vec![1; 20], vec![term; 200]].concat() };
    for (ours, theirs) in [(5, 4), (4, 5), (4, 3)] {
        let mut leader_log = tail(ours);
        leader_log.push(6);
        let mut net = lab.net(vec![
            Setup::new(1, 3).log(&leader_log),
            Setup::new(2, 3).log(&tail(theirs)),
            Setup::new(3, 3).log(&leader_log),
        ])?;
        net.campaign(1)?;
        net.beats(1)?;
        let appends = net
            .sent
            .iter()
            .filter(|mail| mail.msg.to == 2 && mail.kind() == MessageType::MsgAppend)
            .count();
        let log = [leader_log, vec![7]].concat();
        let why = format!(
            "n1 leads with 20 entries of term 1 and 200 of term {ours}; n2 had 200 of term {theirs} instead"
        );
        net.expect_log(2, &log, &why)?;
        expect::that(
            appends <= 30,
            "the leader goes back one entry at a time",
            why,
            format!("{appends} appends were sent until the logs agreed"),
        )?;
    }
    Ok(())
}

/// A transport that cannot reach a follower says so. Appends under way are lost then; the leader finds out
/// where the follower stands, and goes on.
///
/// Hint: go back to probing: `next` is `match + 1`.
fn an_unreachable_follower_is_served_again(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 3, 2)?;
    puppets.only(&[3]);
    for _ in 0..5 {
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
    }
    let _ = node.order(Input::ReportUnreachable(2))?;
    node.settle()?;
    puppets.only(&[2, 3]);
    puppets.beats(&mut node, 4)?;
    let why = "n2 was unreachable while five entries were sent, and is back for four heartbeats";
    expect_match(&mut node, 2, 7, why)?;
    node.tell(message(MessageType::MsgHeartbeatResponse, 2, 1, 1))?;
    expect::that(
        puppets.last(2) == 7,
        "a follower that is back gets no entries",
        why,
        format!("n2 has {}", puppets.last(2)),
    )
}

//! A follower and the appends of its leader (section 5.3; figure 2, AppendEntries RPC, rules 2 to 5).

use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, append, heartbeat};
use crate::notation;
use crate::protocol::RaftNode;
use crate::world::{Lab, Node, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("append.rs":
        an_append_that_does_not_fit_is_refused,
        an_append_replaces_only_what_conflicts,
        a_late_short_append_takes_nothing_back,
        an_acknowledgement_names_what_is_known_to_agree,
        a_follower_applies_what_its_leader_committed,
        a_follower_commits_no_further_than_the_append_reaches,
        the_commit_index_never_falls,
        a_refused_append_changes_nothing,
        a_refusal_names_where_both_logs_may_agree,
        every_node_steps_down_for_a_leader_but_keeps_its_log,
    )
}

// An index and its term.
type Place = (u64, u64);

/// A follower of n2 in this term, with this log and commit index, at rest.
fn follower<'l>(lab: &'l Lab<'l>, log: &[u64], term: u64, commit: u64) -> Outcome<Node<'l>> {
    let mut node = lab.node(Setup::new(1, 3).log(log).term(term).commit(commit))?;
    node.settle()?;
    Ok(node)
}

fn answer(node: &mut Node, m: Message, why: &str) -> Outcome<Message> {
    let sent = node.tell(m)?;
    expect::one(&sent, MessageType::MsgAppendResponse, why).cloned()
}

/// "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (figure 2,
/// rule 2); true if it does. This is the induction step that makes logs match.
///
/// Hint: compare the term at `m.index` with `m.log_term`. An index beyond the log has no term.
fn an_append_that_does_not_fit_is_refused(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let log = [1, 2];
    let rows = [
        ((0, 0), true),
        ((1, 1), true),
        ((2, 2), true),
        ((2, 1), false),
        ((2, 3), false),
        ((3, 3), false),
        ((3, 2), false),
        ((9, 2), false),
    ];
    for (base, fits) in rows {
        let mut node = follower(&lab, &log, 3, 0)?;
        let m = append(2, 1, 3, base, Vec::new());
        let why =
            format!("its log is {}, and it got {}", notation::log(&log), notation::message(&m));
        let answer = answer(&mut node, m, &why)?;
        expect::that(
            answer.reject != fits && answer.term == 3 && answer.to == 2,
            format!("the append should have been {}", if fits { "accepted" } else { "refused" }),
            &why,
            notation::message(&answer),
        )?;
    }
    Ok(())
}

/// A refusal helps the leader to skip (end of section 5.3): it names the last entry that can be in both logs, that is the last at
/// or before the refused place whose term is not larger than the leader's there. Terms never fall along a log.
///
/// Hint: `find_conflict_by_term`; the place goes into `reject_hint`, its term into `log_term`.
fn a_refusal_names_where_both_logs_may_agree(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let log = [1, 1, 2, 2, 2, 4, 4];
    let rows: [(Place, Place); 5] =
        [((9, 3), (5, 2)), ((6, 3), (5, 2)), ((9, 5), (7, 4)), ((4, 1), (2, 1)), ((8, 2), (5, 2))];
    for (base, hint) in rows {
        let mut node = follower(&lab, &log, 6, 0)?;
        let m = append(2, 1, 6, base, Vec::new());
        let why =
            format!("its log is {}, and it got {}", notation::log(&log), notation::message(&m));
        let answer = answer(&mut node, m, &why)?;
        expect::that(
            answer.reject && (answer.reject_hint, answer.log_term) == hint,
            format!("the refusal should name {}", notation::at(hint.0, hint.1)),
            &why,
            notation::message(&answer),
        )?;
    }
    Ok(())
}

/// "If an existing entry conflicts with a new one (same index but different terms), delete the existing
/// entry and all that follow it" and "append any new entries not already in the log" (figure 2, rules 3
/// and 4). What agrees stays, and what follows it, too; what is new goes to disk.
///
/// Hint: find the first entry of the message that the log does not have; cut and append from there on, or
/// do nothing if there is none. What was cut is no longer "stable", either.
fn an_append_replaces_only_what_conflicts(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // base, the terms that follow it, the log afterwards.
    let rows: [(Place, &[u64], &[u64]); 11] = [
        ((3, 2), &[3], &[1, 1, 2, 3]),
        ((2, 1), &[3, 4], &[1, 1, 3, 4]),
        ((1, 1), &[3], &[1, 3]),
        ((0, 0), &[3], &[3]),
        ((0, 0), &[1], &[1, 1, 2]),
        ((0, 0), &[1, 1], &[1, 1, 2]),
        ((0, 0), &[1, 1, 2], &[1, 1, 2]),
        ((1, 1), &[1, 2, 4, 4], &[1, 1, 2, 4, 4]),
        ((2, 1), &[], &[1, 1, 2]),
        ((1, 1), &[1, 3], &[1, 1, 3]),
        ((0, 0), &[1, 3, 3, 4], &[1, 3, 3, 4]),
    ];
    for (base, terms, expected) in rows {
        let mut node = follower(&lab, &[1, 1, 2], 4, 0)?;
        let m = append(2, 1, 4, base, mail::entries(base.0 + 1, terms));
        let why = format!("its log was [1..2@1 3@2], and it got {}", notation::message(&m));
        let answer = answer(&mut node, m, &why)?;
        expect::that(
            !answer.reject,
            "an append that fits was refused",
            &why,
            notation::message(&answer),
        )?;
        expect::log(&mut node, expected, &why)?;
        node.crash()?;
        expect::log(&mut node, expected, &format!("{why}; it acknowledged, then it crashed"))?;
    }
    Ok(())
}

/// An append may come late, after longer ones that it is a part of: it must not cut the log behind it. The
/// leader counts on what this node has acknowledged.
///
/// Hint: truncate at a *conflict*, never at the end of the message.
fn a_late_short_append_takes_nothing_back(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = follower(&lab, &[], 1, 0)?;
    let long = append(2, 1, 1, (0, 0), mail::entries(1, &[1, 1, 1, 1]));
    node.tell(long.clone())?;
    for (base, terms) in
        [((0, 0), &[1][..]), ((1, 1), &[1]), ((0, 0), &[]), ((2, 1), &[1, 1]), ((0, 0), &[1, 1, 1])]
    {
        let late = append(2, 1, 1, base, mail::entries(base.0 + 1, terms));
        let why = format!(
            "in one term it got {} first, and then, late, {}",
            notation::message(&long),
            notation::message(&late)
        );
        let answer = answer(&mut node, late, &why)?;
        expect::that(
            !answer.reject,
            "an append that fits was refused",
            &why,
            notation::message(&answer),
        )?;
        expect::log(&mut node, &[1, 1, 1, 1], &why)?;
    }
    Ok(())
}

/// An acknowledgement says how far the logs are *known* to agree: to the end of the append. What the
/// follower has beyond it may be an old leader's; if it were counted, the leader would commit what nobody
/// has.
///
/// Hint: the index is `m.index + m.entries.len()`, not the last index of the log.
fn an_acknowledgement_names_what_is_known_to_agree(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (base, terms, expected) in [
        ((1, 1), &[][..], 1),
        ((2, 1), &[], 2),
        ((1, 1), &[1], 2),
        ((1, 1), &[1, 4], 3),
        ((0, 0), &[], 0),
        ((0, 0), &[1], 1),
    ] {
        let mut node = follower(&lab, &[1, 1, 2, 2, 2], 4, 0)?;
        let m = append(2, 1, 4, base, mail::entries(base.0 + 1, terms));
        let why = format!("its log was [1..2@1 3..5@2], and it got {}", notation::message(&m));
        let answer = answer(&mut node, m, &why)?;
        expect::that(
            !answer.reject && answer.index == expected,
            format!("the acknowledgement should name index {expected}"),
            &why,
            notation::message(&answer),
        )?;
    }
    Ok(())
}

/// Once a follower learns that an entry is committed, it applies it to its state machine, in log order
/// (section 5.3).
///
/// Hint: `Ready.committed_entries` are those after the last one handed out, up to the commit index.
fn a_follower_applies_what_its_leader_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (count, commit) in [(1, 1), (2, 2), (2, 1), (4, 3), (3, 0)] {
        let mut node = follower(&lab, &[], 1, 0)?;
        let entries = mail::entries(1, &vec![1; count]);
        let m = append(2, 1, 1, (0, 0), entries.clone());
        let m = Message { commit, ..m };
        let why = format!("it got {}", notation::message(&m));
        node.tell(m)?;
        expect::commit(&mut node, commit, &why)?;
        let upto = usize::try_from(commit).unwrap_or(0);
        expect::that(
            node.executed == entries[..upto],
            "a follower does not apply exactly what is committed",
            &why,
            format!("it applied {}", notation::entries(&node.executed)),
        )?;
    }
    Ok(())
}

/// "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" (figure 2,
/// rule 5). What lies behind the last *new* entry is not known to be the leader's.
///
/// Hint: the last new entry is at `m.index + m.entries.len()`.
fn a_follower_commits_no_further_than_the_append_reaches(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // base, terms that follow, the leader's commit index, the follower's afterwards.
    let rows: [(Place, &[u64], u64, u64); 8] = [
        ((1, 1), &[], 3, 1),
        ((1, 1), &[2], 3, 2),
        ((2, 2), &[], 3, 2),
        ((2, 2), &[], 4, 2),
        ((2, 2), &[2, 2], 3, 3),
        ((2, 2), &[2], 4, 3),
        ((0, 0), &[2], 1, 1),
        ((0, 0), &[], 2, 0),
    ];
    for (base, terms, commit, expected) in rows {
        let mut node = follower(&lab, &[1, 2], 2, 0)?;
        let m = append(2, 1, 2, base, mail::entries(base.0 + 1, terms));
        let m = Message { commit, ..m };
        let why = format!("its log was [1@1 2@2], and it got {}", notation::message(&m));
        node.tell(m)?;
        expect::commit(&mut node, expected, &why)?;
    }
    Ok(())
}

/// What is committed stays committed. A late message, or a new leader that has not learnt yet what is
/// committed, names a smaller index: it is ignored.
///
/// Hint: both the append and the heartbeat handler take the larger of the two.
fn the_commit_index_never_falls(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = follower(&lab, &[1, 1, 1, 1], 1, 3)?;
    let rows = [
        Message { commit: 1, ..append(2, 1, 1, (4, 1), Vec::new()) },
        Message { commit: 1, ..append(2, 1, 1, (3, 1), mail::entries(4, &[1])) },
        Message { commit: 0, ..append(2, 1, 1, (0, 0), mail::entries(1, &[1])) },
        heartbeat(2, 1, 1, 2),
        heartbeat(2, 1, 1, 0),
        Message { commit: 2, ..append(3, 1, 2, (4, 1), mail::entries(5, &[2])) },
        heartbeat(3, 1, 2, 1),
    ];
    for m in rows {
        let why = format!("it knew that 3 is committed, and got {}", notation::message(&m));
        node.tell(m)?;
        expect::commit(&mut node, 3, &why)?;
    }
    node.tell(heartbeat(3, 1, 2, 4))?;
    expect::commit(&mut node, 4, "it has 4@1, and the leader told it that 4 is committed")
}

/// An append that does not fit changes neither log nor commit index: the follower does not know yet where
/// the logs part.
///
/// Hint: first compare, then touch anything.
fn a_refused_append_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for base in [(2, 3), (3, 3), (4, 1), (8, 3)] {
        let mut node = follower(&lab, &[1, 2, 2], 3, 1)?;
        let m = append(2, 1, 3, base, mail::entries(base.0 + 1, &[3, 3]));
        let m = Message { commit: 9, ..m };
        let why = format!("its log was [1@1 2..3@2], and it refused {}", notation::message(&m));
        let answer = answer(&mut node, m, &why)?;
        expect::that(
            answer.reject,
            "an append that does not fit was accepted",
            &why,
            notation::message(&answer),
        )?;
        expect::log(&mut node, &[1, 2, 2], &why)?;
        expect::commit(&mut node, 1, &why)?;
    }
    Ok(())
}

/// Whatever a node was, it follows a leader of a higher term, and its log stays as it is until an append
/// says otherwise: a leader that steps down keeps even what nobody else has.
///
/// Hint: `become_follower` touches no entry.
fn every_node_steps_down_for_a_leader_but_keeps_its_log(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for role in ["follower", "candidate", "leader"] {
        let setup = Setup::new(1, 3).log(&[1, 1]);
        let mut puppets = crate::world::Puppets::like(&setup, &[2, 3]);
        let mut node = lab.node(setup)?;
        let mut log = vec![1, 1];
        match role {
            "candidate" => drop(node.campaign()?),
            "leader" => {
                puppets.elect(&mut node)?;
                node.offer(b"for nobody else")?;
                log.extend([2, 2]);
            }
            _ => {}
        }
        for m in [append(3, 1, 7, (9, 7), Vec::new()), mail::request_vote(2, 1, 8, (9, 7))] {
            let why = format!("it was a {role}, and got {}", notation::message(&m));
            let (term, leader) = (m.term, if m.term == 7 { 3 } else { 0 });
            node.tell(m)?;
            expect::role(&mut node, crate::protocol::Role::Follower, term, &why)?;
            let follows = format!("following {}", notation::node(leader));
            expect::status(&mut node, &follows, &why, |s| s.leader == leader)?;
            expect::log(&mut node, &log, &why)?;
        }
    }
    Ok(())
}

//! One step at a time: what each part of replication does by itself.

use prost::Message as _;
use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{append, entries, vote};
use crate::notation;
use crate::protocol::{Input, RaftNode};
use crate::world::{Lab, Node, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("steps.rs":
        a_late_append_is_not_refused,
        an_append_of_what_is_there_changes_nothing,
        entries_stand_in_the_log_before_they_are_written,
        what_is_not_written_yet_is_replaced_all_the_same,
        a_leader_has_an_entry_of_its_own_at_once,
        a_proposal_stands_in_the_log_at_once,
        a_new_leader_sends_its_entry_to_all,
    )
}

/// A log, the entry that an append goes behind, the terms of the append's entries, and how the log ends then.
type Row = (&'static [u64], (u64, u64), &'static [u64], (u64, u64));

/// The entry that an append goes behind, and the terms of the append's entries.
type Append = ((u64, u64), &'static [u64]);

/// Says it, and takes no Ready.
fn only_say(node: &mut Node, input: Input) -> Outcome {
    node.order(input).map(drop)
}

/// An append that goes behind an entry which was committed here long ago is a late one. To refuse it would send
/// the leader back for nothing: what is committed agrees with every leader's log.
///
/// Hint: answer with your commit index, before you look into the log.
fn a_late_append_is_not_refused(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1]).term(1).applied(2))?;
    let m = append(2, 1, 1, (1, 1), Vec::new());
    let why =
        format!("its log is [1..3@1], committed up to 2, and it got {}", notation::message(&m));
    let sent = node.tell(m)?;
    let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
    expect::that(
        !answer.reject && (1..=3).contains(&answer.index),
        "a late append is refused",
        why,
        notation::message(answer),
    )
}

/// A late or doubled append holds less than the log does. It takes nothing away: the leader may have counted
/// what comes behind it.
///
/// Hint: figure 2, AppendEntries 3: delete only from an entry on that *conflicts*.
fn an_append_of_what_is_there_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1]).term(1))?;
    let m = append(2, 1, 1, (0, 0), entries(1, &[1, 1]));
    let why = format!("its log was [1..3@1], and it got {}", notation::message(&m));
    let sent = node.tell(m)?;
    let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
    expect::that(
        !answer.reject && (2..=3).contains(&answer.index),
        "an append of entries that are there is not acknowledged",
        &why,
        notation::message(answer),
    )?;
    expect::log(&mut node, &[1, 1, 1], &why)
}

/// What a leader sends is part of the log as soon as it is taken; writing it is the next Ready's.
///
/// Hint: the unstable part of the log.
fn entries_stand_in_the_log_before_they_are_written(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [Row; 3] = [
        (&[], (0, 0), &[2, 2], (2, 2)),
        (&[1, 1], (2, 1), &[2], (3, 2)),
        (&[1, 1, 1], (1, 1), &[2], (2, 2)),
    ];
    for (log, base, terms, last) in rows {
        let mut node = lab.node(Setup::new(1, 3).log(log).term(2))?;
        let m = append(2, 1, 2, base, entries(base.0 + 1, terms));
        let why =
            format!("its log was {}, and it got {}", notation::log(log), notation::message(&m));
        only_say(&mut node, Input::Step(Message::encode_to_vec(&m).into()))?;
        let text = format!("ending its log with {}", notation::at(last.0, last.1));
        expect::status(&mut node, &text, &why, |s| (s.last_index, s.last_term) == last)?;
    }
    Ok(())
}

/// A conflict is a conflict wherever it lies: among entries that no Ready has handed out, or on their border with the disk. A
/// leader follows the next one here faster than anything is written.
///
/// Hint: the unstable part keeps what comes before the conflict, and the term before its first entry is that entry's neighbour's.
fn what_is_not_written_yet_is_replaced_all_the_same(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // The log on disk; base and terms of two appends, the first of term 2, the second of term 3; the log afterwards.
    let rows: [(&[u64], Append, Append, &[u64]); 4] = [
        (&[1, 1], ((2, 1), &[2, 2, 2]), ((3, 2), &[3]), &[1, 1, 2, 3]),
        (&[1, 1], ((2, 1), &[2, 2, 2]), ((4, 2), &[3, 3]), &[1, 1, 2, 2, 3, 3]),
        (&[1, 1, 1], ((1, 1), &[1, 2]), ((2, 1), &[3]), &[1, 1, 3]),
        (&[], ((0, 0), &[1, 1, 2]), ((2, 1), &[3]), &[1, 1, 3]),
    ];
    for (log, first, second, after) in rows {
        let mut node = lab.node(Setup::new(1, 3).log(log).term(1))?;
        let mut why = format!("its log was {}", notation::log(log));
        for (leader, (base, terms)) in [(2, first), (3, second)] {
            let m = append(leader, 1, leader, base, entries(base.0 + 1, terms));
            why = format!("{why}, it got {}", notation::message(&m));
            only_say(&mut node, Input::Step(Message::encode_to_vec(&m).into()))?;
        }
        node.settle()?;
        expect::log(&mut node, after, &why)?;
    }
    Ok(())
}

/// A leader's first act is an empty entry of its own term (section 8); it waits for nobody to write it.
///
/// Hint: `open_term`.
fn a_leader_has_an_entry_of_its_own_at_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1).log(&[1, 1]).term(4))?;
    only_say(&mut node, Input::Campaign)?;
    let why = "the only voter, with the log [1..2@1], was elected in term 5";
    expect::status(&mut node, "ending its log with 3@5", why, |s| {
        (s.last_index, s.last_term) == (3, 5)
    })
}

/// A proposal is in the leader's log when it was taken.
///
/// Hint: `propose` appends, and leaves the rest to the next Ready.
fn a_proposal_stands_in_the_log_at_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    only_say(&mut node, Input::Campaign)?;
    for data in [&b"a"[..], b"b"] {
        let taken = node.order(Input::Propose(data.to_vec().into()))?;
        expect::that(
            taken.is_ok(),
            "a leader refuses a proposal",
            "the only voter was elected in term 1",
            format!("{taken:?}"),
        )?;
    }
    let why = "the only voter was elected in term 1, and two entries were proposed";
    expect::status(&mut node, "ending its log with 3@1", why, |s| {
        (s.last_index, s.last_term) == (3, 1)
    })
}

/// The entry that opens a term goes to all others at once: it is the leader's first word, and commits what
/// earlier terms have left.
///
/// Hint: index and term of the entry before, the entry, the commit index.
fn a_new_leader_sends_its_entry_to_all(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1]).term(1))?;
    let mut sent = node.campaign()?;
    sent.extend(node.tell(vote(2, 1, 2, true))?);
    let why = "its log was [1..2@1], and n2 voted for it in term 2";
    for to in [2, 3] {
        expect::some(&sent, &format!("an append with 3@2 to n{to}"), why, |m| {
            m.msg_type() == MessageType::MsgAppend
                && (m.to, m.term) == (to, 2)
                && m.entries.iter().any(|e| (e.index, e.term) == (3, 2))
        })?;
    }
    Ok(())
}

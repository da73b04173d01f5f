//! A node whose log begins behind a snapshot: what a restart finds, before this node can send or take one.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{append, entries, install, request_vote, snapshot};
use crate::notation;
use crate::protocol::RaftNode;
use crate::stage2c::install::last_is;
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("compacted.rs":
        a_restart_goes_on_after_its_snapshot,
        an_empty_log_still_knows_its_last_term,
        a_late_append_from_before_the_cut_is_acknowledged,
        a_snapshot_of_an_older_term_is_ignored,
    )
}

/// A node that comes back finds a snapshot and the entries behind it: it hands out what is committed behind
/// the snapshot, and nothing before.
///
/// Hint: `first_index` of the storage is the snapshot's index plus one.
fn a_restart_goes_on_after_its_snapshot(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(1, 3).snapshot(2, 1, b"x").log(&[1, 2, 2]).commit(4);
    let mut node = lab.node(setup)?;
    let why = "its disk holds a snapshot up to 2@1, [3@1 4..5@2] behind it, and commit index 4";
    node.settle()?;
    last_is(&mut node, 5, 2, 4, why)?;
    let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
    expect::that(
        seen == [3, 4],
        "a restart does not go on behind its snapshot",
        why,
        format!("it handed out {seen:?}"),
    )
}

/// A log of which everything is compacted still has a last index and term: votes depend on them (section
/// 5.4.1).
///
/// Hint: they come from the snapshot then.
fn an_empty_log_still_knows_its_last_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (last, expected) in
        [((7, 3), false), ((8, 2), false), ((99, 2), false), ((8, 3), true), ((1, 4), true)]
    {
        let mut node = lab.node(Setup::new(1, 3).snapshot(8, 3, b"x"))?;
        let why = format!(
            "its log is empty after a snapshot up to 8@3, and the candidate's ends with {}",
            notation::at(last.0, last.1)
        );
        expect::status(&mut node, "at 8@3", &why, |s| (s.last_index, s.last_term) == (8, 3))?;
        let sent = node.tell(request_vote(2, 1, 9, last))?;
        let answer = expect::one(&sent, MessageType::MsgRequestVoteResponse, &why)?;
        expect::that(
            answer.reject != expected,
            format!("the vote should have been {}", if expected { "granted" } else { "refused" }),
            &why,
            notation::message(answer),
        )?;
    }
    let mut node = lab.node(Setup::new(1, 3).snapshot(8, 3, b"x"))?;
    let sent = node.campaign()?;
    expect::some(
        &sent,
        "a RequestVote with last=8@3",
        "its log is empty after a snapshot up to 8@3",
        |m| m.msg_type() == MessageType::MsgRequestVote && (m.index, m.log_term) == (8, 3),
    )?;
    Ok(())
}

/// An append that was sent before the cut arrives after it: its entries are committed here, so they agree.
/// It is acknowledged with the commit index, or what it names; it is no conflict, and no reason to panic.
///
/// Hint: `m.index < committed` is answered before any term is looked up.
fn a_late_append_from_before_the_cut_is_acknowledged(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).snapshot(8, 2, b"x").log(&[2, 2]).commit(9))?;
    node.settle()?;
    for (base, count) in [((2, 1), 3), ((7, 2), 1), ((6, 2), 4), ((0, 0), 1), ((8, 2), 1)] {
        let m = append(2, 1, 2, base, entries(base.0 + 1, &vec![2; count]));
        let why = format!(
            "its log is [9..10@2] after 8@2, 9 is committed, and late came {}",
            notation::message(&m)
        );
        let sent = node.tell(m)?;
        let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
        expect::that(
            !answer.reject && answer.index <= 10,
            "a late append is refused, or acknowledged with too much",
            &why,
            notation::message(answer),
        )?;
        expect::log(&mut node, &[2, 2], &why)?;
        expect::commit(&mut node, 9, &why)?;
    }
    Ok(())
}

/// What comes from an older term is nothing (section 5.1); a snapshot is no exception.
///
/// Hint: older terms are dropped before anything else.
fn a_snapshot_of_an_older_term_is_ignored(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1]).term(5))?;
    let m = install(2, 1, 4, snapshot(11, 4, &[1, 2, 3], b"stale"));
    let why = format!("it is in term 5, and got {}", notation::message(&m));
    let sent = node.tell(m)?;
    last_is(&mut node, 1, 1, 0, &why)?;
    let ok = sent.iter().all(|mail| mail.msg.reject || mail.msg.index == 0);
    expect::that(
        ok,
        "a snapshot of an older term is acknowledged",
        why,
        crate::mail::show_all(&sent),
    )
}

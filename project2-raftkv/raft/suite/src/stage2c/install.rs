//! A follower that gets a snapshot (section 7; figure 13, InstallSnapshot RPC).

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Outcome, show};
use sim::harness::Test;

use crate::mail::{append, entries, install, snapshot};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Node, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("install.rs":
        a_snapshot_replaces_a_log_that_lacks_its_end,
        an_old_snapshot_changes_nothing,
        an_ignored_snapshot_is_answered_with_the_commit_index,
        a_snapshot_that_the_log_reaches_beyond_keeps_the_rest,
        a_snapshot_tells_who_leads,
        a_snapshot_brings_its_configuration,
        a_snapshot_is_durable_before_it_is_acknowledged,
        a_snapshot_that_arrives_twice_is_installed_once,
        entries_go_on_after_a_snapshot,
        a_crash_before_the_snapshot_is_durable_forgets_it,
    )
}

pub(crate) fn last_is(node: &mut Node, index: u64, term: u64, commit: u64, why: &str) -> Outcome {
    let text = format!("at {} with commit index {commit}", notation::at(index, term));
    expect::status(node, &text, why, |s| {
        (s.last_index, s.last_term, s.committed) == (index, term, commit)
    })
}

/// A snapshot that reaches beyond the log, or conflicts with it, replaces all of it: the follower's log then
/// begins after the snapshot (section 7). It goes to the driver in a Ready, and is acknowledged with its
/// index.
///
/// Hint: the log becomes empty, with the snapshot's index and term before its first entry.
fn a_snapshot_replaces_a_log_that_lacks_its_end(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for log in [&[][..], &[1, 1], &[1, 1, 1, 2, 2], &[4; 9], &[2; 20]] {
        let mut node = lab.node(Setup::new(1, 3).log(log))?;
        let m = install(2, 1, 12, snapshot(11, 11, &[1, 2, 3], b"the state"));
        let why =
            format!("its log was {}, and it got {}", notation::log(log), notation::message(&m));
        let sent = node.tell(m)?;
        last_is(&mut node, 11, 11, 11, &why)?;
        let disk = node.disk.durable();
        expect::that(
            disk.truncated == (11, 11)
                && disk.snapshot_data == b"the state"
                && disk.entries.is_empty(),
            "the snapshot was not handed to the driver",
            &why,
            format!(
                "on disk: {} after {}, data {}",
                notation::entries(&disk.entries),
                notation::at(disk.truncated.0, disk.truncated.1),
                show(&disk.snapshot_data)
            ),
        )?;
        let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
        expect::that(
            !answer.reject && answer.index == 11,
            "a snapshot is not acknowledged with its index",
            &why,
            notation::message(answer),
        )?;
    }
    Ok(())
}

/// A snapshot that is older than what is committed here is a late message: it must not take the state
/// machine back.
///
/// Hint: compare its index with the commit index first.
fn an_old_snapshot_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for index in 1..=3 {
        let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1, 1]).applied(3))?;
        let m = install(2, 1, 2, snapshot(index, 1, &[1, 2, 3], b"old"));
        let why = format!(
            "its log is [1..4@1], 3 is committed and applied, and it got {}",
            notation::message(&m)
        );
        node.tell(m)?;
        last_is(&mut node, 4, 1, 3, &why)?;
        expect::log(&mut node, &[1, 1, 1, 1], &why)?;
    }
    // Of what is compacted here no term is known any more: only the index tells that it is old.
    for (index, term) in [(5, 1), (7, 2), (8, 1)] {
        let setup = Setup::new(1, 3).snapshot(8, 2, b"newer").log(&[2, 2]).commit(9);
        let mut node = lab.node(setup)?;
        node.settle()?;
        let m = install(2, 1, 2, snapshot(index, term, &[1, 2, 3], b"old"));
        let got = notation::message(&m);
        let why = format!("its log is [9..10@2] after 8@2, 9 is committed, and it got {got}");
        node.tell(m)?;
        last_is(&mut node, 10, 2, 9, &why)?;
        expect::log(&mut node, &[2, 2], &why)?;
    }
    Ok(())
}

/// An ignored snapshot is answered, too, with what is committed here: else the leader thinks that the
/// follower still needs it, and sends it for ever.
///
/// Hint: an acknowledgement with your commit index; what is committed is in every leader's log.
fn an_ignored_snapshot_is_answered_with_the_commit_index(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (index, committed) in [(1, 3), (2, 4)] {
        let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1, 1]).applied(committed))?;
        let m = install(2, 1, 2, snapshot(index, 1, &[1, 2, 3], b"old"));
        let why = format!("{committed} is committed here, and it got {}", notation::message(&m));
        let sent = node.tell(m)?;
        let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
        expect::that(
            !answer.reject && answer.index == committed,
            format!("an ignored snapshot is not answered with the commit index {committed}"),
            &why,
            notation::message(answer),
        )?;
    }
    Ok(())
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log entries
/// following it" (figure 13, rule 6): they may have been acknowledged.
///
/// Hint: if the log has the snapshot's last entry, only the commit index moves.
fn a_snapshot_that_the_log_reaches_beyond_keeps_the_rest(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 2, 2, 2]).applied(1))?;
    node.settle()?;
    let m = install(2, 1, 3, snapshot(3, 2, &[1, 2, 3], b"at 3"));
    let why = format!(
        "its log was [1..2@1 3..5@2], 1 was committed, and it got {}",
        notation::message(&m)
    );
    let sent = node.tell(m)?;
    expect::status(&mut node, "at 5@2 with commit index 3", &why, |s| {
        (s.last_index, s.last_term) == (5, 2) && s.committed == 3
    })?;
    let kept = node.log(4, 6)?;
    expect::that(
        kept.as_ref().is_ok_and(|kept| kept.iter().map(|e| e.term).eq([2, 2])),
        "entries behind a snapshot are lost",
        &why,
        format!("asked for 4 to 5 it shows {kept:?}"),
    )?;
    let answer = expect::one(&sent, MessageType::MsgAppendResponse, &why)?;
    expect::that(
        !answer.reject && (3..=5).contains(&answer.index),
        "the snapshot is not acknowledged",
        why,
        notation::message(answer),
    )
}
/// A snapshot is a leader's word: it sets term and leader, and makes a candidate a follower.
///
/// Hint: as an append.
fn a_snapshot_tells_who_leads(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (campaigns, term) in [(0, 2), (2, 2), (1, 5)] {
        let mut node = lab.node(Setup::new(1, 3))?;
        for _ in 0..campaigns {
            node.campaign()?;
        }
        node.tell(install(2, 1, term, snapshot(11, 1, &[1, 2, 3], b"x")))?;
        let why = format!(
            "after {campaigns} campaigns it got a snapshot from n2, the leader of term {term}"
        );
        expect::role(&mut node, Role::Follower, term, &why)?;
        expect::status(&mut node, "following n2", &why, |s| s.leader == 2)?;
    }
    Ok(())
}

/// A snapshot brings the members of the group as of its index, "since cluster membership changes may have
/// been compacted" (section 7): from then on these vote.
///
/// Hint: the snapshot's `ConfState` replaces the configuration.
fn a_snapshot_brings_its_configuration(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(2, 3))?;
    node.tell(install(1, 2, 2, snapshot(11, 2, &[2, 3, 4], b"x")))?;
    expect::status(&mut node, "following n1", "n1 sent it the snapshot", |s| s.leader == 1)?;
    let sent = node.campaign()?;
    let why = "it was in the group n1 to n3; a snapshot told it that the group is n2 to n4; then it campaigned";
    let asked: std::collections::BTreeSet<u64> = sent
        .iter()
        .filter(|mail| mail.kind() == MessageType::MsgRequestVote)
        .map(|mail| mail.msg.to)
        .collect();
    expect::that(
        asked == [3, 4].into(),
        "the members of the snapshot do not count",
        why,
        format!("it asked {asked:?} for their votes"),
    )?;
    node.tell(crate::mail::vote(1, 2, 3, true))?;
    expect::role(&mut node, Role::Candidate, 3, "n1 granted its vote, and is no member any more")?;
    node.tell(crate::mail::vote(4, 2, 3, true))?;
    expect::role(&mut node, Role::Leader, 3, "n4, a member, granted its vote")?;
    let mut node = lab.node(Setup::new(2, 3))?;
    node.tell(install(1, 2, 2, snapshot(11, 2, &[1, 3, 4], b"x")))?;
    let last = node.status()?.last_index;
    expect::that(
        last == 0,
        "a node installs a snapshot of a group that it does not belong to",
        "n1 sent n2 a snapshot up to 11; its members are n1, n3 and n4",
        format!("the log of n2 ends at {last}"),
    )
}

/// The acknowledgement of a snapshot promises everything up to its index: it waits until the snapshot is
/// durable.
///
/// Hint: a follower's messages are in `persisted_messages`.
fn a_snapshot_is_durable_before_it_is_acknowledged(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&install(2, 1, 2, snapshot(11, 2, &[1, 2, 3], b"x")).into())?;
    let why = "n2 sent it a snapshot up to 11@2";
    let (mut last, mut must_sync) = (0, false);
    while let Some(taken) = node.ready()? {
        expect::none(
            &taken.messages,
            MessageType::MsgAppendResponse,
            &format!("{why}; nothing is durable yet"),
        )?;
        last = taken.number;
        must_sync |= taken.snapshot.is_some() && taken.must_sync;
    }
    expect::that(
        must_sync,
        "a snapshot need not be synced",
        why,
        "no Ready with a snapshot says `must_sync`",
    )?;
    let sent = [node.persisted(last)?, node.settle()?].concat();
    expect::some(&sent, "an acknowledgement of 11", why, |m| {
        m.msg_type() == MessageType::MsgAppendResponse && !m.reject && m.index == 11
    })?;
    Ok(())
}

/// Networks double messages: the second one finds the snapshot installed, and is answered like one that is
/// old.
///
/// Hint: its index is committed already.
fn a_snapshot_that_arrives_twice_is_installed_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    let m = install(2, 1, 2, snapshot(11, 2, &[1, 2, 3], b"x"));
    node.tell(m.clone())?;
    node.tell(append(2, 1, 2, (11, 2), entries(12, &[2, 2])))?;
    node.deliver(&m.into())?;
    let why = "it installed a snapshot up to 11, got 12 and 13, and then the same snapshot again";
    while let Some(taken) = node.ready()? {
        expect::that(
            taken.snapshot.is_none(),
            "a snapshot is installed twice",
            why,
            format!("Ready {} installs one", taken.number),
        )?;
        node.persisted(taken.number)?;
    }
    last_is(&mut node, 13, 2, 11, why)
}

/// After a snapshot the log goes on: the next append finds index and term of the snapshot's end, its
/// entries are written, committed and applied from there.
///
/// Hint: `term(snapshot index)` must be known.
fn entries_go_on_after_a_snapshot(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1]))?;
    node.tell(install(2, 1, 3, snapshot(11, 2, &[1, 2, 3], b"x")))?;
    let m = append(2, 1, 3, (11, 2), entries(12, &[3, 3]));
    let sent = node.tell(Message { commit: 12, ..m })?;
    let why = "it installed a snapshot up to 11@2, and got [12..13@3] with commit index 12";
    let answer = expect::one(&sent, MessageType::MsgAppendResponse, why)?;
    expect::that(
        !answer.reject && answer.index == 13,
        "the append was refused",
        why,
        notation::message(answer),
    )?;
    expect::log(&mut node, &[3, 3], why)?;
    let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
    expect::that(
        seen == [12],
        "what comes after a snapshot is not applied",
        why,
        format!("applied: {seen:?}"),
    )?;
    node.crash()?;
    node.settle()?;
    expect::log(&mut node, &[3, 3], &format!("{why}; then it crashed"))?;
    expect::status(&mut node, "at 13@3", "it crashed and came back", |s| {
        (s.last_index, s.last_term) == (13, 3)
    })
}
/// A snapshot that was not durable when the power went is gone, with everything else of its Ready: the
/// node comes back with its old log, and can get it again.
///
/// Hint: nothing of it was acknowledged.
fn a_crash_before_the_snapshot_is_durable_forgets_it(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1]).applied(1))?;
    let m = install(2, 1, 2, snapshot(11, 2, &[1, 2, 3], b"x"));
    node.deliver(&m.clone().into())?;
    while node.ready()?.is_some() {}
    node.crash()?;
    last_is(&mut node, 2, 1, 1, "it got a snapshot, and crashed before it was durable")?;
    node.tell(m)?;
    last_is(&mut node, 11, 2, 11, "it got the snapshot again")
}

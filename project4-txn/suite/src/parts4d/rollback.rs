//! Giving up.

use proto::errorpb::{Error, StaleCommand};
use proto::kvrpcpb::{
    BatchRollbackResponse, CommitResponse, KeyError, PrewriteResponse, WriteConflict,
};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Asked, Desk, SETTINGS, Sent, World, show, wrong};
use super::protocol::{Coordinator, Outcome};

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("rollback.rs":
        a_conflict_ends_the_transaction,
        what_was_never_answered_is_rolled_back_too,
        a_transaction_that_others_have_rolled_back_is_aborted,
        a_rollback_goes_on_behind_the_next_transaction,
        prewrites_that_cannot_be_sent_end_the_transaction,
    )
}

fn conflict(key: &[u8]) -> PrewriteResponse {
    let conflict = WriteConflict {
        conflict_ts: 5,
        conflict_commit_ts: 6,
        key: key.to_vec().into(),
        ..Default::default()
    };
    let error = KeyError { conflict: Some(conflict), ..Default::default() };
    PrewriteResponse { errors: vec![error], ..Default::default() }
}

fn is_aborted(desk: &mut Desk, why: &str) -> Verdict {
    match desk.done() {
        Some(Outcome::Aborted(_)) => Ok(()),
        other => Err(wrong(why, "Aborted", format!("{other:?}"))),
    }
}

/// All keys are rolled back, for this start, and nothing else is sent.
fn all_rolled_back(sent: &[Sent], start: u64, wanted: &[&[u8]]) -> Verdict {
    let mut keys = Vec::new();
    for part in sent {
        match &part.asked {
            Asked::BatchRollback(rollback) if rollback.start_version == start => {
                keys.extend(part.keys());
            }
            _ => return Err(wrong("the transaction has failed", "rollbacks only", show(sent))),
        }
    }
    keys.sort();
    if keys == wanted {
        return Ok(());
    }
    Err(wrong(
        "the transaction has failed: whatever it may have locked is rolled back",
        format!("KvBatchRollback of {} keys, once each", wanted.len()),
        show(sent),
    ))
}

/// Another transaction has committed one of the keys since this one began. It is over: the user hears so, and what it has locked
/// elsewhere is rolled back in the background, so that nobody has to wait for the end of the locks' lives.
fn a_conflict_ends_the_transaction(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = desk.committing(&[b"a", b"n"])?;
    let [left, right] = &sent[..] else {
        return Err(wrong("keys of two regions", "two prewrites", show(&sent)));
    };
    desk.answer(left, &PrewriteResponse::default())?;
    desk.answer(right, &conflict(b"n"))?;
    is_aborted(&mut desk, "n was written by another transaction")?;
    all_rolled_back(&desk.sent(), start, &[b"a", b"n"])
}

/// One region has refused; the prewrite of another is still on its way. Its lock would be left if only what was answered were
/// rolled back: a rollback that comes first leaves a record, and the late prewrite meets it. When its yes comes in the end,
/// nobody commits anything.
fn what_was_never_answered_is_rolled_back_too(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = desk.committing(&[b"a", b"b", b"n", b"z"])?;
    let [one, two, three] = &sent[..] else {
        return Err(wrong("keys of three regions", "three prewrites", show(&sent)));
    };
    desk.answer(one, &conflict(b"a"))?;
    is_aborted(&mut desk, "a was written by another transaction")?;
    all_rolled_back(&desk.sent(), start, &[b"a", b"b", b"n", b"z"])?;
    desk.answer(two, &PrewriteResponse::default())?;
    desk.answer(three, &conflict(b"z"))?;
    desk.silent("answers come after the end")?;
    desk.expect_open("answers come after the end")
}

/// The commit of the primary finds no lock, and no commit: others took the client for dead, and have rolled it back. That is for good,
/// since the record stays; also if an earlier try of the commit was never answered.
fn a_transaction_that_others_have_rolled_back_is_aborted(run: &mut World) -> Verdict {
    for lost in [false, true] {
        let mut desk = Desk::new(run, SETTINGS)?;
        let (_, sent) = desk.committing(&[b"a", b"n"])?;
        for part in &sent {
            desk.answer(part, &PrewriteResponse::default())?;
        }
        let mut commit = desk.one("all keys are locked")?;
        if lost {
            desk.lose(&commit)?;
            desk.wait("the answer to the primary's commit is lost")?;
            commit = desk.one("the answer to the primary's commit is lost")?;
        }
        let error = Some(KeyError { retryable: "no lock".into(), ..Default::default() });
        desk.answer(&commit, &CommitResponse { error, ..Default::default() })?;
        is_aborted(&mut desk, "others have rolled the transaction back")?;
    }
    Ok(())
}

/// The user has been told, and begins anew; the rollback meets a region error, and goes on, for the old transaction.
fn a_rollback_goes_on_behind_the_next_transaction(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = desk.committing(&[b"a"])?;
    desk.answer(&sent[0], &conflict(b"a"))?;
    is_aborted(&mut desk, "a was written by another transaction")?;
    let rollback = desk.one("the transaction has failed")?;
    desk.begin()?;
    desk.put(&[b"b"])?;
    let error = Error { stale_command: Some(StaleCommand {}), ..Default::default() };
    desk.refuse(&rollback, error)?;
    desk.wait("the rollback was refused")?;
    let again = desk.one("the rollback was refused")?;
    all_rolled_back(std::slice::from_ref(&again), start, &[b"a"])?;
    desk.answer(&again, &BatchRollbackResponse::default())?;
    desk.silent("the rollback is done")
}

/// A region has no leader for longer than the client has patience. Nothing was committed, so this is no "unknown": the
/// transaction is aborted, and whatever is locked is rolled back.
fn prewrites_that_cannot_be_sent_end_the_transaction(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = desk.committing(&[b"a", b"n"])?;
    desk.answer(&sent[0], &PrewriteResponse::default())?;
    let mut part = sent[1].clone();
    for _ in 0..SETTINGS.tries {
        desk.lose(&part)?;
        let sent = desk.sent();
        if !sent.is_empty() {
            is_aborted(&mut desk, "a region cannot be prewritten")?;
            return all_rolled_back(&sent, start, &[b"a", b"n"]);
        }
        desk.wait("a prewrite has no answer")?;
        part = desk.one("a prewrite has no answer")?;
    }
    Err(wrong("a region cannot be prewritten", "five tries, then Aborted", "it goes on"))
}

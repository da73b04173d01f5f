//! Reads that meet locks.

use proto::kvrpcpb::{
    BatchGetResponse, CheckTxnStatusResponse, KvPair, LockInfo, ResolveLockResponse,
};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Asked, Desk, SETTINGS, Sent, World, locked, wrong};
use super::protocol::{Coordinator, Outcome};
use super::read::{pairs, read};

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("resolve.rs":
        the_owner_is_asked_about_at_its_primary,
        a_committed_owners_lock_is_finished_at_its_time,
        a_lock_of_an_owner_that_was_rolled_back_is_rolled_back,
        a_living_owner_is_waited_for,
        a_fate_is_asked_for_once,
        a_lock_on_the_whole_request_is_a_lock,
    )
}

/// A transaction that is met by others: its primary is in region 3.
const OWNER: u64 = 77;

/// The locks on these keys.
pub fn met(keys: &[&[u8]]) -> BatchGetResponse {
    let pair = |key: &&[u8]| KvPair {
        key: key.to_vec().into(),
        error: Some(locked(key, b"z", OWNER)),
        ..Default::default()
    };
    BatchGetResponse { pairs: keys.iter().map(pair).collect(), ..Default::default() }
}

/// It is alive.
fn alive() -> CheckTxnStatusResponse {
    let lock = LockInfo {
        key: b"z".to_vec().into(),
        primary_lock: b"z".to_vec().into(),
        lock_version: OWNER,
        lock_ttl: 3_000,
        ..Default::default()
    };
    CheckTxnStatusResponse { lock_ttl: 3_000, lock_info: Some(lock), ..Default::default() }
}

/// A read of `a` that has met a lock: its start, and the question about the owner.
fn stopped(desk: &mut Desk) -> Verdict<(u64, Sent)> {
    let start = desk.begin()?;
    desk.get(&[b"a"])?;
    let sent = desk.one("a key is read")?;
    desk.pass(10)?;
    desk.answer(&sent, &met(&[b"a"]))?;
    Ok((start, desk.one("a lock is in the way")?))
}

/// A lock on `a` names `z` as its primary. What became of the owner is known there and nowhere else: the question goes to the
/// region of `z`, with the owner's start, the reader's start, and the time of *now*, from the oracle. It must not ask
/// for the owner's rollback before the lock's time is over: the primary may be on its way.
fn the_owner_is_asked_about_at_its_primary(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, question) = stopped(&mut desk)?;
    let Asked::CheckTxnStatus(asked) = &question.asked else {
        return Err(wrong("a lock is in the way", "KvCheckTxnStatus [z]", question.show()));
    };
    let right = question.store == 3
        && asked.primary_key[..] == *b"z"
        && asked.lock_ts == OWNER
        && asked.caller_start_ts == start
        && asked.current_ts == desk.last_ts()
        && asked.current_ts > start;
    if right {
        return Ok(());
    }
    let now = desk.last_ts();
    Err(wrong(
        "the owner is asked about at its primary",
        format!("primary z on store 3, lock_ts {OWNER}, caller_start_ts {start}, current_ts {now}"),
        format!("{} {asked:?}", question.show()),
    ))
}

/// The owner has committed at 99: the lock on `a` becomes a version at 99, by an order to `a`'s region (not the primary's), and
/// then the read is repeated, at once.
fn a_committed_owners_lock_is_finished_at_its_time(run: &mut World) -> Verdict {
    finished(run, 99)
}

/// The owner was rolled back: so is its lock, with a `commit_version` of 0, and then the read is repeated, at once.
fn a_lock_of_an_owner_that_was_rolled_back_is_rolled_back(run: &mut World) -> Verdict {
    finished(run, 0)
}

fn finished(run: &mut World, fate: u64) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, question) = stopped(&mut desk)?;
    let response = CheckTxnStatusResponse { commit_version: fate, ..Default::default() };
    desk.answer(&question, &response)?;
    let order = desk.one("the owner's fate is known")?;
    match &order.asked {
        Asked::ResolveLock(asked)
            if order.store == 1 && asked.start_version == OWNER && asked.commit_version == fate => {
        }
        other => {
            return Err(wrong(
                "the lock is finished as its owner was",
                format!("KvResolveLock {OWNER} -> {fate} to store 1"),
                format!("{} {other:?}", order.show()),
            ));
        }
    }
    desk.answer(&order, &ResolveLockResponse::default())?;
    let again = desk.one("the lock is gone")?;
    if !matches!(again.asked, Asked::BatchGet(_)) {
        return Err(wrong("the lock is gone", "KvBatchGet [a] to store 1", again.show()));
    }
    desk.answer(&again, &pairs(&[(b"a", b"1")]))?;
    desk.expect("the read is over", &read(&[(b"a", Some(b"1"))]))
}

/// An owner that is alive may commit within the reader's snapshot. There is nothing to do but to wait, and to read again; and
/// after the configured number of tries the user is told. Nothing of the owner's is touched.
fn a_living_owner_is_waited_for(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, mut question) = stopped(&mut desk)?;
    for _ in 0..SETTINGS.tries {
        desk.answer(&question, &alive())?;
        desk.silent("the owner is alive")?;
        if let Some(outcome) = desk.done() {
            return match outcome {
                Outcome::Failed(_) => Ok(()),
                other => Err(wrong("the owner stays alive", "Failed", format!("{other:?}"))),
            };
        }
        desk.wait("the owner is alive")?;
        let again = desk.one("the pause is over")?;
        if !matches!(again.asked, Asked::BatchGet(_)) {
            return Err(wrong("the pause is over", "the read, again", again.show()));
        }
        desk.answer(&again, &met(&[b"a"]))?;
        question = desk.one("the lock is still there")?;
    }
    Err(wrong("the owner stays alive", "five tries, then Failed", "it goes on"))
}

/// One dead transaction has left locks on three keys of the read. Its fate is asked for once: what was answered stays true.
fn a_fate_is_asked_for_once(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a", b"b", b"c"])?;
    let sent = desk.one("three keys of one region are read")?;
    desk.answer(&sent, &met(&[b"a", b"b", b"c"]))?;
    let mut questions = 0;
    for _ in 0..20 {
        let sent = desk.sent();
        if sent.is_empty() {
            break;
        }
        for sent in sent {
            match &sent.asked {
                Asked::CheckTxnStatus(_) => {
                    questions += 1;
                    let response =
                        CheckTxnStatusResponse { commit_version: 99, ..Default::default() };
                    desk.answer(&sent, &response)?;
                }
                Asked::ResolveLock(_) => desk.answer(&sent, &ResolveLockResponse::default())?,
                _ => desk.answer(&sent, &pairs(&[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]))?,
            }
        }
    }
    if questions != 1 {
        return Err(wrong(
            "three locks of one owner",
            "one question about it",
            format!("{questions} questions"),
        ));
    }
    let all: [(&[u8], Option<&[u8]>); 3] =
        [(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", Some(b"3"))];
    desk.expect("the locks are gone", &read(&all))
}

/// A store may refuse a whole read because of one lock: `error.locked`, without pairs. That is no empty answer.
fn a_lock_on_the_whole_request_is_a_lock(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a", b"b"])?;
    let sent = desk.one("two keys of one region are read")?;
    let error = Some(locked(b"b", b"z", OWNER));
    desk.answer(&sent, &BatchGetResponse { error, ..Default::default() })?;
    desk.expect_open("a lock is in the way of the whole read")?;
    let question = desk.one("a lock is in the way of the whole read")?;
    match question.asked {
        Asked::CheckTxnStatus(_) => Ok(()),
        _ => Err(wrong("a lock is in the way", "KvCheckTxnStatus [z]", question.show())),
    }
}

//! Phase one.

use proto::kvrpcpb::{
    CheckTxnStatusResponse, Op, PrewriteRequest, PrewriteResponse, ResolveLockResponse,
};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Asked, Desk, SETTINGS, Sent, World, locked, show, wrong};
use super::protocol::{Coordinator, Outcome, Settings, What};
use crate::rows::text;

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("prewrite.rs":
        nothing_is_sent_before_the_commit,
        all_keys_are_locked_and_name_one_primary,
        a_locks_life_is_counted_from_the_start_of_its_transaction,
        a_lock_in_the_way_of_a_prewrite_is_cleared,
        the_commit_timestamp_comes_after_all_locks,
        one_phase_is_for_all_or_nothing,
        a_transaction_in_one_phase_is_over_with_its_prewrite,
    )
}

fn prewrites(sent: &[Sent]) -> Vec<&PrewriteRequest> {
    sent.iter()
        .filter_map(|sent| match &sent.asked {
            Asked::Prewrite(prewrite) => Some(prewrite),
            _ => None,
        })
        .collect()
}

/// Writes are kept by the client until the commit.
fn nothing_is_sent_before_the_commit(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.put(&[b"a", b"n"])?;
    desk.say(What::Delete(b"z".to_vec()))?;
    desk.silent("the user has written, and not committed")?;
    desk.say(What::Commit)?;
    let sent = desk.sent();
    if prewrites(&sent).len() == 3 {
        return Ok(());
    }
    Err(wrong("the user commits writes in three regions", "three prewrites", show(&sent)))
}

/// The prewrites go to all regions at once, hold every write once, as it was written last, and all of them name the same primary,
/// which is one of the keys. Whoever meets one of the locks will ask there.
fn all_keys_are_locked_and_name_one_primary(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let start = desk.begin()?;
    desk.say(What::Put(b"n".to_vec(), b"first".to_vec()))?;
    desk.put(&[b"n", b"a", b"z", b"b"])?;
    desk.say(What::Delete(b"b".to_vec()))?;
    desk.say(What::Commit)?;
    let sent = desk.sent();
    let all = prewrites(&sent);
    let mut writes: Vec<(Vec<u8>, bool, Vec<u8>)> = all
        .iter()
        .flat_map(|prewrite| &prewrite.mutations)
        .map(|m| (m.key.to_vec(), m.op() == Op::Del, m.value.to_vec()))
        .collect();
    writes.sort();
    let put = |key: &[u8]| (key.to_vec(), false, [b"new ", key].concat());
    let right = [put(b"a"), (b"b".to_vec(), true, Vec::new()), put(b"n"), put(b"z")];
    if writes != right || all.len() != 3 {
        return Err(wrong(
            "three regions are prewritten at once",
            "one prewrite each; in all: put a, delete b, put n, put z",
            format!("{}: {writes:?}", show(&sent)),
        ));
    }
    let primary = all[0].primary_lock.to_vec();
    let one = all.iter().all(|prewrite| prewrite.primary_lock[..] == primary[..]);
    if !one || !right.iter().any(|(key, ..)| *key == primary) {
        let names: Vec<String> = all.iter().map(|prewrite| text(&prewrite.primary_lock)).collect();
        return Err(wrong(
            "all locks name one primary",
            "the same key, one of the four",
            names.join(", "),
        ));
    }
    match all.iter().find(|prewrite| prewrite.start_version != start) {
        None => Ok(()),
        Some(other) => Err(wrong("a lock's owner is its start", start, other.start_version)),
    }
}

/// Others take an owner for dead when a lock's time to live is over, *counted from the owner's start*. A transaction that has
/// thought for five seconds before it commits must not be born dead: its locks' lives begin with its age.
fn a_locks_life_is_counted_from_the_start_of_its_transaction(run: &mut World) -> Verdict {
    for age in [0, 5_000] {
        let mut desk = Desk::new(run, SETTINGS)?;
        desk.begin()?;
        desk.pass(age)?;
        desk.put(&[b"a"])?;
        desk.say(What::Commit)?;
        let sent = desk.sent();
        let ttl = prewrites(&sent).first().map_or(0, |prewrite| prewrite.lock_ttl);
        let (low, high) = (SETTINGS.lock_ttl + age, 2 * SETTINGS.lock_ttl + age);
        if !(low..=high).contains(&ttl) {
            return Err(wrong(
                format!("the transaction is {age} ms old when it prewrites"),
                format!("a lock_ttl of {low} ms"),
                format!("{ttl} ms"),
            ));
        }
    }
    Ok(())
}

/// A prewrite meets the lock of a transaction that has committed and died. It is cleared as a reader's would be, and then that
/// part is prewritten again. Nobody gives up because of a lock.
fn a_lock_in_the_way_of_a_prewrite_is_cleared(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, sent) = desk.committing(&[b"a", b"b"])?;
    let [first] = &sent[..] else {
        return Err(wrong("two keys of one region", "one prewrite", show(&sent)));
    };
    let errors = vec![locked(b"b", b"z", 77)];
    desk.answer(first, &PrewriteResponse { errors, ..Default::default() })?;
    let question = desk.one("a lock is in the way")?;
    if !matches!(question.asked, Asked::CheckTxnStatus(_)) {
        return Err(wrong("a lock is in the way", "KvCheckTxnStatus [z]", question.show()));
    }
    let response = CheckTxnStatusResponse { commit_version: 99, ..Default::default() };
    desk.answer(&question, &response)?;
    let order = desk.one("its owner has committed")?;
    desk.answer(&order, &ResolveLockResponse::default())?;
    let again = desk.one("the lock is gone")?;
    if prewrites(std::slice::from_ref(&again)).is_empty() || again.keys() != first.keys() {
        return Err(wrong("the lock is gone", first.show(), again.show()));
    }
    desk.expect_open("the prewrite is on its way")
}

/// The commit timestamp is asked for when *all* locks are there. Asked for earlier, it could be below the start of a reader that
/// found a key without a lock, read the old value, and would have to see the new one.
fn the_commit_timestamp_comes_after_all_locks(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, sent) = desk.committing(&[b"a", b"n", b"z"])?;
    desk.keeps_timestamps = true;
    for (done, part) in sent.iter().enumerate() {
        if !desk.kept.is_empty() {
            return Err(wrong(
                format!("{done} of 3 regions are locked"),
                "no question for a commit timestamp",
                "the oracle was asked",
            ));
        }
        desk.answer(part, &PrewriteResponse::default())?;
    }
    if desk.kept.is_empty() {
        return Err(wrong("all keys are locked", "the oracle is asked", "it is not"));
    }
    desk.silent("the commit timestamp is on its way")
}

const ONE_PC: Settings = Settings { one_pc: true, ..SETTINGS };

/// A commit in one phase is a promise that this one request is the whole transaction: the store writes versions where there would
/// be locks. It is asked for where all keys lie in one region, and never for a part.
fn one_phase_is_for_all_or_nothing(run: &mut World) -> Verdict {
    let cases: [(Settings, &[&[u8]], bool); 3] = [
        (ONE_PC, &[b"a", b"b"], true),
        (ONE_PC, &[b"a", b"b", b"n"], false),
        (SETTINGS, &[b"a", b"b"], false),
    ];
    for (settings, keys, expected) in cases {
        let mut desk = Desk::new(run, settings)?;
        let (_, sent) = desk.committing(keys)?;
        let tried: Vec<bool> =
            prewrites(&sent).iter().map(|prewrite| prewrite.try_one_pc).collect();
        if tried.is_empty() || tried.iter().any(|tried| *tried != expected) {
            return Err(wrong(
                format!("{} with one_pc = {}", show(&sent), settings.one_pc),
                format!("try_one_pc is {expected}"),
                format!("{tried:?}"),
            ));
        }
    }
    Ok(())
}

/// The store has committed everything at the timestamp that it tells: the transaction is over, and there is nothing to commit.
fn a_transaction_in_one_phase_is_over_with_its_prewrite(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, ONE_PC)?;
    let (_, sent) = desk.committing(&[b"a", b"b"])?;
    let [whole] = &sent[..] else {
        return Err(wrong("two keys of one region", "one prewrite", show(&sent)));
    };
    desk.answer(whole, &PrewriteResponse { one_pc_commit_ts: 4_242, ..Default::default() })?;
    desk.expect("the store has committed at 4242", &Outcome::Committed(4_242))?;
    desk.silent("there is nothing to commit")
}

//! Commits whose timestamp the store chooses: async commit, and one-phase commit.

use proto::kvrpcpb::{
    Context, GetResponse, Mutation, PrewriteRequest, PrewriteResponse, ScanLockRequest,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write};
use crate::world::{
    Responds, Store, TTL, World, commit, committed, expect_ok, expect_rows, get, locked, prewrite,
    put, rolled_back, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("own_commit.rs":
        an_async_prewrite_promises_a_commit_after_every_read,
        a_one_phase_commit_leaves_no_lock,
        a_one_phase_commit_is_refused_as_a_whole,
        a_retry_hears_the_same_timestamp,
        a_race_of_reads_and_one_phase_commits_is_in_order,
        a_new_leader_waits_for_a_timestamp,
    )
}

fn asynchronous(start: u64, mutations: &[Mutation]) -> PrewriteRequest {
    let secondaries = mutations.iter().skip(1).map(|m| m.key.clone()).collect();
    PrewriteRequest { use_async_commit: true, secondaries, ..prewrite(start, mutations) }
}

fn one_phase(start: u64, mutations: &[Mutation]) -> PrewriteRequest {
    PrewriteRequest { try_one_pc: true, ..asynchronous(start, mutations) }
}

/// An async-commit transaction has happened as soon as its locks are there, at the largest of the timestamps that its
/// prewrites were answered. So each of these must be above its start and above *every* read that the store has served: of
/// that key, of others, of ranges. The primary's lock lists the other keys.
fn an_async_prewrite_promises_a_commit_after_every_read(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let response = store.call(&asynchronous(10, &[put(b"a", b"1"), put(b"b", b"2")]))?;
    expect_ok("an async prewrite", &response.errors)?;
    if response.min_commit_ts != 11 {
        let what = "nobody has read, and 10 prewrites";
        return Err(wrong(what, 11, response.min_commit_ts));
    }
    let mut lock = Lock { min_commit: 11, ..Lock::put(b"a", 10, TTL, b"1") };
    lock.secondaries = Some(vec![b"b".to_vec()]);
    let other = Lock { secondaries: Some(Vec::new()), value: Some(b"2".to_vec()), ..lock.clone() };
    let right = [Row::Lock(b"a".to_vec(), lock), Row::Lock(b"b".to_vec(), other)];
    expect_rows(&mut store, "after an async prewrite", &right)?;

    let list = ScanLockRequest { max_version: 60, ..Default::default() };
    for (at, read) in [(50, get(b"c", 50).call()), (60, list.call())] {
        store.race(vec![read])?;
        let key = u64::to_be_bytes(at);
        let response = store.call(&asynchronous(at - 20, &[put(&key, b"v")]))?;
        if response.min_commit_ts <= at {
            return Err(Failure::broke(
                "a transaction may commit in the past of a read",
                format!("the store has served a read at {at}"),
                format!(
                    "then a prewrite was told that it may commit at {}",
                    response.min_commit_ts
                ),
            ));
        }
    }
    // The largest of all timestamps is not one that anything can be above.
    store.call(&get(b"c", u64::MAX))?;
    let response = store.call(&asynchronous(70, &[put(b"e", b"v")]))?;
    if response.min_commit_ts != 71 {
        let what = "a read at the largest number counts for nothing";
        return Err(wrong(what, 71, response.min_commit_ts));
    }
    Ok(())
}

/// If all keys of a transaction are in one request, it can be committed there and then: records, no locks, one batch.
fn a_one_phase_commit_leaves_no_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.call(&get(b"z", 40))?;
    let request = one_phase(10, &[put(b"a", b"1"), put(b"b", &[2; 300])]);
    let response = store.call(&request)?;
    expect_ok("a one-phase commit", &response.errors)?;
    if response.one_pc_commit_ts != 41 {
        return Err(wrong(
            "10 commits, and somebody has read at 40",
            41,
            response.one_pc_commit_ts,
        ));
    }
    let right = [
        committed(b"a", 10, 41, b"1"),
        Row::Write(b"b".to_vec(), 41, Write::new(Kind::Put, 10)),
        Row::Value(b"b".to_vec(), 10, vec![2; 300]),
    ];
    expect_rows(&mut store, "after a one-phase commit", &right)
}

/// The checks are those of any prewrite, and all or nothing.
fn a_one_phase_commit_is_refused_as_a_whole(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for there in [locked(b"b", b"b", 9, b"x"), committed(b"b", 5, 20, b"x"), rolled_back(b"b", 10)]
    {
        store.anew()?;
        store.load([there.clone()])?;
        let response = store.call(&one_phase(10, &[put(b"a", b"1"), put(b"b", b"2")]))?;
        if response.errors.is_empty() || response.one_pc_commit_ts != 0 {
            let what = format!("a one-phase commit of 10, and there is {}", there.show());
            return Err(wrong(what, "an error", format!("{response:?}")));
        }
        expect_rows(&mut store, "after a refused one-phase commit", &[there])?;
    }
    Ok(())
}

/// A retried request is told the timestamp that holds: the one of the lock that is there, or of the commit that has happened.
fn a_retry_hears_the_same_timestamp(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let requests = [asynchronous(10, &[put(b"a", b"1")]), one_phase(11, &[put(b"b", b"2")])];
    for request in requests {
        let first = store.call(&request)?;
        store.call(&get(b"z", first.min_commit_ts.max(first.one_pc_commit_ts) + 30))?;
        let second = store.call(&request)?;
        let told = |r: &PrewriteResponse| (r.errors.len(), r.min_commit_ts, r.one_pc_commit_ts);
        if told(&first) != told(&second) {
            let what = "the same prewrite twice, and a read between";
            return Err(wrong(what, format!("{:?}", told(&first)), format!("{:?}", told(&second))));
        }
    }
    Ok(())
}

/// Reads and one-phase commits in the same instant, in any order. Whoever read at a timestamp and did not see a version must
/// be below its commit: a version never appears in the past of a read that has been answered.
///
/// Hint: a read raises `max_ts` first, then looks for locks in memory, then opens its reader.
fn a_race_of_reads_and_one_phase_commits_is_in_order(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..25 {
        store.anew()?;
        let reads: Vec<u64> = vec![20, 30, 40, 50];
        let mut calls: Vec<_> = reads.iter().map(|at| get(b"k", *at).call()).collect();
        calls.push(one_phase(10, &[put(b"j", b"v"), put(b"k", b"v")]).call());
        let answers = store.race(calls)?;
        let response: PrewriteResponse = answers[reads.len()].to()?;
        expect_ok("a one-phase commit", &response.errors)?;
        let at = response.one_pc_commit_ts;
        for (read, answer) in reads.iter().zip(&answers) {
            let got: GetResponse = answer.to()?;
            if got.not_found && *read >= at {
                return Err(Failure::broke(
                    "a version has appeared in the past of a read",
                    format!("a read of k at {read} found nothing"),
                    format!("a one-phase commit of k in the same instant was told {at}"),
                ));
            }
        }
    }
    Ok(())
}

/// A store that begins to lead a region has not served the reads of the leader before it. Until it has a timestamp that the
/// oracle handed out since, it must not choose any; requests that need one wait. Others do not.
fn a_new_leader_waits_for_a_timestamp(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let context = Some(Context { region_id: 7, ..Default::default() });
    let here = PrewriteRequest { context: context.clone(), ..one_phase(10, &[put(b"k", b"v")]) };
    store.unsync(7, 1)?;
    let waiting = store.begin_one(&here)?;
    if store.poll(&waiting)?.is_some() {
        return Err(wrong(
            "region 7 has a new leader",
            "a one-phase commit waits",
            "it was answered",
        ));
    }
    let plain = PrewriteRequest { context, ..prewrite(11, &[put(b"j", b"v")]) };
    expect_ok("an ordinary prewrite", &store.call(&plain)?.errors)?;
    expect_ok("its commit", &store.call(&commit(11, 12, &[b"j"]))?.error)?;
    store.call(&one_phase(13, &[put(b"l", b"v")]))?;
    store.unsync(7, 2)?;
    store.sync(7, 1, 500)?;
    if store.poll(&waiting)?.is_some() {
        let what = "the timestamp was for an earlier leadership";
        return Err(wrong(what, "it waits", "it was answered"));
    }
    store.sync(7, 2, 600)?;
    match store.poll(&waiting)? {
        Some(response) if response.one_pc_commit_ts > 600 => {}
        other => {
            let what = "the oracle has handed out 600 since";
            return Err(wrong(what, "a commit above it", format!("{other:?}")));
        }
    }
    store.unsync(7, 3)?;
    let waiting = store.begin_one(&here)?;
    store.pass(1_000)?;
    match store.poll(&waiting)? {
        Some(response) if response.region_error.is_some() => Ok(()),
        other => Err(wrong("a second has passed", "a region error", format!("{other:?}"))),
    }
}

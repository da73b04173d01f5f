//! What stands round a command: latches, terms, errors.

use proto::kvrpcpb::{CommitResponse, PrewriteResponse};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::{Fault, Txn};
use crate::rows::{Row, show_rows};
use crate::world::{
    Responds, Store, World, commit, committed, expect_ok, expect_rows, get, prewrite,
    prewrite_under, put, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("order.rs":
        of_racing_prewrites_one_wins,
        of_racing_prewrites_of_a_secondary_one_wins,
        racing_commands_wait_for_each_other_and_end,
        a_write_goes_with_the_term_of_its_read,
        a_region_error_is_passed_on,
        a_failed_disk_is_never_a_success,
        a_command_is_one_write,
    )
}

/// Races in one run of a test: each has another order.
const RACES: usize = 12;

/// Several transactions prewrite one key in the same instant. Exactly one gets it. If the reader is opened before the latch
/// is held, or no latch is taken at all, two of them see the key free, and the second overwrites the first one's lock: its
/// client believes in a lock that is gone.
///
/// Hint: first the latches, then the reader, then the decision, then the write; the latches are held until the write is
/// done. In Rust `let _ = guard` drops the guard at once.
fn of_racing_prewrites_one_wins(run: &mut World) -> Outcome {
    race_for(run, |start| prewrite(start, &[put(b"k", &start.to_be_bytes())]).call())
}

/// The same on a key that is the primary of nobody: *all* keys of a command are latched, not only the first.
fn of_racing_prewrites_of_a_secondary_one_wins(run: &mut World) -> Outcome {
    race_for(run, |start| {
        let own = [b"own", &start.to_be_bytes()[..]].concat();
        prewrite(start, &[put(&own, b"x"), put(b"k", &start.to_be_bytes())]).call()
    })
}

fn race_for(run: &mut World, call: impl Fn(u64) -> crate::world::Call) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..RACES {
        store.anew()?;
        let starts = [10, 11, 12, 13];
        let answers = store.race(starts.iter().map(|start| call(*start)).collect())?;
        let mut winners = Vec::new();
        for (start, answer) in starts.iter().zip(&answers) {
            if answer.to::<PrewriteResponse>()?.errors.is_empty() {
                winners.push(*start);
            }
        }
        if winners.len() != 1 {
            let holder = store.rows()?.iter().find_map(|row| match row {
                Row::Lock(key, lock) if key == b"k" => Some(lock.start),
                _ => None,
            });
            return Err(Failure::broke(
                "several transactions believe that they hold one key",
                format!("10 to 13 prewrote k at the same time, and {winners:?} were told yes"),
                format!("the lock that is there is that of {holder:?}"),
            ));
        }
    }
    Ok(())
}

/// Commands with many keys in common, in any order, all come to an end: whoever waits for latches waits for all of
/// them in one place in the queue. And a retried commit that races with the first changes nothing.
fn racing_commands_wait_for_each_other_and_end(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..RACES {
        store.anew()?;
        let keys: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
        let mut backwards = keys;
        backwards.reverse();
        let mutations: Vec<_> = keys.iter().map(|key| put(key, b"v")).collect();
        let reversed: Vec<_> = mutations.iter().rev().cloned().collect();
        let calls = vec![
            prewrite_under(b"a", 10, &mutations).call(),
            prewrite_under(b"a", 10, &reversed).call(),
            prewrite_under(b"a", 10, &mutations[1..3]).call(),
        ];
        for answer in store.race(calls)? {
            expect_ok(
                "a prewrite that comes three times",
                &answer.to::<PrewriteResponse>()?.errors,
            )?;
        }
        let calls = vec![
            commit(10, 15, &keys).call(),
            commit(10, 15, &backwards).call(),
            commit(10, 15, &keys[..1]).call(),
        ];
        for answer in store.race(calls)? {
            expect_ok("a commit that comes three times", &answer.to::<CommitResponse>()?.error)?;
        }
        let right: Vec<Row> = keys.iter().map(|key| committed(key, 10, 15, b"v")).collect();
        expect_rows(
            &mut store,
            "after three prewrites and three commits of one transaction",
            &right,
        )?;
    }
    Ok(())
}

/// What a command writes follows from what it has read. The storage may have another leader by then, whose data is newer. So
/// the term in which the reader was opened goes with the write, and another leader refuses it.
///
/// Hint: `reader.term()`, into the `term` of the context that goes to `Storage::write`.
fn a_write_goes_with_the_term_of_its_read(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.set_term(7)?;
    let response = store.call(&prewrite(10, &[put(b"k", b"v")]))?;
    if let Some(error) = response.region_error {
        return Err(Failure::broke(
            "a write was refused as computed in another term",
            "the reader was opened in term 7, and the write came in term 7",
            format!("the storage said: {}", error.message),
        ));
    }
    expect_ok("a prewrite", &response.errors)?;
    let response = store.call(&commit(10, 15, &[b"k"]))?;
    if let Some(error) = response.region_error {
        return Err(wrong(
            "a commit was refused as computed in another term",
            "no error",
            error.message,
        ));
    }
    expect_rows(&mut store, "after a commit in term 7", &[committed(b"k", 10, 15, b"v")])
}

/// If the storage says that the request is at the wrong place, the client is told so, in `region_error`; nothing is written,
/// and the next request is served.
fn a_region_error_is_passed_on(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.fail_once(Fault::NotLeader)?;
    let response = store.call(&prewrite(10, &[put(b"k", b"v")]))?;
    let hint = response.region_error.and_then(|e| e.not_leader).and_then(|e| e.leader);
    if hint.map(|peer| peer.store_id) != Some(42) {
        let what = "the storage is not the leader, and says who is";
        return Err(wrong(what, "region_error.not_leader, store 42", format!("{hint:?}")));
    }
    expect_rows(&mut store, "after a refused prewrite", &[])?;
    let response = store.call(&prewrite(11, &[put(b"k", b"v")]))?;
    expect_ok("the next prewrite", &response.errors)
}

/// When a write fails and nobody knows whether it happened, the answer is neither yes nor no, but a gRPC status. The client
/// tries again, and both is right: the transaction's own lock is no obstacle.
fn a_failed_disk_is_never_a_success(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for fault in [Fault::WriteLost, Fault::WriteWithoutAnswer] {
        store.anew()?;
        for step in 0..2 {
            let again = |store: &mut Store| match step {
                0 => Ok(store.try_call(&prewrite(10, &[put(b"k", b"v")]))?.map(|r| r.errors)),
                _ => Ok(store
                    .try_call(&commit(10, 15, &[b"k"]))?
                    .map(|r| r.error.into_iter().collect())),
            };
            store.fail_once(fault)?;
            match again(&mut store)? {
                Err(status) if !status.definite => {}
                other => {
                    let what = "the disk failed, and nobody knows whether the write happened";
                    return Err(wrong(what, "an indefinite status", format!("{other:?}")));
                }
            }
            match again(&mut store)? {
                Ok(errors) => expect_ok("the same request again", &errors)?,
                Err(status) => {
                    return Err(wrong("the disk is well again", "an answer", status.text));
                }
            }
        }
        let got = store.call(&get(b"k", 20))?;
        if got.value != b"v"[..] {
            return Err(wrong("the commit was answered", "v", format!("{got:?}")));
        }
    }
    Ok(())
}

/// The storage does the next write that it is asked for, and its answer is lost: the power may have gone just then. So what is
/// there is all that a command has written, of all its keys and in all column families. A command that writes twice leaves a
/// lock without its value, or one key of two.
///
/// Hint: `decided.modifies` goes to `Storage::write` as it is, in one call.
fn a_command_is_one_write(run: &mut World) -> Outcome {
    // Too long to go into a lock or a record: each key has rows in two families.
    let long = vec![b'v'; 300];
    let mutations = [put(b"a", &long), put(b"b", &long)];
    let mut store = Store::in_memory(run)?;
    let mut whole: Vec<Vec<Row>> = Vec::new();
    for fault in [None, Some(Fault::WriteWithoutAnswer)] {
        store.anew()?;
        for (step, what) in ["a prewrite", "a commit"].into_iter().enumerate() {
            if let Some(fault) = fault {
                store.fail_once(fault)?;
            }
            let answered = match step {
                0 => store.try_call(&prewrite(10, &mutations))?.is_ok(),
                _ => store.try_call(&commit(10, 15, &[b"a", b"b"]))?.is_ok(),
            };
            let rows = store.rows()?;
            if fault.is_none() {
                whole.push(rows);
            } else if rows != whole[step] {
                return Err(Failure::broke(
                    format!("{what} of two keys is in the storage by halves"),
                    format!(
                        "the storage did one write, and its answer was lost; the whole is: {}",
                        show_rows(&whole[step])
                    ),
                    format!("it holds: {}", show_rows(&rows)),
                ));
            } else if answered {
                let what = format!("{what} whose write was not answered");
                return Err(wrong(what, "an indefinite status", "an answer"));
            }
        }
    }
    Ok(())
}

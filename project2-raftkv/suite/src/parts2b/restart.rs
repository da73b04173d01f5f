//! A restart: two files, written at different times, become one peer again.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, INIT, REGION, Tester, must, same};
use crate::parts::letters::entries;
use crate::parts::protocol::{ApplyState, Input, Op, Parts, State};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("restart.rs":
        a_first_start_is_behind_the_initial_entry,
        a_restart_finds_the_log,
        the_larger_commit_index_counts,
        a_snapshot_that_the_log_has_missed_takes_its_place,
        an_old_copy_changes_nothing,
        data_ahead_of_its_log_is_refused,
    )
}

/// A region that was just made: nothing in its log, everything up to the initial entry applied.
///
/// Hint: the term of the last entry is the truncated entry's if there is no other.
fn a_first_start_is_behind_the_initial_entry(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    let opened = bench.open()?;
    let state = State { term: INIT.1, vote: 0, commit: INIT.0, last: INIT.0 };
    same("a new peer has another raft state", "it is that of `create`", &state, &opened.state)?;
    let apply = ApplyState { applied: INIT.0, truncated: INIT, commit: INIT };
    same("a new peer has another apply state", "it is that of `create`", &apply, &opened.apply)?;
    let bounds = (opened.first, opened.last);
    same("a new log has another beginning", "(first, last) is", &(INIT.0 + 1, INIT.0), &bounds)?;
    same("the term of the initial entry", "is", &Ok(INIT.1), &bench.term(INIT.0)?)
}

/// Term, vote, commit index, entries and the last entry's term are found again.
///
/// Hint: `LogStore::state` for the state, `term_on_disk` for the term.
fn a_restart_finds_the_log(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    let state = State { term: 8, vote: 3, commit: 7, last: 9 };
    let log = [entries(6..=7, 6), entries(8..=9, 7)].concat();
    bench.commit(vec![Op::Append(REGION, log.clone()), Op::State(REGION, state)])?;
    bench.power_cut()?;
    let opened = bench.open()?;
    same("a restart lost a part of the raft state", "on disk was", &state, &opened.state)?;
    same(
        "a restart found other bounds",
        "(first, last) is",
        &(6, 9),
        &(opened.first, opened.last),
    )?;
    same("a restart found other entries", "6..10 is", &Ok(log), &bench.entries(6, 10)?)?;
    for (index, term) in [(5, 5), (6, 6), (8, 7), (9, 7)] {
        let fact = format!("the term of entry {index} is");
        same("a restart found another term", fact, &Ok(term), &bench.term(index)?)?;
    }
    must(
        bench.term(10)?.is_err(),
        "there is a term behind the end of the log",
        "the log ends with 9",
        "term(10) is known",
    )
}

/// R2: a commit index is not worth an fsync, so that either file may know the larger one.
///
/// Hint: the raft state's, or the apply state's, whichever is larger.
fn the_larger_commit_index_counts(run: &mut Tester<'_>) -> Outcome {
    for (log, data) in [(7u64, 9u64), (9, 7)] {
        let mut bench = Bench::region(run, 3)?;
        let state = State { term: 6, vote: 0, commit: log, last: 10 };
        bench.commit(vec![Op::Append(REGION, entries(6..=10, 6)), Op::State(REGION, state)])?;
        let applied = ApplyState { applied: data, truncated: INIT, commit: (data, 6) };
        bench.done(Input::PutApplyState(applied))?;
        let opened = bench.open()?;
        let fact = format!("raft.redb says {log}, kv.redb says {data}; the commit index is");
        same("a restart forgot that an entry is committed", fact, &9, &opened.state.commit)?;
        same(
            "a restart does not know how far the data is",
            "applied is",
            &data,
            &opened.apply.applied,
        )?;
    }
    Ok(())
}

/// The power went after a snapshot was installed, and before the log's file knew. The copy of the raft state beside the data is
/// ahead: it is the truth, and the old log goes, durably.
///
/// Hint: look at the copy before you look at anything that a log says.
fn a_snapshot_that_the_log_has_missed_takes_its_place(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    let old = State { term: 6, vote: 2, commit: 8, last: 9 };
    bench.commit(vec![Op::Append(REGION, entries(6..=9, 6)), Op::State(REGION, old)])?;
    let copy = State { term: 7, vote: 3, commit: 20, last: 20 };
    bench.done(Input::PutCopy(copy))?;
    let apply = ApplyState { applied: 20, truncated: (20, 7), commit: (20, 7) };
    bench.done(Input::PutApplyState(apply))?;
    for start in ["the first start", "the start after that, following a power cut"] {
        let opened = bench.open()?;
        let fact = format!("on {start} the raft state is that of the snapshot");
        same("an installed snapshot was forgotten", fact, &copy, &opened.state)?;
        same(
            "the log begins elsewhere",
            "(first, last) is",
            &(21, 20),
            &(opened.first, opened.last),
        )?;
        same("the term of the snapshot's entry", "is", &Ok(7), &bench.term(20)?)?;
        same("the log's file was not told", "it says", &Some(copy), &bench.read_state()?)?;
        let left = bench.read_log(6, 10, u64::MAX)?;
        must(
            left.is_err(),
            "the old log is still there",
            "a snapshot took its place",
            format!("6..10 is {left:?}"),
        )?;
        bench.power_cut()?;
    }
    Ok(())
}

/// The copy stays where it is, long after the log has gone on. It must not take anything back.
///
/// Hint: compare the commit indexes.
fn an_old_copy_changes_nothing(run: &mut Tester<'_>) -> Outcome {
    for (commit, term) in [(21, 8), (20, 7)] {
        let mut bench = Bench::region(run, 3)?;
        bench.done(Input::PutCopy(State { term: 7, vote: 0, commit: 20, last: 20 }))?;
        let apply = ApplyState { applied: commit, truncated: (20, 7), commit: (commit, term) };
        bench.done(Input::PutApplyState(apply))?;
        let state = State { term: 9, vote: 1, commit, last: 23 };
        bench.commit(vec![Op::Append(REGION, entries(21..=23, 8)), Op::State(REGION, state)])?;
        let opened = bench.open()?;
        let fact = "the log's file says";
        same("an old copy of the raft state came back", fact, &state, &opened.state)?;
        let kept = &bench.entries(21, 24)?;
        same("entries are gone", "21..24 is", &Ok(entries(21..=23, 8)), kept)?;
    }
    Ok(())
}

/// What was applied was durable in the log before (R1). If it is not there, a file was lost or replaced; a store that went on
/// would serve data without the log that it came from, and vote without remembering its votes.
///
/// Hint: `Error::Corrupt`.
fn data_ahead_of_its_log_is_refused(run: &mut Tester<'_>) -> Outcome {
    let state = State { term: 6, vote: 0, commit: 8, last: 8 };
    let log = || vec![Op::Append(REGION, entries(6..=8, 6)), Op::State(REGION, state)];
    let ahead = ApplyState { applied: 9, truncated: INIT, commit: (9, 6) };
    let cut = ApplyState { applied: 8, truncated: (9, 6), commit: (8, 6) };
    for (apply, what) in [(ahead, "applied is 9"), (cut, "truncated is 9")] {
        let mut bench = Bench::region(run, 3)?;
        bench.commit(log())?;
        bench.done(Input::PutApplyState(apply))?;
        let opened = bench.may_stop(Input::OpenStorage)?;
        must(
            opened.is_err(),
            "a store that has lost a file goes on",
            format!("the log ends with 8, and {what}"),
            "it was opened",
        )?;
    }
    let mut bench = Bench::region(run, 3)?;
    let lost = bench.restart_with_a_new_log()?;
    must(
        lost.is_err(),
        "a store without a log goes on",
        "kv.redb has a region, raft.redb is new",
        "it was opened",
    )
}

//! Committed entries become data.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, INIT, Tester, must, same};
use crate::parts::letters::{delete, mark, put, put_in};
use crate::parts::protocol::{ApplyState, Entry, Input, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("apply.rs":
        entries_become_data_in_their_order,
        the_mark_of_a_leader_is_no_command,
        the_apply_state_says_how_far_the_data_is,
        data_and_apply_state_are_one_commit,
        a_bad_entry_is_refused_as_a_whole,
        bytes_that_are_no_command_do_no_harm,
        a_gap_stops_the_store,
    )
}

/// Entries are applied one after the other, over the borders of tasks: a later one finds what an earlier one left.
///
/// Hint: `apply_entry`, for each.
fn entries_become_data_in_their_order(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let outcome = bench.apply(vec![
        put(6, 6, &[("a", "1"), ("b", "1")]),
        put(7, 6, &[("a", "2")]),
        delete(8, 6, "b"),
    ])?;
    same("a task is applied up to another entry", "it ends with", &8, &outcome.applied)?;
    let fates: Vec<_> =
        outcome.entries.iter().map(|(index, term, no)| (*index, *term, no.is_none())).collect();
    same(
        "entries have another fate",
        "(index, term, done) are",
        &vec![(6, 6, true), (7, 6, true), (8, 6, true)],
        &fates,
    )?;
    same(
        "the data is another",
        "a was set to 1, then 2:",
        &Some("2".to_owned()),
        &bench.get("a")?,
    )?;
    same("the data is another", "b was set, then removed:", &None, &bench.get("b")?)?;
    bench.apply(vec![put(9, 7, &[("b", "3")])])?;
    same("the data is another", "b was set again:", &Some("3".to_owned()), &bench.get("b")?)
}

/// An entry without data is how a leader opens its term. Nobody waits for it, and it has no command; but it has its place, and the
/// commands round it keep theirs.
///
/// Hint: `apply_entry` knows it; count it like any other.
fn the_mark_of_a_leader_is_no_command(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let outcome = bench.apply(vec![
        mark(6, 6),
        put(7, 6, &[("a", "1")]),
        mark(8, 7),
        put(9, 7, &[("a", "2")]),
    ])?;
    let places: Vec<_> = outcome.entries.iter().map(|(index, term, _)| (*index, *term)).collect();
    same(
        "an entry is missing among those that were applied",
        "they are",
        &vec![(6, 6), (7, 6), (8, 7), (9, 7)],
        &places,
    )?;
    same("the data is another", "a was set to 1, then 2:", &Some("2".to_owned()), &bench.get("a")?)
}

/// The apply state lies in the data's file: applied index, and the commit index and term that go with it (R2; a snapshot's label
/// needs the term).
///
/// Hint: `Apply::save`, when the task is done.
fn the_apply_state_says_how_far_the_data_is(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![mark(6, 6), put(7, 8, &[("a", "1")])])?;
    let wanted = ApplyState { applied: 7, truncated: INIT, commit: (7, 8) };
    same(
        "the data's file has another apply state",
        "it must be",
        &Some(wanted),
        &bench.dump()?.apply,
    )
}

/// The power goes at any moment of the commit. Either the entry's data is there *and* the applied index counts it, or neither: else it
/// would be applied twice, or never.
///
/// Hint: save the apply state into the batch that you were given.
fn data_and_apply_state_are_one_commit(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![put(6, 6, &[("a", "6")])])?;
    let before = bench.disks.clone();
    bench.apply(vec![put(7, 6, &[("a", "7"), ("b", "7")]), put(8, 6, &[("c", "8")])])?;
    bench.sweep(&before, 8, |bench, done| {
        let applied = bench.dump()?.apply.map_or(0, |state| state.applied);
        let (a, b, c) = (bench.get("a")?, bench.get("b")?, bench.get("c")?);
        let data = (a.as_deref(), b.as_deref(), c.as_deref());
        let fits = match applied {
            6 => data == (Some("6"), None, None) && !done,
            8 => data == (Some("7"), Some("7"), Some("8")),
            _ => false,
        };
        must(
            fits,
            "a power cut left data and applied index that do not fit",
            "entries 7 and 8 set a, b and c, in one commit with the applied index",
            format!("after a power cut the applied index is {applied}, and (a, b, c) is {data:?}"),
        )
    })
}

/// An entry that cannot be applied (here: a column family that there is not) is refused as a whole, and alike on every replica. Its
/// place counts, and those behind it are applied.
///
/// Hint: a refusal is the entry's answer, not an error of the store.
fn a_bad_entry_is_refused_as_a_whole(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let bad = put_in(6, 6, &[("default", "a", "1"), ("no such family", "b", "1")]);
    let outcome = bench.apply(vec![bad, put(7, 6, &[("c", "1")])])?;
    let refused: Vec<bool> = outcome.entries.iter().map(|(.., no)| no.is_some()).collect();
    same("a bad entry has another fate", "refused are", &vec![true, false], &refused)?;
    same("a bad entry was applied in part", "a is", &None, &bench.get("a")?)?;
    same(
        "an entry behind a bad one was not applied",
        "c is",
        &Some("1".to_owned()),
        &bench.get("c")?,
    )?;
    same("a refused entry does not count as applied", "applied is", &7, &outcome.applied)
}

/// Bytes that do not decode came from a peer that is newer, or wrong. All replicas refuse them alike and go on.
///
/// Hint: nothing to do beyond `apply_entry`'s answer.
fn bytes_that_are_no_command_do_no_harm(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let rubbish = Entry { index: 6, term: 6, data: vec![0xff; 20] };
    let outcome = bench.apply(vec![rubbish, put(7, 6, &[("c", "1")])])?;
    must(
        outcome.entries.first().is_some_and(|(.., no)| no.is_some()),
        "rubbish was applied",
        "twenty bytes 0xff are no command",
        format!("{:?}", outcome.entries),
    )?;
    same("an entry behind it was not applied", "c is", &Some("1".to_owned()), &bench.get("c")?)
}

/// An entry that does not follow the last one means that this store has lost something. Going on would make it another machine than
/// its peers.
///
/// Hint: `Error::Corrupt`.
fn a_gap_stops_the_store(run: &mut Tester<'_>) -> Outcome {
    for next in [8, 6, 5] {
        let mut bench = Bench::region(run, 3)?;
        bench.open()?;
        bench.apply(vec![put(6, 6, &[("a", "1")])])?;
        let stopped = bench.may_stop(Input::Apply(vec![put(next, 6, &[("a", "2")])]))?;
        must(
            stopped.is_err(),
            "a gap between entries was passed over",
            format!("6 is applied; then came {next}"),
            "it was applied",
        )?;
    }
    Ok(())
}

//! The front of a log goes: first by a command, then on the disk.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, REGION, Tester, must, same};
use crate::parts::letters::{cut, entries, mark, put};
use crate::parts::protocol::{Effect, Input, Op, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("compact.rs":
        a_command_moves_the_beginning_of_the_log,
        the_beginning_never_moves_back,
        what_is_not_applied_cannot_be_cut,
        exactly_the_needed_entries_stay,
        other_regions_keep_their_logs,
        a_cut_beyond_the_end_is_harmless,
    )
}

/// All replicas cut at the same place, since it is an entry of the log that says so. The truncated state moves, in the same commit as the
/// applied index, and the peer learns of it.
///
/// Hint: `scope.state.truncated_state`, and an outcome.
fn a_command_moves_the_beginning_of_the_log(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let outcome = bench.apply(vec![mark(6, 6), put(7, 6, &[("a", "1")]), cut(8, 6, (7, 6))])?;
    same(
        "the peer does not learn that its log was cut",
        "outcomes are",
        &vec![(7, 6)],
        &outcome.cuts,
    )?;
    let state = bench.dump()?.apply;
    same(
        "the beginning of the log has not moved",
        "the log starts behind (index, term)",
        &Some((7, 6)),
        &state.map(|state| state.truncated),
    )
}

/// Two commands may overtake each other (a leader's, and its successor's). The log is not cut less by the later one.
///
/// Hint: compare with what is there; no outcome, and no error.
fn the_beginning_never_moves_back(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![mark(6, 6), mark(7, 6), mark(8, 6), cut(9, 6, (8, 6))])?;
    let late = bench.apply(vec![cut(10, 6, (7, 6)), cut(11, 6, (8, 6))])?;
    same(
        "a late command cuts the log again",
        "8 was cut; then 7 and 8 came; outcomes are",
        &Vec::new(),
        &late.cuts,
    )?;
    must(
        late.entries.iter().all(|(.., no)| no.is_none()),
        "a late command is an error",
        "it has come too late to change anything, and that is all",
        format!("{:?}", late.entries),
    )?;
    let state = bench.dump()?.apply;
    same(
        "the beginning of the log moved back",
        "it is",
        &Some((8, 6)),
        &state.map(|state| state.truncated),
    )
}

/// Entries that are not applied are still needed. A command that cuts them is wrong, and refused alike by every replica.
///
/// Hint: what is applied before this very entry?
fn what_is_not_applied_cannot_be_cut(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    let before = bench.dump()?.apply.map(|state| state.truncated);
    let outcome = bench.apply(vec![mark(6, 6), cut(7, 6, (7, 6)), cut(8, 6, (20, 6))])?;
    let refused: Vec<bool> = outcome.entries.iter().map(|(.., no)| no.is_some()).collect();
    same(
        "the log was cut where nothing is applied",
        "entry 7 cuts at 7, entry 8 at 20; refused are",
        &vec![false, true, true],
        &refused,
    )?;
    same(
        "the beginning of the log has moved",
        "it is",
        &before,
        &bench.dump()?.apply.map(|state| state.truncated),
    )
}

/// After the log is cut behind 8, every entry from 9 on can be read, wherever the borders of rounds are. And the space is free: what lies
/// wholly before is gone.
///
/// Hint: the round that holds the first entry that is needed must stay, as a whole.
fn exactly_the_needed_entries_stay(run: &mut Tester<'_>) -> Outcome {
    for index in 5..=12u64 {
        let mut bench = Bench::new(run)?;
        for round in [6..=7, 8..=10, 11..=11, 12..=14] {
            bench.commit(vec![Op::Append(REGION, entries(round, 6))])?;
        }
        bench.commit(vec![Op::Compact(REGION, index)])?;
        let needed = entries((index + 1).max(6)..=14, 6);
        let found = bench.read_log((index + 1).max(6), 15, u64::MAX)?;
        same(
            "an entry is gone that is still needed",
            format!("the log 6..=14 was cut behind {index}; the rest is"),
            &Ok(needed),
            &found,
        )?;
        if index >= 7 {
            let old = bench.read_log(6, 7, u64::MAX)?;
            must(
                old.is_err(),
                "a log that was cut is as large as before",
                format!("it was cut behind {index}, and 6..=7 were a round of their own"),
                format!("entry 6 can be read: {old:?}"),
            )?;
        }
    }
    Ok(())
}

/// One file holds the logs of many regions; one is cut.
///
/// Hint: the range begins with the region's first key.
fn other_regions_keep_their_logs(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    for region in [REGION - 1, REGION, REGION + 1] {
        bench.commit(vec![
            Op::Append(region, entries(6..=7, 6)),
            Op::Append(region, entries(8..=9, 6)),
        ])?;
    }
    bench.commit(vec![Op::Compact(REGION, 8)])?;
    for region in [REGION - 1, REGION + 1] {
        let found = match bench.ask(Input::ReadLog(region, 6, 10, u64::MAX))? {
            Effect::Entries(found) => found,
            _ => Ok(Vec::new()),
        };
        same(
            "another region's log was cut",
            format!("region {region} has"),
            &Ok(entries(6..=9, 6)),
            &found,
        )?;
    }
    Ok(())
}

/// A log that is empty, or ends before the place of the cut, takes no harm: the snapshot that made it so may have overtaken the command.
///
/// Hint: what if there is no round that holds the entry?
fn a_cut_beyond_the_end_is_harmless(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    bench.commit(vec![Op::Compact(REGION, 20)])?;
    bench.commit(vec![Op::Append(REGION, entries(21..=22, 6))])?;
    bench.commit(vec![Op::Compact(REGION, u64::MAX - 1)])?;
    bench.commit(vec![Op::Append(REGION, entries(23..=24, 6)), Op::Compact(REGION, 22)])?;
    let found = bench.read_log(23, 25, u64::MAX)?;
    same(
        "an entry is gone that is still needed",
        "23..=24 were appended",
        &Ok(entries(23..=24, 6)),
        &found,
    )
}

//! A Ready's entries and hard state, on their way to the log.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, INIT, Tester, must, same};
use crate::parts::letters::{entries, entry};
use crate::parts::protocol::{Input, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("persist.rs":
        what_was_handed_out_is_readable_at_once,
        entries_survive_a_power_cut,
        a_term_and_a_vote_survive_a_power_cut,
        a_log_that_became_shorter_ends_there,
        every_entry_that_the_state_names_is_there,
        a_commit_index_goes_with_the_next_write,
    )
}

fn append(new: std::ops::RangeInclusive<u64>, term: u64, commit: bool) -> Input {
    Input::Append { entries: entries(new, term), hard: None, commit }
}

fn hard(term: u64, vote: u64, commit: u64, now: bool) -> Input {
    Input::Append { entries: Vec::new(), hard: Some((term, vote, commit)), commit: now }
}

/// Consensus reads back what it has handed out, long before the log writer has committed it: a leader sends entries which its own
/// disk does not have yet.
///
/// Hint: the cache has what the disk has not.
fn what_was_handed_out_is_readable_at_once(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(append(6..=8, 6, false))?;
    bench.done(append(9..=9, 7, false))?;
    let all = [entries(6..=8, 6), entries(9..=9, 7)].concat();
    same(
        "entries cannot be read that were handed out",
        "6..10 is",
        &Ok(all),
        &bench.entries(6, 10)?,
    )?;
    for (index, term) in [(6, 6), (8, 6), (9, 7)] {
        same("a term is wrong", format!("entry {index} has"), &Ok(term), &bench.term(index)?)?;
    }
    must(
        bench.term(10)?.is_err(),
        "there is a term behind the end of the log",
        "the log ends with 9",
        "term(10) is known",
    )
}

/// What was committed with a sync is there after a power cut.
///
/// Hint: `LogOp::Append` for the entries, `LogOp::State` for the last index.
fn entries_survive_a_power_cut(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(Input::Append {
        entries: entries(6..=8, 6),
        hard: Some((6, 2, INIT.0)),
        commit: true,
    })?;
    bench.done(append(9..=10, 6, true))?;
    bench.power_cut()?;
    let opened = bench.open()?;
    same("a restart found another last index", "the log ended with", &10, &opened.last)?;
    same(
        "a restart found other entries",
        "6..11 is",
        &Ok(entries(6..=10, 6)),
        &bench.entries(6, 11)?,
    )?;
    same("the vote is gone", "(term, vote) was", &(6, 2), &(opened.state.term, opened.state.vote))
}

/// A vote is a promise. It is on the disk before anybody hears of it, even if no entry came with it (paper, figure 2).
///
/// Hint: a hard state whose term or vote is new needs a write of its own.
fn a_term_and_a_vote_survive_a_power_cut(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    for (term, vote) in [(6, 0), (6, 3), (7, 0), (9, 2)] {
        bench.done(hard(term, vote, INIT.0, true))?;
        bench.power_cut()?;
        let state = bench.open()?.state;
        let fact = "a hard state was persisted; after a power cut (term, vote) is";
        same("a term or a vote was forgotten", fact, &(term, vote), &(state.term, state.vote))?;
    }
    Ok(())
}

/// Fewer entries of a new leader replace more of an old one. The log is shorter now, in memory and on the disk: with a tail that
/// lost, of an old term, it would vote after a restart for logs that lack what it has acknowledged.
///
/// Hint: the last index is that of the last new entry, not the larger of old and new.
fn a_log_that_became_shorter_ends_there(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(append(6..=12, 6, true))?;
    bench.done(Input::Append {
        entries: entries(7..=8, 7),
        hard: Some((7, 0, INIT.0)),
        commit: true,
    })?;
    let log = [vec![entry(6, 6)], entries(7..=8, 7)].concat();
    for when in ["in memory", "after a power cut"] {
        let beyond = bench.term(9)?;
        let fact = "7..=8 of term 7 have replaced 7..=12 of term 6: the log ends with 8";
        must(
            beyond.is_err(),
            "the log goes on behind its end",
            fact,
            format!("{when} entry 9 has term {beyond:?}"),
        )?;
        same(
            "the log has other entries",
            format!("{when} 6..9 is"),
            &Ok(log.clone()),
            &bench.entries(6, 9)?,
        )?;
        same("the last entry's term", format!("{when} it is"), &Ok(7), &bench.term(8)?)?;
        bench.power_cut()?;
        let opened = bench.open()?;
        same(
            "the log goes on behind its end",
            format!("{fact}; after a power cut the last index is"),
            &8,
            &opened.last,
        )?;
    }
    Ok(())
}

/// At whatever moment the power goes: the state on disk names a last index, and each entry up to it can be read.
///
/// Hint: entries and state in one batch. In two, a crash between them leaves a state that names entries which are not there, or
/// entries that nobody knows.
fn every_entry_that_the_state_names_is_there(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(append(6..=9, 6, true))?;
    let before = bench.disks.clone();
    bench.done(Input::Append {
        entries: entries(8..=11, 7),
        hard: Some((7, 3, 7)),
        commit: true,
    })?;
    let old = entries(6..=9, 6);
    let new = [entries(6..=7, 6), entries(8..=11, 7)].concat();
    bench.sweep(&before, 8, |bench, _| {
        let opened = bench.open()?;
        let found = bench.entries(6, opened.last + 1)?;
        let wanted = if opened.last == 11 { &new } else { &old };
        must(
            found.as_ref() == Ok(wanted) && (opened.last == 9 || opened.last == 11),
            "a power cut left a state and entries that do not fit",
            format!("the log was {old:?}, and became {new:?} in one write"),
            format!(
                "after a power cut the last index is {}, and the log is {found:?}",
                opened.last
            ),
        )?;
        let promised = (opened.state.term, opened.state.vote);
        let fits = if opened.last == 11 { promised == (7, 3) } else { promised.0 < 7 };
        must(
            fits,
            "a power cut left a hard state and entries that do not fit",
            "both came with one Ready",
            format!("term and vote are {promised:?}, the last index is {}", opened.last),
        )
    })
}

/// A commit index alone is not worth a write: it is remembered, and goes with whatever is written next (R2).
///
/// Hint: take the hard state over before you ask whether something is to be written.
fn a_commit_index_goes_with_the_next_write(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(Input::Append {
        entries: entries(6..=8, 6),
        hard: Some((6, 0, INIT.0)),
        commit: true,
    })?;
    bench.done(hard(6, 0, 8, true))?;
    bench.done(append(9..=9, 6, true))?;
    bench.power_cut()?;
    let state = bench.open()?.state;
    same(
        "a commit index was forgotten",
        "it became 8, and then an entry was written; after a power cut it is",
        &8,
        &state.commit,
    )
}

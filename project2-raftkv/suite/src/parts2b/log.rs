//! The log's file.

use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::parts::bench::{Bench, REGION, Tester, must, same};
use crate::parts::letters::{entries, entry};
use crate::parts::protocol::{Effect, Entry, Input, Op, Parts, State};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("log.rs":
        appended_entries_are_read_back,
        no_append_is_no_change,
        a_new_tail_replaces_the_old_one,
        the_old_tail_never_comes_back,
        a_log_touches_no_other_regions,
        a_batch_is_there_as_a_whole_or_not_at_all,
    )
}

fn append(new: Vec<Entry>) -> Op {
    Op::Append(REGION, new)
}

fn expect(bench: &mut Bench<'_, '_>, low: u64, wanted: &[Entry], story: &str) -> Outcome {
    let high = low + wanted.len() as u64;
    let found = bench.read_log(low, high, u64::MAX)?;
    same(
        "the log's file gives other entries than were appended",
        story,
        &Ok(wanted.to_vec()),
        &found,
    )
}

/// What was appended is read back: from any index, to any index, over the borders of rounds. A limit on the size gives as
/// many entries as fit, but at least one.
///
/// Hint: one value under the key of the first entry; `encode` makes it.
fn appended_entries_are_read_back(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    bench.commit(vec![append(entries(6..=9, 6))])?;
    bench.commit(vec![append(entries(10..=10, 6)), append(entries(11..=12, 7))])?;
    let all = [entries(6..=10, 6), entries(11..=12, 7)].concat();
    for low in 6..=12u64 {
        for high in low + 1..=13 {
            let asked = |entry: &&Entry| (low..high).contains(&entry.index);
            let wanted: Vec<Entry> = all.iter().filter(asked).cloned().collect();
            let story = format!("6..=9, 10 and 11..=12 were appended; {low}..{high} is");
            expect(&mut bench, low, &wanted, &story)?;
        }
    }
    let found = bench.read_log(6, 13, 1)?;
    same("a small limit gives nothing", "at least one entry", &Ok(entries(6..=6, 6)), &found)
}

/// An append without entries changes nothing.
fn no_append_is_no_change(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    bench.commit(vec![append(Vec::new())])?;
    bench.commit(vec![append(entries(6..=8, 6))])?;
    bench.commit(vec![append(Vec::new())])?;
    expect(&mut bench, 6, &entries(6..=8, 6), "6..=8 were appended, and nothing before and after")
}

/// The entries of a new leader end the log: what stood at and behind their first index is gone.
///
/// Hint: what starts at or behind the first new entry must go; what starts before it may stay, since reading clips it.
fn a_new_tail_replaces_the_old_one(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    bench.commit(vec![append(entries(5..=6, 6))])?;
    bench.commit(vec![append(entries(7..=9, 6))])?;
    bench.commit(vec![append(entries(6..=7, 7))])?;
    let wanted = [vec![entry(5, 6)], entries(6..=7, 7)].concat();
    expect(&mut bench, 5, &wanted, "6..=7 of term 7 have replaced 6..=9 of term 6; 5..8 is")?;
    match bench.read_log(5, 10, u64::MAX)? {
        Ok(found) if found.iter().any(|entry| entry.index > 7) => Err(Failure::broke(
            "an entry that lost is still in the log",
            "6..=7 of term 7 have replaced 6..=9 of term 6: the log ends with 7",
            format!("reading 5..10 gives {found:?}"),
        )),
        _ => Ok(()),
    }
}

/// Entries that were replaced do not come back when the log grows beyond them again.
///
/// Hint: remove the old rounds when you replace them; a shorter round in front of them does not hide them for ever.
fn the_old_tail_never_comes_back(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    for old in 6..=12u64 {
        bench.commit(vec![append(entries(old..=old, 6))])?;
    }
    bench.commit(vec![append(entries(7..=8, 7))])?;
    for new in 9..=14u64 {
        let wanted = [vec![entry(6, 6)], entries(7..=new - 1, 7)].concat();
        expect(&mut bench, 6, &wanted, &format!("the log up to {} is", new - 1))?;
        bench.commit(vec![append(entries(new..=new, 7))])?;
    }
    expect(&mut bench, 6, &[vec![entry(6, 6)], entries(7..=14, 7)].concat(), "the whole log is")
}

/// One file holds the logs of many regions. What is appended to one leaves the others alone.
///
/// Hint: `keys::log_range` with no upper bound ends with the region.
fn a_log_touches_no_other_regions(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    let state = State { term: 6, vote: 2, commit: 5, last: 9 };
    for region in [REGION - 1, REGION + 1, REGION] {
        bench.commit(vec![Op::Append(region, entries(6..=9, 6)), Op::State(region, state)])?;
    }
    bench.commit(vec![append(entries(6..=7, 7))])?;
    same(
        "another region's append changed our raft state",
        "it was",
        &Some(state),
        &bench.read_state()?,
    )?;
    for region in [REGION - 1, REGION + 1] {
        let found = match bench.ask(Input::ReadLog(region, 6, 10, u64::MAX))? {
            Effect::Entries(found) => found,
            _ => Ok(Vec::new()),
        };
        let fact = format!(
            "6..=9 of region {region} were appended, then 6..=7 of region {REGION}; region {region} has"
        );
        same("an append changed the log of another region", fact, &Ok(entries(6..=9, 6)), &found)?;
    }
    Ok(())
}

/// Whatever the power cut interrupts: the raft state names a last index, and every entry up to it is there.
///
/// Hint: one batch of changes is one commit of the engine.
fn a_batch_is_there_as_a_whole_or_not_at_all(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::new(run)?;
    let state = |last| State { term: 6, vote: 0, commit: 5, last };
    bench.commit(vec![append(entries(6..=8, 6)), Op::State(REGION, state(8))])?;
    let before = bench.disks.clone();
    bench.commit(vec![append(entries(9..=11, 6)), Op::State(REGION, state(11))])?;
    bench.sweep(&before, 8, |bench, done| {
        let last = bench.read_state()?.map_or(0, |state| state.last);
        let right = if done { last == 11 } else { last == 8 || last == 11 };
        must(
            right,
            "a commit of the log came out as neither the old state nor the new one",
            "the last index was 8, and one commit made it 11",
            format!("after a power cut it is {last}; the commit had ended: {done}"),
        )?;
        expect(
            bench,
            6,
            &entries(6..=last, 6),
            &format!("after a power cut the state says last = {last}; 6..={last} is"),
        )
    })
}

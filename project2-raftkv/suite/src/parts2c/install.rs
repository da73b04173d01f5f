//! A snapshot is installed, and nobody ever sees half of it.

use serde_bytes::ByteBuf;
use sim::disk::DiskImage;
use sim::failure::Outcome;
use sim::harness::Test;

use super::build::label;
use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{mark, put, put_in};
use crate::parts::protocol::{ApplyState, Dump, Input, Pair, Parts, State};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("install.rs":
        the_new_data_takes_the_place_of_the_old,
        a_small_snapshot_is_one_commit,
        a_large_snapshot_is_never_half_visible,
        a_restart_finishes_what_was_begun,
    )
}

struct Sent {
    label: ByteBuf,
    parts: Vec<ByteBuf>,
    pairs: Vec<Pair>,
}

/// A snapshot of somebody who has applied up to 9.
fn built(run: &mut Tester<'_>) -> Outcome<Sent> {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![
        mark(6, 6),
        put(7, 6, &[("a", "new"), ("b", "new"), ("c", "new")]),
        put_in(8, 6, &[("write", "a", "new"), ("lock", "c", "new")]),
        put(9, 7, &[("d", "new")]),
    ])?;
    let label = bench.build(10)?;
    Ok(Sent { label, parts: bench.parts()?, pairs: bench.dump()?.pairs })
}

const STATE: State = State { term: 8, vote: 3, commit: 9, last: 9 };

/// A peer with old data, and all parts staged.
fn receiver<'w, 'a>(run: &'w mut Tester<'a>, sent: &Sent) -> Outcome<Bench<'w, 'a>> {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![
        put(6, 6, &[("a", "old"), ("e", "old"), ("zz", "old")]),
        put_in(7, 6, &[("lock", "a", "old")]),
    ])?;
    bench.done(Input::Stage(sent.parts.clone()))?;
    Ok(bench)
}

fn install(sent: &Sent, at_once: bool) -> Input {
    let bytes = sent.parts.iter().map(|part| part.len() as u64).sum();
    let at_once = if at_once { u64::MAX } else { 0 };
    Input::Install { label: sent.label.clone(), state: STATE, at_once, bytes }
}

fn installed(sent: &Sent) -> Outcome<Dump> {
    let (snapshot, _) = label(&sent.label)?;
    let metadata = snapshot.metadata.unwrap_or_default();
    let at = (metadata.index, metadata.term);
    Ok(Dump {
        pairs: sent.pairs.clone(),
        peer: "Normal".into(),
        apply: Some(ApplyState { applied: at.0, truncated: at, commit: at }),
        copy: Some(STATE),
        staged: 0,
    })
}

/// The old data goes, in every column family; the new data comes; the apply state is the label's, the copy of the raft state stands
/// beside it, and the staged parts are used up. Small or large: the end is the same.
///
/// Hint: `finish` writes what makes it valid.
fn the_new_data_takes_the_place_of_the_old(run: &mut Tester<'_>) -> Outcome {
    let sent = built(run)?;
    let wanted = installed(&sent)?;
    for at_once in [true, false] {
        let mut bench = receiver(run, &sent)?;
        bench.done(install(&sent, at_once))?;
        let how = if at_once { "at once" } else { "in pieces" };
        same(
            "an installed snapshot left something else",
            format!("installed {how}, there must be"),
            &wanted,
            &bench.dump()?,
        )?;
        // It was durable on return.
        bench.power_cut()?;
        same(
            "an installed snapshot did not survive a power cut",
            format!("installed {how}, there must be"),
            &wanted,
            &bench.dump()?,
        )?;
    }
    Ok(())
}

fn sweep(
    bench: &mut Bench<'_, '_>,
    before: &[DiskImage; 2],
    old: &Dump,
    new: &Dump,
    mut resume: impl FnMut(&mut Bench<'_, '_>, &Dump) -> Outcome<Dump>,
) -> Outcome {
    bench.sweep(before, 10, |bench, done| {
        let found = bench.dump()?;
        let found = resume(bench, &found)?;
        // Parts that nobody will ask for are nobody's business.
        let is_old = Dump { staged: 0, ..found.clone() } == Dump { staged: 0, ..old.clone() };
        must(
            found == *new || (is_old && !done),
            "a power cut left half of a snapshot",
            format!("before it there was {old:?}; after it {new:?}"),
            format!("the installation had ended: {done}; a restart found {found:?}"),
        )
    })
}

/// A small snapshot is one transaction: after a power cut at any moment the old data is there, or the new, with all that belongs to it.
///
/// Hint: one batch, one `Engine::write`.
fn a_small_snapshot_is_one_commit(run: &mut Tester<'_>) -> Outcome {
    let sent = built(run)?;
    let new = installed(&sent)?;
    let mut bench = receiver(run, &sent)?;
    let (old, before) = (bench.dump()?, bench.disks.clone());
    bench.done(install(&sent, true))?;
    sweep(&mut bench, &before, &old, &new, |_, found| Ok(found.clone()))
}

/// A large snapshot takes many transactions. From the first of them until the last the peer is `Applying`, and nobody serves it: whenever
/// a peer says that it is normal, its data is of one moment.
///
/// Hint: that it is `Applying` must be durable before anything is cleared.
fn a_large_snapshot_is_never_half_visible(run: &mut Tester<'_>) -> Outcome {
    let sent = built(run)?;
    let new = installed(&sent)?;
    let mut bench = receiver(run, &sent)?;
    let (old, before) = (bench.dump()?, bench.disks.clone());
    bench.done(install(&sent, false))?;
    sweep(&mut bench, &before, &old, &new, |_, found| {
        // Not served: then it may look as it likes.
        Ok(if found.peer == "Applying" { new_if_applying(found, &sent)? } else { found.clone() })
    })
}

// What an `Applying` peer must have, so that the next start can finish it: the copy of the raft state.
fn new_if_applying(found: &Dump, sent: &Sent) -> Outcome<Dump> {
    must(
        found.copy == Some(STATE),
        "a peer that is being filled does not know its raft state",
        format!("with the first commit goes {STATE:?}"),
        format!("{:?}", found.copy),
    )?;
    installed(sent)
}

/// A start after a power cut finishes what was begun, before anybody is served. It finds what it needs, wherever the cut was.
///
/// Hint: the label and the raft state go with the first commit.
fn a_restart_finishes_what_was_begun(run: &mut Tester<'_>) -> Outcome {
    let sent = built(run)?;
    let new = installed(&sent)?;
    let mut bench = receiver(run, &sent)?;
    let (old, before) = (bench.dump()?, bench.disks.clone());
    bench.done(install(&sent, false))?;
    sweep(&mut bench, &before, &old, &new, |bench, _| {
        bench.done(Input::Resume)?;
        bench.dump()
    })
}

//! What becomes of a proposal, and what its client is told.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, INIT, Tester, must, same, told};
use crate::parts::leader::Settled;
use crate::parts::letters::{append, header, kind, mark, propose, put, vote};
use crate::parts::protocol::{Header, Input, Parts, Told};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("fate.rs":
        a_write_is_answered_when_it_is_applied,
        each_write_gets_its_own_answer,
        a_write_that_lost_its_place_is_stale,
        two_terms_at_one_index_are_told_apart,
        a_write_that_is_undecided_waits,
    )
}

fn verdict(told: &Told) -> &'static str {
    match told {
        Told::Written => "written",
        Told::Granted(..) => "granted",
        Told::Refused(refused) => kind(refused),
        Told::Abandoned => "no answer",
    }
}

fn verdicts(settled: &Settled) -> Vec<(u32, &'static str)> {
    settled.told.iter().map(|(number, told)| (*number, verdict(told))).collect()
}

/// A client is told that its write is done when it is applied: then it is on a majority's disks, and the next read sees it.
///
/// Hint: the proposal waits under the entry's index and term.
fn a_write_is_answered_when_it_is_applied(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(propose(1, header(), "k", "v"))?.ok();
    let mine = bench.settle()?;
    must(
        mine.told.is_empty(),
        "a client was answered before its entry was committed",
        "entry 7 is on the leader's disk alone",
        format!("{:?}", mine.told),
    )?;
    let after = bench.acknowledged(3, 7)?;
    same(
        "a write that is applied is not answered",
        "entry 7 is on all disks, and applied",
        &vec![(1, "written")],
        &verdicts(&after),
    )?;
    same(
        "a write that was answered cannot be read",
        "k is",
        &Some("v".to_owned()),
        &bench.get("k")?,
    )
}

/// Several writes wait. Each is answered once, and the mark of the term takes nobody's answer.
///
/// Hint: `split_off` gives what is left.
fn each_write_gets_its_own_answer(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    for number in 1..=4u32 {
        let epoch = if number == 3 { None } else { header().epoch };
        bench.taken(propose(number, Header { epoch, ..header() }, "k", &number.to_string()))?.ok();
    }
    let early = bench.settle()?;
    must(
        early.told.is_empty(),
        "a client was answered before its entry was committed",
        "nothing is acknowledged",
        format!("{:?}", early.told),
    )?;
    let first = bench.acknowledged(3, 8)?;
    same(
        "other clients were answered than those whose entries are applied",
        "entries up to 8 are; the writes are 7 to 10",
        &vec![(1, "written"), (2, "written")],
        &verdicts(&first),
    )?;
    let rest = bench.acknowledged(3, 10)?;
    same(
        "other clients were answered than those whose entries are applied",
        "entries up to 10 are",
        &vec![(3, "written"), (4, "written")],
        &verdicts(&rest),
    )
}

/// A leader was deposed, and another's entries took the place of its own. The writes that stood there have not happened and never
/// will: `StaleCommand`, which is definite, and the client may try again without a second thought.
///
/// Hint: same index, other term.
fn a_write_that_lost_its_place_is_stale(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    for number in 1..=2 {
        bench.taken(propose(number, header(), "k", "old"))?.ok();
    }
    bench.settle()?;
    let new = vec![mark(7, 7), put(8, 7, &[("k", "new")])];
    bench.done(append(2, 7, (6, 6), new, 8))?;
    let after = bench.settle()?;
    same(
        "writes that lost their place got another answer",
        "entries 7 and 8 of term 7 are applied where those of term 6 stood",
        &vec![(1, "StaleCommand"), (2, "StaleCommand")],
        &verdicts(&after),
    )?;
    let definite = after
        .told
        .iter()
        .all(|(_, told)| matches!(told, Told::Refused(refused) if refused.definite));
    must(
        definite,
        "StaleCommand is not definite",
        "their place is taken for good",
        format!("{:?}", after.told),
    )?;
    same("a write happened that was refused", "k is", &Some("new".to_owned()), &bench.get("k")?)
}

/// A peer that led term 6 leads again in term 8: two of its own proposals wait at one index. The entry of term 8 is applied: the one
/// is done, the other never will be.
///
/// Hint: the key is (index, term). By the index alone the second would overwrite the first, whose client then waits for ever.
fn two_terms_at_one_index_are_told_apart(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    for number in 1..=2 {
        bench.taken(propose(number, header(), "k", "old"))?.ok();
    }
    bench.settle()?;
    // Term 7's leader replaces 7, and 8 is gone with it; nothing of that is committed.
    bench.done(append(2, 7, (6, 6), vec![mark(7, 7)], 6))?;
    bench.settle()?;
    bench.done(Input::Campaign)?;
    bench.settle()?;
    bench.done(vote(3, 8))?;
    // The mark of term 8 is entry 8, the write entry 9; the proposal of term 6 at 8 is decided by the mark.
    bench.taken(propose(3, header(), "k", "new"))?.ok();
    bench.settle()?;
    for follower in 2..=3 {
        bench.done(crate::parts::letters::accept(follower, 8, 9))?;
    }
    let after = bench.settle()?;
    let mut seen = verdicts(&after);
    seen.sort_unstable();
    same(
        "proposals of two terms were confused",
        "7@7, 8@8 and 9@8 are applied; waiting were 7@6, 8@6 and 9@8",
        &vec![(1, "StaleCommand"), (2, "StaleCommand"), (3, "written")],
        &seen,
    )
}

/// A deposed leader does not know the fate of what it proposed, as long as nothing is applied in its place: it may have reached a
/// majority. It must not say `StaleCommand`. At the deadline it says that nobody knows.
///
/// Hint: only an applied entry decides. (`Peer::tick` does the rest.)
fn a_write_that_is_undecided_waits(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    let deadline = 5_000_000;
    let puts = vec![(b"k".to_vec(), b"v".to_vec().into())];
    bench.taken(Input::Propose { number: 1, header: header(), puts, deadline })?.ok();
    bench.settle()?;
    bench.done(crate::parts::letters::heartbeat(2, 7, INIT.0))?;
    let deposed = bench.settle()?;
    must(
        deposed.told.is_empty(),
        "a client was told a fate that is not decided",
        "entry 7 of term 6 is in the log, and nothing is applied in its place",
        format!("{:?}", deposed.told),
    )?;
    let early = bench.round(Input::Tick(1, deadline - 1))?;
    must(
        early.told.is_empty(),
        "a client was told a fate that is not decided",
        "its deadline is not over",
        format!("{:?}", early.told),
    )?;
    let late = bench.round(Input::Tick(1, deadline))?;
    let said = told(&late.told, 1).map(verdict);
    same(
        "a client was told something else at its deadline",
        "nobody knows the fate of its write",
        &Some("Unknown"),
        &said,
    )
}

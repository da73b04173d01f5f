//! A write becomes an entry, or comes back.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{header, kind, propose};
use crate::parts::protocol::{Header, Input, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("propose.rs":
        a_write_is_appended_to_the_leaders_log,
        nobody_is_answered_when_the_leader_has_appended,
        a_refused_write_appends_nothing,
        a_key_of_another_region_is_refused,
        a_write_that_is_too_large_is_refused,
        too_much_that_waits_is_held_back,
    )
}

// A tick changes nothing here, and shows how the peer stands.
fn last(bench: &mut Bench<'_, '_>) -> Outcome<u64> {
    Ok(bench.round(Input::Tick(0, 0))?.last)
}

/// Each write that is taken is one entry at the end of the leader's log.
///
/// Hint: `node.propose` appends at `status().last_index`.
fn a_write_is_appended_to_the_leaders_log(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    let before = last(&mut bench)?;
    for number in 1..=3u32 {
        let taken = bench.taken(propose(number, header(), "k", "v"))?;
        must(
            taken.is_ok(),
            "a leader refused a write",
            "nothing is wrong with it",
            format!("{taken:?}"),
        )?;
        let wanted = before + u64::from(number);
        same(
            "a write did not become one entry",
            "the last index is now",
            &wanted,
            &last(&mut bench)?,
        )?;
    }
    Ok(())
}

/// That an entry is in the leader's log means nothing: another leader may replace it. Its client waits until it is applied.
///
/// Hint: keep the callback under (index, term); `on_applied` completes it.
fn nobody_is_answered_when_the_leader_has_appended(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    bench.taken(propose(1, header(), "k", "v"))?.ok();
    let told = bench.round(Input::Tick(1, 0))?.told;
    must(
        told.is_empty(),
        "a client was answered before its write was committed",
        "it was only appended to the leader's log",
        format!("{told:?}"),
    )
}

/// Whoever is refused can be sure that nothing happened: there is no entry, and the answer is definite.
///
/// Hint: check everything before `node.propose`.
fn a_refused_write_appends_nothing(run: &mut Tester<'_>) -> Outcome {
    let cases = [
        (Header { region: 9, ..header() }, "RegionNotFound"),
        (Header { term: 4, ..header() }, "StaleCommand"),
        (Header { epoch: Some((0, 0)), ..header() }, "EpochNotMatch"),
    ];
    let mut bench = Bench::elected(run, 3)?;
    let before = last(&mut bench)?;
    for (number, (header, wanted)) in (1..).zip(cases) {
        let refused = bench.taken(propose(number, header, "k", "v"))?.err();
        let told = refused.as_ref().map_or("taken", kind);
        same("a bad write got another answer", "it must be", &wanted, &told)?;
        must(
            refused.is_some_and(|refused| refused.definite),
            "a refusal is not definite",
            "nothing was appended",
            wanted,
        )?;
        same("a refused write was appended", "the last index stays", &before, &last(&mut bench)?)?;
    }
    let mut follower = Bench::peer(run, 3)?;
    let refused = follower.taken(propose(1, header(), "k", "v"))?.err();
    same(
        "a follower took a write",
        "it must answer",
        &"NotLeader",
        &refused.as_ref().map_or("taken", kind),
    )
}

/// A key that is not in the region has no place in its log: here, any key under the tail's header.
///
/// Hint: `cmd::fit`, with the region that `check` has found.
fn a_key_of_another_region_is_refused(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    let before = last(&mut bench)?;
    let refused = bench.taken(propose(1, Header { region: 2, ..header() }, "k", "v"))?.err();
    same(
        "a key outside of its region was taken",
        "the tail has no key k; the answer is",
        &"KeyNotInRegion",
        &refused.as_ref().map_or("taken", kind),
    )?;
    same("a refused write was appended", "the last index stays", &before, &last(&mut bench)?)
}

/// An entry that is too large would hold up everybody behind it, on every replica. The client must split it.
///
/// Hint: `cmd::encode` knows the limit.
fn a_write_that_is_too_large_is_refused(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    let before = last(&mut bench)?;
    let puts = vec![(b"k".to_vec(), vec![7u8; 9 << 20].into())];
    let huge = Input::Propose { number: 1, header: header(), puts, deadline: u64::MAX };
    let refused = bench.taken(huge)?.err();
    same(
        "a write of 9 MiB got another answer",
        "it must be",
        &"Invalid",
        &refused.as_ref().map_or("taken", kind),
    )?;
    same("a refused write was appended", "the last index stays", &before, &last(&mut bench)?)
}

/// When followers do not answer, what waits in the leader's memory has a limit. A write beyond it is held at the edge for a moment
/// (`Later`); it is not lost, and not an error.
///
/// Hint: a node that refuses a proposal is asked again in a moment.
fn too_much_that_waits_is_held_back(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.done(Input::StartPeer { me: 1, max_uncommitted: 1_000 })?;
    bench.done(Input::Campaign)?;
    bench.done(crate::parts::letters::vote(2, 6))?;
    let value = "v".repeat(700);
    let first = bench.taken(propose(1, header(), "a", &value))?;
    must(
        first.is_ok(),
        "a leader with nothing to do refused a write",
        "nothing waits",
        format!("{first:?}"),
    )?;
    let before = last(&mut bench)?;
    let second = bench.taken(propose(2, header(), "b", &value))?.err();
    same(
        "a write over the limit got another answer",
        "700 bytes wait, the limit is 1000; it must be",
        &"Later",
        &second.as_ref().map_or("taken", kind),
    )?;
    same("a refused write was appended", "the last index stays", &before, &last(&mut bench)?)
}

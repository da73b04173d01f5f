//! Who may be served, and what the others are told.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{header, heartbeat, kind, read, region_error};
use crate::parts::protocol::{Header, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("check.rs":
        who_does_not_lead_says_so,
        a_hint_is_given_only_by_who_is_sure,
        a_region_that_is_not_here_is_not_found,
        another_peer_is_not_this_one,
        a_term_that_is_over_is_refused,
        an_old_epoch_is_answered_with_the_region,
        mistakes_are_told_in_order,
    )
}

fn verdict(bench: &mut Bench<'_, '_>, header: Header) -> Outcome<&'static str> {
    Ok(bench.taken(read(1, header))?.map_or_else(|refused| kind(&refused), |()| "taken"))
}

fn table(bench: &mut Bench<'_, '_>, cases: &[(Header, &'static str)]) -> Outcome {
    for (header, wanted) in cases {
        let told = verdict(bench, header.clone())?;
        same(
            "a request got another answer than the contract's",
            format!("for {header:?} it is"),
            wanted,
            &told,
        )?;
    }
    Ok(())
}

/// Only a leader serves. Everybody else answers `NotLeader`: a definite error, the client goes on elsewhere.
///
/// Hint: `status().is_leader()`.
fn who_does_not_lead_says_so(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    same("a follower served", "it must answer", &"NotLeader", &verdict(&mut bench, header())?)?;
    bench.done(crate::parts::protocol::Input::Campaign)?;
    same("a candidate served", "it must answer", &"NotLeader", &verdict(&mut bench, header())?)?;
    let mut leader = Bench::elected(run, 3)?;
    same("a leader did not serve", "it must be", &"taken", &verdict(&mut leader, header())?)
}

/// Clients follow a hint without a pause. So there is one only if the peer has heard that leader itself; a candidate names nobody.
///
/// Hint: `certain_leader`.
fn a_hint_is_given_only_by_who_is_sure(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    let hint = |bench: &mut Bench<'_, '_>| -> Outcome<Option<u64>> {
        let refused = bench.taken(read(1, header()))?.err();
        let error = refused.as_ref().map(region_error).unwrap_or_default();
        Ok(error.not_leader.and_then(|not| not.leader).map(|peer| peer.store_id))
    };
    same("a hint was made up", "nobody leads; the hint is", &None, &hint(&mut bench)?)?;
    bench.done(heartbeat(2, 6, 5))?;
    same(
        "a known leader was not named",
        "peer 2 said that it leads; the hint is",
        &Some(2),
        &hint(&mut bench)?,
    )
}

/// A store answers only for regions that it has. The empty tail behind the first region counts: the same peer answers for it.
///
/// Hint: `region::TAIL_REGION`, `region::tail_of`.
fn a_region_that_is_not_here_is_not_found(run: &mut Tester<'_>) -> Outcome {
    let at = |region| Header { region, peer: None, epoch: None, term: 0 };
    let mut bench = Bench::elected(run, 1)?;
    table(
        &mut bench,
        &[(at(1), "taken"), (at(2), "taken"), (at(3), "RegionNotFound"), (at(0), "RegionNotFound")],
    )
}

/// A client that means another peer on this store has an old map.
///
/// Hint: only if the peer that it names is on our store, and is not us.
fn another_peer_is_not_this_one(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 1)?;
    let to = |peer| Header { peer, ..header() };
    table(
        &mut bench,
        &[(to(Some((1, 1))), "taken"), (to(None), "taken"), (to(Some((7, 1))), "MismatchPeerId")],
    )
}

/// A handler that reads and then writes names the term of its read: if the leadership has changed in between, somebody else may
/// have written. `StaleCommand` is definite.
///
/// Hint: 0 means any term.
fn a_term_that_is_over_is_refused(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 1)?;
    let of = |term| Header { term, ..header() };
    table(
        &mut bench,
        &[(of(0), "taken"), (of(6), "taken"), (of(5), "StaleCommand"), (of(7), "StaleCommand")],
    )
}

/// A client that knows the region in another shape is told the shape that it has now, so that it need not ask PD.
///
/// Hint: `region::check_epoch`.
fn an_old_epoch_is_answered_with_the_region(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 1)?;
    let of = |epoch| Header { epoch, ..header() };
    table(
        &mut bench,
        &[(of(Some((1, 1))), "taken"), (of(None), "taken"), (of(Some((1, 0))), "EpochNotMatch")],
    )?;
    let refused = bench.taken(read(2, of(Some((0, 0)))))?.err();
    let error = refused.as_ref().map(region_error).unwrap_or_default();
    let regions = error.epoch_not_match.map(|e| e.current_regions).unwrap_or_default();
    must(
        regions.iter().any(|region| region.id == 1),
        "an EpochNotMatch says nothing about the region",
        "clients retry without a pause after an empty list: it must name region 1",
        format!("it names {} regions", regions.len()),
    )
}

/// A client may be wrong in several ways at once. It is told the one that helps it on: where the region is, before who leads it,
/// before how it looks.
///
/// Hint: the order stands in the function's doc comment.
fn mistakes_are_told_in_order(run: &mut Tester<'_>) -> Outcome {
    let all_wrong = Header { region: 9, peer: Some((7, 1)), epoch: Some((0, 0)), term: 3 };
    let wrong_peer = Header { region: 1, ..all_wrong.clone() };
    let wrong_term = Header { peer: Some((1, 1)), ..wrong_peer.clone() };
    let wrong_epoch = Header { term: 0, ..wrong_term.clone() };
    let mut bench = Bench::peer(run, 3)?;
    table(
        &mut bench,
        &[
            (all_wrong.clone(), "RegionNotFound"),
            (wrong_peer.clone(), "MismatchPeerId"),
            (wrong_term.clone(), "NotLeader"),
            (wrong_epoch.clone(), "NotLeader"),
        ],
    )?;
    let mut leader = Bench::elected(run, 3)?;
    table(
        &mut leader,
        &[
            (all_wrong, "RegionNotFound"),
            (wrong_peer, "MismatchPeerId"),
            (wrong_term, "StaleCommand"),
            (wrong_epoch, "EpochNotMatch"),
        ],
    )
}

//! One region on a store of many: it opens, it serves, and it knows what is wrong with a request.

use proto::errorpb;
use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::scenario::Scenario;

use super::chaos::quiet;
use super::city::{City, Said, broke, epoch, put_command};
use super::config::StoreConfig;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("serve.rs":
        a_store_answers_reads,
        a_store_serves_its_region,
        three_stores_serve_their_region,
        a_restarted_store_finds_its_region,
        each_wrong_request_has_its_error,
        a_power_cut_at_any_point_loses_nothing,
    )
}

/// A store opens its disk, finds (or makes) its region, elects itself, tells the scheduler, and answers reads.
///
/// Hint: a round's effects have an order. Who reads after an answer must find what it was about: what do reads wait for?
fn a_store_answers_reads(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    city.settle()?;
    city.expect(b"a", None)?;
    city.finish()
}

/// A store with one region of one peer is project 2 with another loop: what is written is there to be read.
///
/// Hint: a Ready's entries are committed when the log writer says that they are durable, and `log_written` must find the
/// peer whose Ready it was.
fn a_store_serves_its_region(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    city.settle()?;
    city.expect(b"a", None)?;
    city.put(b"a", b"1")?;
    city.expect(b"a", Some(b"1"))?;
    city.finish()
}

/// Three stores, one region: the leader's followers get what it proposes, and all come to the same data.
fn three_stores_serve_their_region(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3, 3).setup(), quiet).clients(3, 15).length(3 * SECOND).run(run)
}

/// A store that was stopped, or whose power went, finds its regions and what was in them.
///
/// Hint: which region states are there, and what does `peer_storage::open` need for each that is normal?
fn a_restarted_store_finds_its_region(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    for round in 0..3u8 {
        city.settle()?;
        let (key, value) = ([b'k', b'0' + round], [b'v', b'0' + round]);
        city.put(&key, &value)?;
        let cut = if round == 1 { Cut::Kill } else { Cut::Power };
        city.world.fault(Fault::Crash(Who::Node(1), cut), Some(SECOND / 2))?;
        city.world.run_for(SECOND)?;
        city.settle()?;
        city.expect(&key, Some(&value))?;
    }
    city.finish()
}

type Has = fn(&errorpb::Error) -> bool;

/// A request for a region that is not here, to another peer, in an old epoch, of another term, for a key outside: each has
/// an error of its own, and each is definite. A client that gets the wrong one asks the wrong place next.
///
/// Hint: `docs/src/errors.md` has the table. `EpochNotMatch` is never empty: clients ask again without a pause if it is.
fn each_wrong_request_has_its_error(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    let follower = leader % 3 + 1;
    city.put(b"a", b"1")?;
    let right = city.header(b"", leader);
    let cases: [(&str, u64, proto::raft_cmdpb::RaftRequestHeader, Has); 5] = [
        (
            "a region that is not here: RegionNotFound",
            leader,
            proto::raft_cmdpb::RaftRequestHeader { region_id: 77, ..right },
            |e| e.region_not_found.as_ref().is_some_and(|e| e.region_id == 77),
        ),
        (
            "another peer of the region on this store: MismatchPeerId",
            leader,
            proto::raft_cmdpb::RaftRequestHeader {
                peer: right.peer.map(|peer| proto::metapb::Peer { id: 55, ..peer }),
                ..right
            },
            |e| e.mismatch_peer_id.is_some(),
        ),
        ("a follower: NotLeader", follower, city.header(b"", follower), |e| e.not_leader.is_some()),
        (
            "a version that is over: EpochNotMatch with the region as it is",
            leader,
            proto::raft_cmdpb::RaftRequestHeader { region_epoch: Some(epoch(1, 7)), ..right },
            |e| e.epoch_not_match.as_ref().is_some_and(|e| !e.current_regions.is_empty()),
        ),
        (
            "a term that is over: StaleCommand",
            leader,
            proto::raft_cmdpb::RaftRequestHeader { term: 4_000, ..right },
            |e| e.stale_command.is_some(),
        ),
    ];
    for (what, to, header, has) in cases {
        match city.command(to, &put_command(header, b"~x", b"1"))? {
            Said::Region(error) if has(&error) => {}
            other => {
                return broke(
                    "a wrong request did not get its own error",
                    format!("asked for {what}"),
                    format!("the answer was {other:?}"),
                );
            }
        }
    }
    match city.command(leader, &put_command(right, b"~x", b"1"))? {
        Said::Done(_) => city.finish(),
        other => broke(
            "a request with nothing wrong in it was refused",
            "region, peer, epoch and key are those of the leader",
            format!("the answer was {other:?}"),
        ),
    }
}

/// The power goes between any two things that three stores do: nothing that was promised is lost.
fn a_power_cut_at_any_point_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3, 3).setup(), quiet)
        .clients(2, 6)
        .length(2 * SECOND)
        .sweep(run, 6)
}

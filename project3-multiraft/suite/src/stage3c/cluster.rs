//! Everything together: clusters of stores that the judge plays.

use std::collections::BTreeMap;

use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use super::fake::Fake;
use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, TAIL_START, World};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("cluster.rs":
        an_uneven_cluster_becomes_even_and_stays_still,
        a_large_cluster_becomes_even_and_stays_still,
        a_new_store_is_filled,
        a_lost_store_is_made_up_for_everywhere,
        a_scheduler_that_restarts_ends_what_it_began,
        a_peer_that_never_catches_up_does_not_block_the_rest,
    )
}

fn settings(limit: u64) -> Settings {
    Settings {
        leader_schedule_limit: limit,
        region_schedule_limit: limit,
        replica_schedule_limit: limit,
        ..Settings::default()
    }
}

// `many` regions side by side, each on three of the first `filled` stores, drawn at random; led by the first of them.
fn cluster(pd: &mut Pd, many: u64, filled: u64, stores: u64) -> Outcome<Fake> {
    pd.open_with_tail(stores)?;
    let key = |at: u64| format!("k{at:05}");
    let mut first = Shape::new(1, "", &key(0)).on(&[1, 2, 3]).at(3, 3);
    first.size = 10;
    let mut regions = vec![first, Shape::tail(&[1, 2, 3]).at(2, 3)];
    for at in 0..many {
        let mut on: Vec<u64> = Vec::new();
        while on.len() < 3 {
            let store = 1 + pd.rng().below(usize::try_from(filled).unwrap_or(3)) as u64;
            if !on.contains(&store) {
                on.push(store);
            }
        }
        let mut shape = Shape::new(10 + at, &key(at), &key(at + 1)).on(&on).at(3, 1);
        if at + 1 == many {
            shape.end = TAIL_START.to_vec();
        }
        regions.push(shape);
    }
    Ok(Fake::new(stores, regions))
}

fn expect_even(what: &str, spread: &BTreeMap<u64, usize>, at_most: usize) -> Outcome {
    let (most, least) = (spread.values().max().copied(), spread.values().min().copied());
    if most.zip(least).is_some_and(|(most, least)| most - least <= at_most) {
        return Ok(());
    }
    Err(Failure::broke(
        format!("the cluster came to rest, and its {what} are not even"),
        format!("the fullest and the emptiest store may differ by {at_most}"),
        format!("{what} by store: {spread:?}"),
    ))
}

fn expect_still(fake: &mut Fake, pd: &mut Pd, seconds: u32) -> Outcome {
    fake.report_all();
    for second in 0..seconds {
        let orders = fake.second(pd)?;
        if orders > 0 {
            return Err(Failure::broke(
                "a cluster that was at rest began to move again",
                "nothing has happened to it; its leaders reported what they had reported before",
                format!("{second} s later there were {orders} orders"),
            ));
        }
    }
    Ok(())
}

fn evens_out(run: &mut World, many: u64, filled: u64, stores: u64, calm: u32) -> Outcome {
    let mut pd = Pd::start(run, settings(many.min(1000)))?;
    let mut fake = cluster(&mut pd, many, filled, stores)?;
    fake.settle(&mut pd, calm, 400)?;
    expect_even("peers", &fake.peers(stores), 3)?;
    expect_even("leaders", &fake.leaders(stores), 3)?;
    // What has to go: the share of the empty stores, and what chance has put on one store too many. None goes twice.
    let most = many * 3 * (stores - filled) / stores * 5 / 4 + many / 10;
    if fake.added > most {
        return Err(Failure::broke(
            "the cluster moved more than it had to",
            format!("{} peers, all of them on {filled} of {stores} stores", many * 3),
            format!("{} peers were added until it came to rest", fake.added),
        ));
    }
    expect_still(&mut fake, &mut pd, calm)
}

/// 300 regions, all on 8 of 20 stores: balance spreads peers and leaders over all of them, moves little more than
/// it must, and then, when nothing happens, does nothing.
fn an_uneven_cluster_becomes_even_and_stays_still(run: &mut World) -> Outcome {
    evens_out(run, 300, 8, 20, 8)
}

/// The same with 10,000 regions, on 90 of 100 stores.
fn a_large_cluster_becomes_even_and_stays_still(run: &mut World) -> Outcome {
    evens_out(run, 10_000, 90, 100, 15)
}

/// An empty store joins, and gets its share of peers and leaders.
fn a_new_store_is_filled(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, settings(32))?;
    let mut fake = cluster(&mut pd, 60, 4, 5)?;
    fake.settle(&mut pd, 6, 400)?;
    expect_even("peers", &fake.peers(5), 3)?;
    expect_even("leaders", &fake.leaders(5), 3)
}

/// One of six stores dies. After `max_store_down_time` every region has three peers on the other five, and the cluster is
/// even.
fn a_lost_store_is_made_up_for_everywhere(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings { max_store_down_time: 60_000, ..settings(16) })?;
    let mut fake = cluster(&mut pd, 40, 6, 6)?;
    fake.settle(&mut pd, 6, 400)?;
    let dead = 1 + pd.rng().below(6) as u64;
    fake.kill(dead);
    for _ in 0..62 {
        fake.second(&mut pd)?;
    }
    fake.settle(&mut pd, 6, 400)?;
    for shape in fake.regions.values() {
        if shape.peers.len() != 3 || shape.peer_on(dead).is_some() {
            return Err(Failure::broke(
                "a region was not made whole after a store was lost",
                format!("store {dead} died, and five others are alive"),
                format!("{shape}"),
            ));
        }
    }
    let mut peers = fake.peers(6);
    peers.remove(&dead);
    expect_even("peers", &peers, 3)
}

/// The scheduler crashes again and again while it moves things. What it knew about its operators is lost, what it knew
/// about ids is not: no peer's id is used twice, no learner stays behind, nothing is ordered by an old map, and in the end
/// the cluster is even.
///
/// Hint: after a restart nothing is judged before most leaders have reported.
fn a_scheduler_that_restarts_ends_what_it_began(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, settings(16))?;
    let mut fake = cluster(&mut pd, 60, 4, 8)?;
    for _ in 0..12 {
        let seconds = 1 + pd.rng().below(6);
        for _ in 0..seconds {
            fake.second(&mut pd)?;
        }
        pd.crash()?;
        // The stores' streams break; each leader reports when it is connected again.
        fake.report_all();
    }
    fake.settle(&mut pd, 8, 400)?;
    let mut ids = std::collections::BTreeSet::new();
    for shape in fake.regions.values() {
        let whole = shape.peers.len() == 3 && shape.peers.iter().all(|peer| peer.role == 0);
        if !whole || !shape.peers.iter().all(|peer| ids.insert(peer.id)) {
            return Err(Failure::broke(
                "a restart of the scheduler has left something behind",
                "each region shall have three voters, each with an id of its own",
                format!("{shape}: {:?}", shape.peers),
            ));
        }
    }
    expect_even("peers", &fake.peers(8), 3)
}

/// New peers on one store never catch up (its disk is full, say). It gets no more of them than `max_pending_peers`, moves
/// there time out and are given up; everything else goes on, and no region is left without a majority.
fn a_peer_that_never_catches_up_does_not_block_the_rest(run: &mut World) -> Outcome {
    let timeout = Settings { region_operator_timeout: 20_000, ..settings(32) };
    let mut pd = Pd::start(run, timeout)?;
    let mut fake = cluster(&mut pd, 40, 4, 6)?;
    fake.stuck.insert(6);
    for _ in 0..150 {
        fake.second(&mut pd)?;
    }
    let mut peers = fake.peers(6);
    peers.remove(&6);
    let most = peers.values().max().copied().unwrap_or(0);
    if peers[&5] * 2 >= most {
        return Ok(());
    }
    Err(Failure::broke(
        "one stuck store keeps others from being filled",
        "stores 5 and 6 are new and empty; on 6 no new peer ever catches up, on 5 they do",
        format!("after 150 s the peers by store are {:?}", fake.peers(6)),
    ))
}

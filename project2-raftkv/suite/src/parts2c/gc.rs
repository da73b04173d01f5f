//! Where a leader cuts its log.

use prost::Message as _;
use proto::raft_cmdpb::{AdminRequest, RaftRequestHeader};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{accept, header, propose};
use crate::parts::protocol::{Input, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("gc.rs":
        a_follower_that_is_a_little_behind_is_spared,
        a_dead_follower_is_given_up,
        nothing_is_cut_that_is_not_durable,
        a_log_that_is_cut_is_left_alone,
        the_command_names_its_region_and_term,
    )
}

/// A leader of three, whose log goes up to 26, all applied. Peer 2 has all of it, peer 3 up to `third`.
fn long<'w, 'a>(run: &'w mut Tester<'a>, third: u64) -> Outcome<Bench<'w, 'a>> {
    let mut bench = Bench::leader(run, 3)?;
    for number in 7..=26u32 {
        let taken = bench.taken(propose(number, header(), "k", "value"))?;
        must(
            taken.is_ok(),
            "a leader refused a write",
            "nothing is wrong with it",
            format!("{taken:?}"),
        )?;
    }
    bench.settle()?;
    bench.done(accept(2, 6, 26))?;
    bench.done(accept(3, 6, third))?;
    bench.settle()?;
    Ok(bench)
}

fn place(bench: &mut Bench<'_, '_>, limit: u64, durable: u64) -> Outcome<Option<(u64, u64)>> {
    let found = bench.log_gc(limit, u64::MAX / 4, durable)?;
    let at = |bytes: &[u8]| {
        let compact = AdminRequest::decode(bytes).ok()?.compact_log?;
        Some((compact.compact_index, compact.compact_term))
    };
    Ok(found.and_then(|(_, admin)| at(&admin)))
}

/// A snapshot is dear. As long as the log is not twice as long as it may be, it is cut where the slowest follower is.
///
/// Hint: `status().slowest_match`.
fn a_follower_that_is_a_little_behind_is_spared(run: &mut Tester<'_>) -> Outcome {
    let mut bench = long(run, 15)?;
    same(
        "the log was cut at another place",
        "the limit is 15, and peer 3 has entries up to 15; it is cut at",
        &Some((15, 6)),
        &place(&mut bench, 15, 26)?,
    )
}

/// A follower that is dead must not fill everybody's disks. At twice the limit it is given up, and will need a snapshot.
///
/// Hint: by entries, or by bytes.
fn a_dead_follower_is_given_up(run: &mut Tester<'_>) -> Outcome {
    let mut bench = long(run, 7)?;
    same(
        "the log grows under a dead follower",
        "the limit is 10, the log has 21 entries, peer 3 has up to 7; it is cut at",
        &Some((26, 6)),
        &place(&mut bench, 10, 26)?,
    )?;
    let by_bytes = bench.log_gc(1_000, 10, 26)?;
    must(
        by_bytes.is_some(),
        "the log grows under a dead follower",
        "the limit is 10 bytes, and twenty writes are in the log",
        "it is not cut",
    )?;
    let admin = by_bytes.map(|(_, admin)| admin).unwrap_or_default();
    let fact = "the limit is 10 bytes; it is cut at";
    same("the log grows under a dead follower", fact, &26, &index_of(&admin))?;
    let log = bench.read_log(7, 27, u64::MAX)?.unwrap_or_default();
    let bytes: u64 = log.iter().map(|entry| entry.data.len() as u64).sum();
    let once = bench.log_gc(1_000, bytes / 4 * 3, 26)?;
    let admin = once.map(|(_, admin)| admin).unwrap_or_default();
    same(
        "a follower is given up too early",
        "the log has once as many bytes as it may have, not twice; it is cut at",
        &7,
        &index_of(&admin),
    )
}

fn index_of(admin: &[u8]) -> u64 {
    let compact = AdminRequest::decode(admin).ok().and_then(|admin| admin.compact_log);
    compact.map_or(0, |compact| compact.compact_index)
}

/// R4: the log is what brings back applied data that a power cut takes. Behind the last index that is durable in the data, nothing may
/// go, whatever the limits say.
///
/// Hint: the smaller of the two.
fn nothing_is_cut_that_is_not_durable(run: &mut Tester<'_>) -> Outcome {
    let mut bench = long(run, 26)?;
    for (limit, durable) in [(10, 18), (2, 12)] {
        same(
            "entries would go whose effect is not durable",
            format!("the limit is {limit}, the data is durable up to {durable}; the log is cut at"),
            &Some((durable, 6)),
            &place(&mut bench, limit, durable)?,
        )?;
    }
    Ok(())
}

/// If the slowest follower needs everything that there is, or the log was cut already, there is nothing to do.
///
/// Hint: beyond the truncated index, or not at all.
fn a_log_that_is_cut_is_left_alone(run: &mut Tester<'_>) -> Outcome {
    let mut bench = long(run, 10)?;
    bench.done(Input::Compacted(10, 6))?;
    same(
        "a log was cut where it begins already",
        "it begins behind 10, and peer 3 has up to 10; the next cut is",
        &None,
        &place(&mut bench, 16, 26)?,
    )
}

/// It is a request like any other: it must find its region, and may only take effect in the term that has decided it.
///
/// Hint: region, peer, epoch and term of now.
fn the_command_names_its_region_and_term(run: &mut Tester<'_>) -> Outcome {
    let mut bench = long(run, 26)?;
    let (header, _) = bench.log_gc(10, u64::MAX / 4, 26)?.unwrap_or_default();
    let header = RaftRequestHeader::decode(&header[..]).unwrap_or_default();
    same(
        "the command names another region, peer or term",
        "(region, peer, term) is",
        &(1, 1, 6),
        &(header.region_id, header.peer.map_or(0, |peer| peer.id), header.term),
    )?;
    let epoch = header.region_epoch.map(|epoch| (epoch.conf_ver, epoch.version));
    same("the command names another epoch", "it is", &Some((1, 1)), &epoch)
}

//! A snapshot is built: one moment of the data, and a label that tells which.

use prost::Message as _;
use proto::eraftpb::Snapshot;
use proto::raft_serverpb::RaftSnapshotData;
use serde_bytes::ByteBuf;
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{mark, put, put_in};
use crate::parts::protocol::{Input, Pair, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("build.rs":
        the_label_is_that_of_its_data,
        the_label_names_the_members,
        parts_and_label_agree,
        a_snapshot_keeps_its_moment,
        an_empty_region_has_a_snapshot,
        half_of_a_region_is_no_snapshot,
    )
}

/// The label of a built snapshot.
pub(super) fn label(bytes: &ByteBuf) -> Outcome<(Snapshot, RaftSnapshotData)> {
    let snapshot = Snapshot::decode(&bytes[..]);
    let data = snapshot.as_ref().ok().and_then(|s| RaftSnapshotData::decode(s.data.clone()).ok());
    match (snapshot, data) {
        (Ok(snapshot), Some(data)) => Ok((snapshot, data)),
        _ => Err(Failure::broke(
            "a snapshot has no label",
            "its data is a RaftSnapshotData",
            "the bytes do not decode",
        )),
    }
}

/// The pairs in these parts: number, how many, checksum, then the column family and pairs with their lengths.
pub(super) fn pairs(parts: &[ByteBuf]) -> Option<Vec<Pair>> {
    let mut found = Vec::new();
    for part in parts {
        let (cf, mut rest) = part.get(12..)?.split_first()?;
        while !rest.is_empty() {
            let mut field = || {
                let (len, after) = rest.split_first_chunk::<4>()?;
                let (bytes, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
                rest = after;
                Some(ByteBuf::from(bytes.to_vec()))
            };
            let (key, value) = (field()?, field()?);
            found.push((*cf, key, value));
        }
    }
    found.sort();
    Some(found)
}

fn some_data(bench: &mut Bench<'_, '_>) -> Outcome {
    bench.open()?;
    bench.apply(vec![
        mark(6, 6),
        put(7, 6, &[("a", "1"), ("b", "2"), ("c", "3")]),
        put_in(8, 7, &[("lock", "a", "locked"), ("write", "b", "written")]),
    ])?;
    Ok(())
}

/// Index and term on the label are those of the last entry whose effect is in the data: no more, or the receiver would skip entries; no
/// less, or it would apply some twice.
///
/// Hint: read the apply state through the same view as the data.
fn the_label_is_that_of_its_data(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    some_data(&mut bench)?;
    let built = bench.build(1 << 20)?;
    let (snapshot, _) = label(&built)?;
    let metadata = snapshot.metadata.unwrap_or_default();
    same(
        "a snapshot says that it is of another moment",
        "entry 8 of term 7 was the last to be applied; the label says",
        &(8, 7),
        &(metadata.index, metadata.term),
    )
}

/// The members go with the snapshot: its receiver counts votes among them from then on (paper, section 7).
///
/// Hint: `conf_state`, and the region in the data.
fn the_label_names_the_members(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    some_data(&mut bench)?;
    let built = bench.build(1 << 20)?;
    let (snapshot, data) = label(&built)?;
    let voters =
        snapshot.metadata.and_then(|metadata| metadata.conf_state).unwrap_or_default().voters;
    same("the label names other voters", "they are", &vec![1, 2, 3], &voters)?;
    let region = data.region.unwrap_or_default();
    same(
        "the label names another region",
        "(id, peers) is",
        &(1, 3),
        &(region.id, region.peers.len()),
    )
}

/// All pairs of all three column families are in the parts, and nothing else: what a store notes for itself is not the region's. Sizes and
/// checksums on the label are those of the parts, however they are cut.
///
/// Hint: add up each body as it comes.
fn parts_and_label_agree(run: &mut Tester<'_>) -> Outcome {
    for part_bytes in [1 << 20, 8, 1] {
        let mut bench = Bench::region(run, 3)?;
        some_data(&mut bench)?;
        let built = bench.build(part_bytes)?;
        let (_, data) = label(&built)?;
        let parts = bench.parts()?;
        let mut wanted = bench.dump()?.pairs;
        wanted.sort();
        same(
            "a snapshot holds other data than the region",
            format!("in parts of {part_bytes} bytes"),
            &Some(wanted),
            &pairs(&parts),
        )?;
        let sizes: u64 = parts.iter().map(|part| part.len() as u64 - 12).sum();
        same(
            "the label says another size",
            "the parts' bodies together have",
            &sizes,
            &data.file_size,
        )?;
        let files = data.meta.unwrap_or_default().cf_files;
        let families: Vec<&str> = files.iter().map(|file| file.cf.as_str()).collect();
        same(
            "the label names other column families",
            "they are",
            &vec!["default", "lock", "write"],
            &families,
        )?;
        let of_files: u64 = files.iter().map(|file| file.size).sum();
        same("the sizes on the label do not add up", "they are, together", &sizes, &of_files)?;
    }
    Ok(())
}

/// Entries go on being applied while a snapshot is sent. It stays what it was.
///
/// Hint: keep the view, and walk it again for the parts.
fn a_snapshot_keeps_its_moment(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    some_data(&mut bench)?;
    let wanted = bench.dump()?.pairs.len();
    bench.build(16)?;
    bench.apply(vec![put(9, 7, &[("a", "later"), ("z", "later")])])?;
    let parts = bench.parts()?;
    let found = pairs(&parts).unwrap_or_default();
    let later = found.iter().filter(|(.., value)| value.starts_with(b"later")).count();
    same(
        "a snapshot shows what was applied after it was built",
        "its label says 8; pairs of entry 9 in it:",
        &0,
        &later,
    )?;
    same("a snapshot lost something", "pairs at its moment", &wanted, &found.len())
}

/// Nothing was ever written: there is still a label, and a part to send.
///
/// Hint: `Parts` sees to it.
fn an_empty_region_has_a_snapshot(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    bench.open()?;
    bench.apply(vec![mark(6, 6)])?;
    let built = bench.build(1 << 20)?;
    let (snapshot, _) = label(&built)?;
    same(
        "an empty region's snapshot is of another moment",
        "entry 6 is applied",
        &6,
        &snapshot.metadata.unwrap_or_default().index,
    )?;
    let parts = bench.parts()?;
    must(
        pairs(&parts).is_some_and(|pairs| pairs.is_empty()),
        "an empty region's snapshot is not empty",
        "nothing was written",
        format!("{} parts", parts.len()),
    )
}

/// While a snapshot is being installed the region's data is of no moment at all. It must not be handed on.
///
/// Hint: the state of the peer, through the same view.
fn half_of_a_region_is_no_snapshot(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::region(run, 3)?;
    some_data(&mut bench)?;
    bench.done(Input::PutApplying)?;
    let built = bench.may_stop(Input::Build(1 << 20))?;
    must(
        built.is_err(),
        "a snapshot was made of data that is not whole",
        "the peer is Applying: its data is being replaced",
        "it was built",
    )
}

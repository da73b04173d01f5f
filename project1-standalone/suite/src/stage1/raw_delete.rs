//! RawDelete, seen from the storage below it.

use proto::kvrpcpb::{RawDeleteRequest, RawDeleteResponse, RawGetRequest};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Standalone};
use crate::world::{Kv, World, raw_key, raw_pair};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_delete.rs":
        a_deleted_key_is_gone,
        a_delete_leaves_other_keys_and_families,
        a_delete_of_an_absent_key_is_answered,
        a_get_after_a_delete_finds_nothing,
    )
}

fn delete(kv: &mut Kv, cf: &str, key: &[u8]) -> Outcome {
    let request =
        RawDeleteRequest { key: key.to_vec().into(), cf: cf.into(), ..Default::default() };
    let seen = kv.call(request)?;
    if seen == RawDeleteResponse::default() {
        return Ok(());
    }
    Err(Failure::broke(
        "a valid RawDelete was not simply accepted",
        format!("asked to delete {} in {cf:?}", show(key)),
        format!("answered: {seen:?}, where every field should be empty"),
    ))
}

fn expect_present(kv: &mut Kv, cf: Cf, key: &[u8], present: bool) -> Outcome {
    let seen = kv.get_now(cf, &raw_key(key))?;
    if seen.is_some() == present {
        return Ok(());
    }
    let (must, is) =
        if present { ("stay", "it is gone") } else { ("be gone", "it is still there") };
    Err(Failure::broke(
        "RawDelete did not delete exactly its key",
        format!("{cf:?} {} must {must}", show(key)),
        is,
    ))
}

/// An answered delete has removed the key from the storage: its engine key, `keys::raw_key`.
fn a_deleted_key_is_gone(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"v"), raw_pair(Cf::Default, b"", b"v")])?;
    delete(&mut kv, "default", b"k")?;
    expect_present(&mut kv, Cf::Default, b"k", false)?;
    expect_present(&mut kv, Cf::Default, b"", true)?;
    delete(&mut kv, "", b"")?;
    expect_present(&mut kv, Cf::Default, b"", false)
}

/// A delete removes one key of one column family.
fn a_delete_leaves_other_keys_and_families(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    for key in [&b"j"[..], b"k", b"k\x00", b"l"] {
        kv.write(CFS.map(|cf| raw_pair(cf, key, b"v")).to_vec())?;
    }
    delete(&mut kv, "lock", b"k")?;
    expect_present(&mut kv, Cf::Lock, b"k", false)?;
    for cf in [Cf::Default, Cf::Write] {
        expect_present(&mut kv, cf, b"k", true)?;
    }
    for key in [&b"j"[..], b"k\x00", b"l"] {
        expect_present(&mut kv, Cf::Lock, key, true)?;
    }
    Ok(())
}

/// Deleting what is not there is answered like any delete: clients repeat what they had no answer to.
fn a_delete_of_an_absent_key_is_answered(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    delete(&mut kv, "default", b"never")?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"v")])?;
    delete(&mut kv, "default", b"k")?;
    delete(&mut kv, "default", b"k")
}

/// After a delete, a get answers `not_found`.
fn a_get_after_a_delete_finds_nothing(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Write, b"k", b"v")])?;
    delete(&mut kv, "write", b"k")?;
    let ask = RawGetRequest { key: b"k".to_vec().into(), cf: "write".into(), ..Default::default() };
    let seen = kv.call(ask)?;
    if seen.not_found && seen.value.is_empty() {
        return Ok(());
    }
    Err(Failure::broke(
        "RawGet finds a deleted key",
        "RawDelete of \"k\" was answered",
        format!("RawGet returns {seen:?}"),
    ))
}

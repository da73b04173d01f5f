//! What survives when the process dies.
//!
//! The disk is simulated: it keeps what was synced and loses, of the rest, what the seed says. A crash is
//! a new store on those bytes.

use sim::disk::DiskOp;
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Change, Standalone};
use crate::world::{Kv, World, show_value};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("crash.rs":
        what_was_acknowledged_survives_a_power_cut,
        a_batch_survives_a_crash_as_a_whole_or_not_at_all,
        a_restart_finds_everything,
    )
}

fn put(cf: Cf, key: &str, value: &str) -> Change {
    Change::Put(cf, key.into(), value.into())
}

/// When `write` has returned `Ok`, the client will be told that its data is safe. So it must be on disk
/// before, not soon after: one commit with an fsync (`Durability::Immediate`).
///
/// Hint: a commit without durability is visible to readers at once, and lost with the power.
fn what_was_acknowledged_survives_a_power_cut(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    for round in 0..4 {
        let (key, value) = (format!("key{round}"), format!("value{round}"));
        kv.write(vec![put(Cf::Default, &key, &value), put(Cf::Lock, "latest", &key)])?;
        if round % 2 == 0 {
            kv.power_cut()?;
        } else {
            kv.crash()?;
        }
        for (cf, key, expected) in [(Cf::Default, &key[..], &value), (Cf::Lock, "latest", &key)] {
            let seen = kv.get_now(cf, key.as_bytes())?;
            if seen.as_deref() != Some(expected.as_bytes()) {
                return Err(Failure::broke(
                    "an acknowledged write is gone after a power cut",
                    format!(
                        "write() returned Ok for {cf:?} {key:?}={expected:?}, then the power went"
                    ),
                    format!("after the restart {key:?} is {}", show_value(seen.as_ref())),
                ));
            }
        }
    }
    Ok(())
}

/// A batch is one unit: after a crash at any moment of its commit, all of its changes are there or none,
/// over all column families. Everything later relies on it: data and the applied index in one batch
/// (project 2), a lock and its value (project 4).
///
/// Hint: one engine batch for one `write`, not one for each change.
fn a_batch_survives_a_crash_as_a_whole_or_not_at_all(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(CFS.map(|cf| put(cf, "k", "old")).to_vec())?;
    let before = kv.disk.clone();
    kv.write(vec![
        put(Cf::Default, "k", "new"),
        Change::Delete(Cf::Lock, b"k".to_vec()),
        put(Cf::Write, "k", "new"),
    ])?;
    let ops: Vec<DiskOp> = kv.last_ops.clone();
    // Cut the power before each operation of the commit, and after the last.
    for cut in 0..=ops.len() {
        let mut disk = before.clone();
        ops[..cut].iter().cloned().for_each(|op| disk.apply(op));
        let bytes = disk.crash(kv.rng());
        kv.restart_on(bytes)?;
        let mut state = Vec::new();
        for cf in CFS {
            state.push(kv.get_now(cf, b"k")?);
        }
        let text = |s: &str| Some(s.as_bytes().to_vec());
        let old = [text("old"), text("old"), text("old")];
        let new = [text("new"), None, text("new")];
        if state != old && state != new {
            let shown: Vec<String> = state.iter().map(|v| show_value(v.as_ref())).collect();
            return Err(Failure::broke(
                "a crash left a part of a batch",
                "one batch put default k=new, deleted lock k and put write k=new; before it all three were \"old\"",
                format!(
                    "after a crash at step {cut} of {} of its commit they are {}",
                    ops.len(),
                    shown.join(", ")
                ),
            ));
        }
        if cut == ops.len() && state != new {
            return Err(Failure::broke(
                "an acknowledged batch is gone after a crash",
                "write() had returned Ok",
                "after the restart its column families hold the old values",
            ));
        }
    }
    Ok(())
}

/// A store that is stopped and started again has all its data, in every column family.
fn a_restart_finds_everything(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let keys: Vec<String> = (0..50).map(|i| format!("key{i:03}")).collect();
    for cf in CFS {
        kv.write(keys.iter().map(|key| put(cf, key, &format!("{cf:?} {key}"))).collect())?;
    }
    let disk = kv.disk.all();
    kv.restart_on(disk)?;
    for cf in CFS {
        for key in &keys {
            let seen = kv.get_now(cf, key.as_bytes())?;
            if seen.as_deref() != Some(format!("{cf:?} {key}").as_bytes()) {
                return Err(Failure::broke(
                    "data is gone after a restart",
                    format!("{cf:?} {key:?} was written, and the store was stopped in peace"),
                    format!(
                        "started again on the same disk, it returns {}",
                        show_value(seen.as_ref())
                    ),
                ));
            }
        }
    }
    Ok(())
}

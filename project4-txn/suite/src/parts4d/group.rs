//! Keys, by region.

use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Desk, SETTINGS, World, show, wrong};
use super::protocol::Coordinator;
use crate::rows::text;

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("group.rs":
        each_region_is_asked_for_its_own_keys,
        a_request_says_which_region_it_means,
        a_region_that_is_known_is_not_asked_for_again,
    )
}

/// A read of keys in three regions is three requests, each to the store that leads the region, with all keys of that region
/// and no other. A key that is a region's first belongs to that region, and not to the one before. A key that is longer than
/// eight bytes has its place by its encoding. No key is left out, none is asked for twice.
fn each_region_is_asked_for_its_own_keys(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    let keys: [&[u8]; 8] = [b"z", b"a", b"m", b"lzzzzzzzzzzz", b"", b"t", b"szzzzzzzz", b"m\0"];
    desk.get(&keys)?;
    // Regions are learned one by one; nobody has answered yet, so all parts are there.
    let sent = desk.sent();
    let expected: [(u64, Vec<&[u8]>); 3] = [
        (1, vec![b"", b"a", b"lzzzzzzzzzzz"]),
        (2, vec![b"m", b"m\0", b"szzzzzzzz"]),
        (3, vec![b"t", b"z"]),
    ];
    for (store, wanted) in expected {
        let mut there: Vec<Vec<u8>> = sent
            .iter()
            .filter(|sent| sent.store == store)
            .flat_map(super::desk::Sent::keys)
            .collect();
        there.sort();
        if there != wanted {
            let names: Vec<String> = wanted.iter().map(|key| text(key)).collect();
            return Err(wrong(
                format!("store {store} is not asked for the keys that it leads, once each"),
                format!("[{}] to store {store}", names.join(" ")),
                show(&sent),
            ));
        }
    }
    Ok(())
}

/// A request says which region it is for, in which epoch, and to which peer it speaks. A store that has cut the region since
/// can refuse it then, where it would otherwise answer for keys that are no longer its own.
fn a_request_says_which_region_it_means(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"n"])?;
    let sent = desk.one("one key is read")?;
    let (region, leader) = desk.region(2);
    let context = sent.context();
    if context.region_id != 2
        || context.region_epoch != region.region_epoch
        || context.peer != Some(leader)
    {
        return Err(wrong(
            "a request says which region it means",
            format!("region 2, {:?}, {leader:?}", region.region_epoch),
            format!("{context:?}"),
        ));
    }
    Ok(())
}

/// What the scheduler has said is remembered: a second read of keys in the same regions asks it nothing.
fn a_region_that_is_known_is_not_asked_for_again(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    for round in 0..3 {
        desk.begin()?;
        desk.get(&[b"a", b"n", b"b", b"o"])?;
        let sent = desk.sent();
        if desk.region_asks > 2 || sent.len() != 2 {
            return Err(wrong(
                format!("read number {} of keys in two regions", round + 1),
                "two requests, and two questions to the scheduler in all",
                format!("{}; {} questions", show(&sent), desk.region_asks),
            ));
        }
    }
    Ok(())
}

//! Engine keys. Every one of them is compared to the byte: what is on disk is TiKV's.

use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{self, text};
use crate::world::{Store, World, wrong};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("key.rs":
        a_keys_encoding_is_tikvs_to_the_byte,
        versions_sort_by_key_and_then_the_newest_first,
        no_key_gets_between_the_versions_of_another,
        an_engine_key_decodes_to_its_key_and_timestamp,
    )
}

/// The encoding of a key is TiKV's: groups of eight bytes; behind a full group the marker `ff`; the last group, of
/// nought to seven bytes, padded with zeros, behind it `f7` plus the number of real bytes. In front of it all stands
/// the letter `x`.
///
/// Hint: there is always a last group, also when the length is a multiple of eight, and then it is all padding. The
/// empty key has one, too.
fn a_keys_encoding_is_tikvs_to_the_byte(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let full = [b'x', 1, 2, 3, 4, 5, 6, 7, 8, 255, 0, 0, 0, 0, 0, 0, 0, 0, 247];
    let nine = [b'x', 1, 2, 3, 4, 5, 6, 7, 8, 255, 9, 0, 0, 0, 0, 0, 0, 0, 248];
    let cases: [(&[u8], &[u8]); 6] = [
        (b"", &[b'x', 0, 0, 0, 0, 0, 0, 0, 0, 247]),
        (b"abc", &[b'x', 97, 98, 99, 0, 0, 0, 0, 0, 250]),
        (&[1, 2, 3, 4, 5, 6, 7], &[b'x', 1, 2, 3, 4, 5, 6, 7, 0, 254]),
        (&[1, 2, 3, 4, 5, 6, 7, 8], &full),
        (&[1, 2, 3, 4, 5, 6, 7, 8, 9], &nine),
        (&[0, 255, 0], &[b'x', 0, 255, 0, 0, 0, 0, 0, 0, 250]),
    ];
    for (key, right) in cases {
        let seen = store.keys(key, 7)?;
        if seen.lock != right {
            let what = format!("the engine key of the lock of {} is wrong", show(key));
            return Err(wrong(what, show(right), show(&seen.lock)));
        }
        let right = [right, &[255, 255, 255, 255, 255, 255, 255, 248]].concat();
        if seen.version != right {
            let what = format!("the engine key of version 7 of {} is wrong", show(key));
            return Err(wrong(what, show(&right), show(&seen.version)));
        }
    }
    Ok(())
}

fn draw(store: &mut Store) -> (Vec<u8>, u64) {
    let len = store.rng().below(10);
    let key = (0..len).map(|_| *store.rng().pick(&[0, 1, b'a', 254, 255])).collect();
    let ts = *store.rng().pick(&[0, 1, 2, 1 << 18, u64::MAX - 1, u64::MAX]);
    (key, ts)
}

/// The bytes of engine keys sort by key, and within a key the *newest* version comes first. Then one step forward from
/// (key, timestamp) is the newest version that a reader at that timestamp may see.
///
/// Hint: bytes compare from the left. A timestamp has to be inverted (`!ts`) and written with its highest byte first.
fn versions_sort_by_key_and_then_the_newest_first(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..150 {
        let (a, b) = (draw(&mut store), draw(&mut store));
        let (key_a, key_b) = (store.keys(&a.0, a.1)?.version, store.keys(&b.0, b.1)?.version);
        let right = (&a.0, !a.1).cmp(&(&b.0, !b.1));
        if key_a.cmp(&key_b) != right {
            return Err(Failure::broke(
                "two engine keys are in the wrong order",
                format!(
                    "{}@{} must be {right:?} compared with {}@{}",
                    text(&a.0),
                    a.1,
                    text(&b.0),
                    b.1
                ),
                format!("their engine keys are {} and {}", show(&key_a), show(&key_b)),
            ));
        }
    }
    Ok(())
}

/// All versions of a key lie together: no version of another key lies between two of them, also if one key begins with
/// the other. A reader that walks over the versions of `a` would take a version of `a\xff` for one of its own.
///
/// Hint: this is what the groups and their markers are for. A key followed by a timestamp, without more, does not have
/// this property.
fn no_key_gets_between_the_versions_of_another(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let keys: [&[u8]; 6] = [b"a", b"a\x00", b"a\xff", b"a\xff\xff\xff\xff\xff\xff\xff", b"", b"ab"];
    for one in keys {
        let low = store.keys(one, u64::MAX)?.version;
        let high = store.keys(one, 0)?.version;
        for other in keys.into_iter().filter(|other| *other != one) {
            for ts in [0, 1, 1 << 40, u64::MAX] {
                let stranger = store.keys(other, ts)?.version;
                if low <= stranger && stranger <= high {
                    return Err(Failure::broke(
                        format!("a version of {} lies among those of {}", text(other), text(one)),
                        format!("those of {} are {} to {}", text(one), show(&low), show(&high)),
                        format!("{}@{ts} is {}", text(other), show(&stranger)),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What was encoded can be decoded: a scan has to give its keys back as the client wrote them.
fn an_engine_key_decodes_to_its_key_and_timestamp(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..60 {
        let (key, ts) = draw(&mut store);
        let seen = store.keys(&key, ts)?;
        if seen.version != rows::version_key(&key, ts) {
            let what = format!("the engine key of {}@{ts} is wrong", text(&key));
            return Err(wrong(what, show(&rows::version_key(&key, ts)), show(&seen.version)));
        }
        if seen.decoded != Ok((key.clone(), ts)) {
            let what = format!("the engine key of {}@{ts} decodes to something else", text(&key));
            return Err(wrong(what, format!("{:?}", (&key, ts)), format!("{:?}", seen.decoded)));
        }
    }
    Ok(())
}

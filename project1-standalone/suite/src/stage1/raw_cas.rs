//! Compare-and-swap, and the writes that must not fall between its read and its write.

use prost::Message;
use proto::kvrpcpb::{RawCasRequest, RawDeleteRequest, RawPutRequest};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{Cf, Effect, Input, Standalone};
use crate::world::{Call, Kv, World, raw_key, raw_pair};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_cas.rs":
        a_swap_happens_only_if_the_value_is_the_expected_one,
        of_concurrent_swaps_one_wins,
        an_atomic_put_does_not_fall_into_a_swap,
        an_atomic_delete_does_not_fall_into_a_swap,
        a_swap_computed_in_an_older_term_is_refused,
    )
}

fn cas(key: &[u8], expected: Option<&[u8]>, value: &[u8]) -> RawCasRequest {
    RawCasRequest {
        key: key.to_vec().into(),
        value: value.to_vec().into(),
        previous_not_exist: expected.is_none(),
        previous_value: expected.unwrap_or_default().to_vec().into(),
        ..Default::default()
    }
}

/// RawCompareAndSwap writes only if the present value is the expected one; its answer tells what was
/// found, whether or not it was swapped.
fn a_swap_happens_only_if_the_value_is_the_expected_one(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    // expected, new value, found, swapped
    let rows = [
        (Some(&b"x"[..]), &b"a"[..], None, false),
        (None, b"a", None, true),
        (None, b"b", Some(&b"a"[..]), false),
        (Some(b"x"), b"b", Some(b"a"), false),
        (Some(b"a"), b"", Some(b"a"), true),
        (None, b"c", Some(b""), false),
        (Some(b""), b"c", Some(b""), true),
    ];
    for (expected, new, found, swapped) in rows {
        let seen = kv.call(cas(b"k", expected, new))?;
        let right = seen.succeed == swapped
            && seen.previous_not_exist == found.is_none()
            && seen.previous_value == found.unwrap_or_default();
        if !right {
            return Err(Failure::broke(
                "a compare-and-swap answers wrongly",
                format!(
                    "the key held {found:?}, the client expected {expected:?}, so swapped must be {swapped}"
                ),
                format!("it answered {seen:?}"),
            ));
        }
    }
    Ok(())
}

/// Of several compare-and-swaps that expect the same value, exactly one succeeds, in whatever order they
/// run. The handler reads and then writes: the latch keeps the others out in between.
fn of_concurrent_swaps_one_wins(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let mut present: Option<Vec<u8>> = None;
    for round in 0..8 {
        let requests: Vec<_> = (0..4)
            .map(|client| cas(b"k", present.as_deref(), format!("{round}-{client}").as_bytes()))
            .collect();
        let seed = kv.rng().next_u64();
        let mut winners = Vec::new();
        for (client, answer) in kv.calls(seed, requests)?.into_iter().enumerate() {
            if answer.is_ok_and(|response| response.succeed) {
                winners.push(client);
            }
        }
        let [winner] = winners[..] else {
            return Err(Failure::broke(
                "two clients swapped the same value, or none did",
                format!("4 clients expected {present:?} at once"),
                format!("{} of them were told that they swapped it", winners.len()),
            ));
        };
        present = Some(format!("{round}-{winner}").into_bytes());
    }
    Ok(())
}

/// Runs one swap and one other write together, under many orders, and counts what must not be: the other
/// write is answered, and yet the swap, which expected the old value, wrote over it.
fn race<C: Call>(run: &mut World, name: &str, other: &C) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    for _ in 0..20 {
        kv.write(vec![raw_pair(Cf::Default, b"k", b"old")])?;
        let seed = kv.rng().next_u64();
        let calls = vec![
            (
                "RawCompareAndSwap".to_owned(),
                cas(b"k", Some(b"old"), b"swapped").encode_to_vec().into(),
            ),
            (C::METHOD.to_owned(), other.encode_to_vec().into()),
        ];
        let mut swapped = false;
        for effect in kv.say(Input::Calls { seed, calls })? {
            if let Effect::Answer(0, Ok(bytes)) = effect {
                let answer = proto::kvrpcpb::RawCasResponse::decode(&bytes[..]).unwrap_or_default();
                swapped = answer.succeed;
            }
        }
        let left = kv.get_now(Cf::Default, &raw_key(b"k"))?;
        let is_swap = left.as_ref().is_some_and(|value| value.starts_with(b"swapped"));
        // Either order is fine: the swap first (then the other write is last), or the other write
        // first (then the swap found another value).
        if swapped && is_swap {
            return Err(Failure::broke(
                format!(
                    "a {name} with for_cas fell between the read and the write of a compare-and-swap"
                ),
                format!(
                    "the swap expected \"old\", so it happened before the {name}; both were answered"
                ),
                format!(
                    "but the {name} is lost: the key holds {}",
                    left.map_or_else(|| "nothing".into(), |value| show(&value))
                ),
            ));
        }
    }
    Ok(())
}

/// A put with `for_cas` is linearizable with compare-and-swap on its key: it happens before the swap's
/// read, or after its write.
///
/// Hint: hold the guard of `latch_for_cas` in a variable until the write is done. `let _ = ...` drops it at
/// once; `let _latch = ...` does not. And it is the latch of the user's key, without a prefix.
fn an_atomic_put_does_not_fall_into_a_swap(run: &mut World) -> Outcome {
    let put = RawPutRequest {
        key: b"k".to_vec().into(),
        value: b"put".to_vec().into(),
        for_cas: true,
        ..Default::default()
    };
    race(run, "RawPut", &put)
}

/// A delete with `for_cas` is linearizable with compare-and-swap on its key, as a put is.
///
/// Hint: the same guard as in `raw_put`.
fn an_atomic_delete_does_not_fall_into_a_swap(run: &mut World) -> Outcome {
    let delete =
        RawDeleteRequest { key: b"k".to_vec().into(), for_cas: true, ..Default::default() };
    race(run, "RawDelete", &delete)
}

/// A handler that writes what it computed from a read passes the reader's term on; a storage whose term
/// has changed since refuses the write. Without it, a swap could span two leaderships and undo a write it
/// never saw.
fn a_swap_computed_in_an_older_term_is_refused(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.set_term(7)?;
    let answer = kv.call(cas(b"k", None, b"v"))?;
    let wrong = kv.call(RawCasRequest {
        context: Some(proto::kvrpcpb::Context { term: 0, ..Default::default() }),
        ..cas(b"k", Some(b"v"), b"w")
    })?;
    if answer.succeed && wrong.succeed {
        return Ok(());
    }
    Err(Failure::broke(
        "a compare-and-swap does not pass on the term of its reader",
        "the storage is in term 7 and refuses writes that were computed in another",
        format!("the swap was answered {answer:?}, then {wrong:?}"),
    ))
}

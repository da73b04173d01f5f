//! The error contract (`docs/src/errors.md`): which condition is answered where.

use proto::errorpb;
use proto::kvrpcpb::{
    RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest, RawBatchScanRequest,
    RawBatchScanResponse, RawCasRequest, RawDeleteRangeRequest, RawDeleteRequest,
    RawGetKeyTtlRequest, RawGetRequest, RawPutRequest, RawScanRequest, RawScanResponse,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::{Cf, Fault, Standalone};
use crate::world::{Call, Kv, World, raw_key, raw_pair};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("contract.rs":
        raw_get_refuses_in_its_error_field,
        raw_put_refuses_in_its_error_field,
        raw_delete_refuses_in_its_error_field,
        raw_scan_refuses_in_a_first_pair,
        the_other_calls_refuse_in_the_response,
        a_region_error_goes_into_its_field,
        the_storage_is_told_which_region_is_meant,
        a_failing_disk_is_never_a_success,
        an_answer_that_is_too_large_is_refused,
    )
}

/// The longest key, in bytes.
const MAX_KEY: usize = 8 << 10;
/// The longest value, in bytes.
const MAX_VALUE: usize = 3 << 20;

/// Responses in which errors can be found.
trait Answered {
    fn region_error(&self) -> Option<&errorpb::Error>;
    fn text(&self) -> String;
}

macro_rules! answered {
    ($($response:ident),+) => {
        $(impl Answered for proto::kvrpcpb::$response {
            fn region_error(&self) -> Option<&errorpb::Error> {
                self.region_error.as_ref()
            }

            fn text(&self) -> String {
                self.error.clone()
            }
        })+
    };
}

answered!(
    RawGetResponse,
    RawPutResponse,
    RawDeleteResponse,
    RawGetKeyTtlResponse,
    RawBatchPutResponse,
    RawBatchDeleteResponse,
    RawDeleteRangeResponse,
    RawCasResponse
);

macro_rules! answered_in_pairs {
    ($($response:path: $pairs:ident),+) => {
        $(impl Answered for $response {
            fn region_error(&self) -> Option<&errorpb::Error> {
                self.region_error.as_ref()
            }

            fn text(&self) -> String {
                let error = self.$pairs.first().and_then(|pair| pair.error.as_ref());
                error.map(|error| error.abort.clone()).unwrap_or_default()
            }
        })+
    };
}

answered_in_pairs!(
    RawScanResponse: kvs,
    RawBatchScanResponse: kvs,
    proto::kvrpcpb::RawBatchGetResponse: pairs
);

/// The request must be refused, in the response, with a text that holds all of `words`.
fn refused<C: Call>(kv: &mut Kv, request: C, why: &str, words: &[&str]) -> Outcome
where
    C::Response: Answered,
{
    let response = kv.call(request)?;
    let text = response.text();
    if !text.is_empty() && words.iter().all(|word| text.contains(word)) {
        return Ok(());
    }
    let answer = format!("{response:?}");
    Err(Failure::broke(
        format!("{} does not refuse {why} as the error contract says", C::METHOD),
        format!("its error text must name {}", words.join(" and ")),
        format!("it answered {}", answer.chars().take(300).collect::<String>()),
    ))
}

fn long_key() -> prost::bytes::Bytes {
    vec![b'k'; MAX_KEY + 1].into()
}

const KEY_WORDS: [&str; 2] = ["8193", "8192"];
const VALUE_WORDS: [&str; 2] = ["3145729", "3145728"];

/// A RawGet of an unknown column family, or of a key over 8 KiB, is refused in the response's `error`, with
/// the name or the two numbers. A gRPC status would be wrong: clients take it for a broken line, and ask ten
/// times more.
///
/// Hint: `parse_cf` and `check_key` with `?`; `respond` does the rest.
fn raw_get_refuses_in_its_error_field(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let cf = "nonsense".to_owned();
    refused(
        &mut kv,
        RawGetRequest { cf, ..Default::default() },
        "an unknown family",
        &["nonsense"],
    )?;
    refused(
        &mut kv,
        RawGetRequest { key: long_key(), ..Default::default() },
        "a long key",
        &KEY_WORDS,
    )?;
    let reserved = RawGetRequest { key: vec![0xff; 40].into(), ..Default::default() };
    refused(&mut kv, reserved, "a key in the reserved tail", &["reserved"])?;
    let longest = RawGetRequest { key: vec![b'k'; MAX_KEY].into(), ..Default::default() };
    let response = kv.call(longest)?;
    if response.error.is_empty() && response.not_found {
        return Ok(());
    }
    Err(Failure::broke(
        "RawGet refuses a key of the longest allowed length",
        format!("a key may have {MAX_KEY} bytes"),
        format!("the answer is {response:?}"),
    ))
}

/// A RawPut of an unknown column family, of a key over 8 KiB or of a value over 3 MiB is refused in the
/// response's `error`, and nothing is written.
///
/// Hint: check before you write; `stored_value` checks the value.
fn raw_put_refuses_in_its_error_field(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let put = RawPutRequest { key: b"k".to_vec().into(), ..Default::default() };
    let cf = "nonsense".to_owned();
    refused(&mut kv, RawPutRequest { cf, ..put.clone() }, "an unknown family", &["nonsense"])?;
    refused(&mut kv, RawPutRequest { key: long_key(), ..put.clone() }, "a long key", &KEY_WORDS)?;
    let value = vec![0; MAX_VALUE + 1].into();
    refused(&mut kv, RawPutRequest { value, ..put.clone() }, "a long value", &VALUE_WORDS)?;
    let seen = kv.call(RawGetRequest { key: b"k".to_vec().into(), ..Default::default() })?;
    if !seen.not_found {
        return Err(Failure::broke(
            "a refused RawPut was written all the same",
            "its column family is unknown, or its value too long",
            "RawGet finds the key",
        ));
    }
    let value: prost::bytes::Bytes = vec![7; MAX_VALUE].into();
    kv.call(RawPutRequest { value: value.clone(), ..put.clone() })?;
    let seen = kv.call(RawGetRequest { key: put.key, ..Default::default() })?;
    if seen.value == value {
        return Ok(());
    }
    Err(Failure::broke(
        "a value of the longest allowed length is not stored",
        format!("a value may have {MAX_VALUE} bytes"),
        format!("RawGet returns {} bytes", seen.value.len()),
    ))
}

/// A RawDelete of an unknown column family, or of a key over 8 KiB, is refused in the response's `error`.
fn raw_delete_refuses_in_its_error_field(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let cf = "nonsense".to_owned();
    refused(
        &mut kv,
        RawDeleteRequest { cf, ..Default::default() },
        "an unknown family",
        &["nonsense"],
    )?;
    let long = RawDeleteRequest { key: long_key(), ..Default::default() };
    refused(&mut kv, long, "a long key", &KEY_WORDS)
}

/// RawScan's response has no `error` field. As in TiKV, a refusal is the `error` of a first and only pair; a
/// valid scan has no such pair.
fn raw_scan_refuses_in_a_first_pair(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"v")])?;
    let request = RawScanRequest { limit: 3, ..Default::default() };
    let seen = kv.call(request.clone())?;
    if seen.kvs.len() != 1 || seen.kvs.iter().any(|pair| pair.error.is_some()) {
        return Err(Failure::broke(
            "a valid RawScan is not answered with the pairs of its range",
            "the range holds k=v, and nothing is wrong with the request",
            format!("the answer is {seen:?}"),
        ));
    }
    let request = RawScanRequest { cf: "nonsense".into(), ..request };
    refused(&mut kv, request, "an unknown family", &["nonsense"])
}

/// All other raw calls refuse an unknown column family and an over-long key inside their response, too, and
/// leave the data alone.
fn the_other_calls_refuse_in_the_response(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"v")])?;
    let why = "an unknown family";
    let words = ["nonsense"];
    let cf = || "nonsense".to_owned();
    refused(&mut kv, RawGetKeyTtlRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawBatchGetRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawBatchPutRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawBatchDeleteRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawBatchScanRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawDeleteRangeRequest { cf: cf(), ..Default::default() }, why, &words)?;
    refused(&mut kv, RawCasRequest { cf: cf(), ..Default::default() }, why, &words)?;
    let why = "a long key";
    refused(
        &mut kv,
        RawGetKeyTtlRequest { key: long_key(), ..Default::default() },
        why,
        &KEY_WORDS,
    )?;
    let keys = vec![b"k".to_vec().into(), long_key()];
    refused(
        &mut kv,
        RawBatchGetRequest { keys: keys.clone(), ..Default::default() },
        why,
        &KEY_WORDS,
    )?;
    refused(&mut kv, RawBatchDeleteRequest { keys, ..Default::default() }, why, &KEY_WORDS)?;
    refused(&mut kv, RawCasRequest { key: long_key(), ..Default::default() }, why, &KEY_WORDS)?;
    match kv.get_now(Cf::Default, &raw_key(b"k"))? {
        Some(_) => Ok(()),
        None => Err(Failure::broke(
            "a refused request changed the data",
            "every request was refused, a batch delete of \"k\" among them",
            "\"k\" is gone",
        )),
    }
}

/// When the storage says that the request is at the wrong place, the response says so in `region_error`, with
/// all it knows, and has no other result. The client then finds the right place by itself.
fn a_region_error_goes_into_its_field(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    misplaced(&mut kv, RawGetRequest::default())?;
    misplaced(&mut kv, RawPutRequest::default())?;
    misplaced(&mut kv, RawDeleteRequest::default())?;
    misplaced(&mut kv, RawScanRequest { limit: 1, ..Default::default() })?;
    misplaced(&mut kv, RawBatchGetRequest::default())?;
    misplaced(&mut kv, RawBatchPutRequest::default())?;
    misplaced(&mut kv, RawDeleteRangeRequest::default())?;
    misplaced(&mut kv, RawCasRequest::default())
}

/// The request's context goes to the storage with each call: it names the region that the client believes in. The
/// storage of project 1 does not look; that of project 2 does, and refuses what it cannot place.
///
/// Hint: `context(request.context.as_ref())`, for a reader and for a write.
fn the_storage_is_told_which_region_is_meant(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.serve(7)?;
    let here = || Some(proto::kvrpcpb::Context { region_id: 7, ..Default::default() });
    placed(&mut kv, RawGetRequest { context: here(), ..Default::default() })?;
    placed(&mut kv, RawPutRequest { context: here(), ..Default::default() })?;
    placed(&mut kv, RawDeleteRequest { context: here(), ..Default::default() })?;
    placed(&mut kv, RawScanRequest { context: here(), limit: 1, ..Default::default() })
}

fn placed<C: Call>(kv: &mut Kv, request: C) -> Outcome
where
    C::Response: Answered,
{
    let response = kv.call(request)?;
    let Some(error) = response.region_error() else { return Ok(()) };
    let region = error.region_not_found.as_ref().map_or(0, |not_found| not_found.region_id);
    Err(Failure::broke(
        format!("{} does not tell the storage which region is meant", C::METHOD),
        "the request's context names region 7, which is here",
        format!("the storage was asked for region {region}"),
    ))
}

fn misplaced<C: Call>(kv: &mut Kv, request: C) -> Outcome
where
    C::Response: Answered,
{
    kv.fail_once(Fault::NotLeader)?;
    let response = kv.call(request)?;
    let leader = response
        .region_error()
        .and_then(|error| error.not_leader.as_ref())
        .and_then(|not_leader| not_leader.leader.as_ref());
    if leader.is_some_and(|peer| peer.store_id == 42) && response.text().is_empty() {
        return Ok(());
    }
    Err(Failure::broke(
        format!("{} does not pass on a region error", C::METHOD),
        "the storage said: not leader, the leader is on store 42",
        format!("the answer is {response:?}"),
    ))
}

/// When the disk fails, nobody can tell whether a write happened. That is no answer for a response: the call ends
/// in a gRPC status, which the client takes for what it is, unknown.
fn a_failing_disk_is_never_a_success(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    unwell(&mut kv, RawGetRequest::default())?;
    unwell(&mut kv, RawPutRequest::default())?;
    unwell(&mut kv, RawDeleteRequest::default())?;
    unwell(&mut kv, RawScanRequest { limit: 1, ..Default::default() })
}

fn unwell<C: Call>(kv: &mut Kv, request: C) -> Outcome {
    kv.fail_once(Fault::Disk)?;
    match kv.try_call(request)? {
        Err(status) if !status.definite => Ok(()),
        Err(status) => Err(Failure::broke(
            format!("{} calls a failed disk a definite error", C::METHOD),
            "the storage does not know whether it happened",
            format!("the error {:?} says that it surely did not", status.text),
        )),
        Ok(response) => Err(Failure::broke(
            format!("{} answers as if nothing were wrong", C::METHOD),
            "the disk failed below it",
            format!("the answer is {response:?}"),
        )),
    }
}

/// An answer over 64 MiB is refused with a gRPC status, and before it was built: one request must not use up the
/// server's memory.
///
/// Hint: `check_answer` after each pair, with the bytes so far.
fn an_answer_that_is_too_large_is_refused(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let value = vec![b'v'; 14 << 20];
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        kv.write(vec![raw_pair(Cf::Default, key, &value)])?;
    }
    let scan = |limit| RawScanRequest { limit, ..Default::default() };
    kv.call(RawScanRequest { key_only: true, ..scan(5) })?;
    let seen = kv.call(scan(2))?;
    if seen.kvs.len() != 2 {
        return Err(Failure::broke(
            "a scan of 28 MiB is not answered",
            "an answer may have 64 MiB",
            format!("it returned {} of 2 pairs", seen.kvs.len()),
        ));
    }
    match kv.try_call(scan(5))? {
        Err(status) if status.text.contains("67108864") => Ok(()),
        Err(status) => Err(Failure::broke(
            "the refusal of a large answer does not name the limit",
            "the limit is 67108864 bytes",
            format!("the text is {:?}", status.text),
        )),
        Ok(response) => Err(Failure::broke(
            "a scan of 70 MiB was answered",
            "an answer may have 64 MiB (67108864 bytes)",
            format!("it returned {} pairs", response.kvs.len()),
        )),
    }
}

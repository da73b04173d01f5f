//! Reads without locks.

use std::collections::BTreeMap;

use proto::kvrpcpb::{BatchGetResponse, KvPair};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Asked, Desk, SETTINGS, World, wrong};
use super::protocol::{Coordinator, Outcome, What};

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("read.rs":
        a_read_is_put_together_from_its_parts,
        a_read_sees_the_moment_of_its_start,
        own_writes_are_seen,
    )
}

/// A response with these pairs.
pub fn pairs(pairs: &[(&[u8], &[u8])]) -> BatchGetResponse {
    let pair = |(key, value): &(&[u8], &[u8])| KvPair {
        key: key.to_vec().into(),
        value: value.to_vec().into(),
        error: None,
    };
    BatchGetResponse { pairs: pairs.iter().map(pair).collect(), ..Default::default() }
}

/// What a read came to.
pub fn read(pairs: &[(&[u8], Option<&[u8]>)]) -> Outcome {
    let pair = |(key, value): &(&[u8], Option<&[u8]>)| (key.to_vec(), value.map(<[u8]>::to_vec));
    Outcome::Read(pairs.iter().map(pair).collect::<BTreeMap<_, _>>())
}

/// A read of keys in two regions ends when both parts are there, in whatever order they come. A key that no response has is
/// absent; an empty value is not absent.
fn a_read_is_put_together_from_its_parts(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a", b"b", b"n", b"o"])?;
    let sent = desk.sent();
    let [left, right] = &sent[..] else {
        return Err(wrong("keys of two regions", "two requests", super::desk::show(&sent)));
    };
    desk.answer(right, &pairs(&[(b"o", b"4")]))?;
    desk.expect_open("one of two parts is there")?;
    desk.answer(left, &pairs(&[(b"a", b""), (b"b", b"2")]))?;
    let all: [(&[u8], Option<&[u8]>); 4] =
        [(b"a", Some(b"")), (b"b", Some(b"2")), (b"n", None), (b"o", Some(b"4"))];
    desk.expect("both parts are there", &read(&all))
}

/// All reads of a transaction ask for its start timestamp, however late they come.
fn a_read_sees_the_moment_of_its_start(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let start = desk.begin()?;
    for key in [b"a", b"z"] {
        desk.pass(1_000)?;
        desk.get(&[key])?;
        let sent = desk.one("a key is read")?;
        match &sent.asked {
            Asked::BatchGet(get) if get.version == start => {}
            other => return Err(wrong("a read sees its start", start, format!("{other:?}"))),
        }
        desk.answer(&sent, &pairs(&[]))?;
        desk.expect("it is absent", &read(&[(key, None)]))?;
    }
    Ok(())
}

/// What the transaction has put or deleted itself, it reads, though no store knows of it yet.
fn own_writes_are_seen(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.put(&[b"a"])?;
    desk.say(What::Delete(b"b".to_vec()))?;
    desk.get(&[b"a", b"b", b"c"])?;
    for sent in desk.sent() {
        let all: Vec<(&[u8], &[u8])> = vec![(b"a", b"old"), (b"b", b"old"), (b"c", b"old")];
        let asked = sent.keys();
        let there: Vec<_> =
            all.into_iter().filter(|(key, _)| asked.iter().any(|k| k == key)).collect();
        desk.answer(&sent, &pairs(&there))?;
    }
    let all: [(&[u8], Option<&[u8]>); 3] =
        [(b"a", Some(b"new a")), (b"b", None), (b"c", Some(b"old"))];
    desk.expect("own writes are seen", &read(&all))
}

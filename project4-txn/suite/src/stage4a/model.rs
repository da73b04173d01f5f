//! All questions, against a map.

use serde_bytes::ByteBuf;
use sim::failure::Outcome;
use sim::harness::Test;

use super::read::{expect, record};
use crate::protocol::{Fact, Question, Txn};
use crate::rows::{Kind, Row, Write};
use crate::world::{Store, World};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("model.rs": a_reader_finds_what_a_map_of_versions_would)
}

/// Whatever lies in the storage, each question about each key at each timestamp has the answer that a plain map of
/// versions gives. The keys begin with each other, the timestamps meet.
///
/// Hint: when only this test fails, look at the rows of the key that it names, and for the smaller test that should have
/// caught it.
fn a_reader_finds_what_a_map_of_versions_would(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let keys: Vec<Vec<u8>> =
        [&b""[..], b"a", b"a\x00", b"a\xff", b"aaaaaaaa", b"aaaaaaaa\x00", b"b"]
            .map(<[u8]>::to_vec)
            .to_vec();
    for _ in 0..6 {
        store.anew()?;
        let mut model = Vec::new();
        for key in &keys {
            let mut ts = 0;
            while ts < 24 {
                ts += 1 + store.rng().below(5) as u64;
                let start = ts;
                let kind = *store.rng().pick(&[
                    Kind::Put,
                    Kind::Put,
                    Kind::Delete,
                    Kind::Lock,
                    Kind::Rollback,
                ]);
                if kind != Kind::Rollback {
                    ts += store.rng().below(3) as u64;
                }
                let long = store.rng().chance(30);
                let len = store.rng().below(4) + if long { 256 } else { 0 };
                let value = store.rng().bytes(len);
                let mut write = Write::new(kind, start);
                write.overlapped = kind != Kind::Rollback && ts > start && store.rng().chance(20);
                if kind == Kind::Put && long {
                    store.load([Row::Value(key.clone(), start, value.clone())])?;
                } else if kind == Kind::Put {
                    write.value = Some(value.clone());
                }
                store.load([Row::Write(key.clone(), ts, write.clone())])?;
                model.push((key.clone(), ts, write, value));
            }
        }
        for key in &keys {
            let rows: Vec<_> = model.iter().filter(|(k, ..)| k == key).rev().collect();
            for ts in 0..30 {
                let changes = |write: &Write| matches!(write.kind, Kind::Put | Kind::Delete);
                let newest = rows.iter().find(|(_, at, ..)| *at <= ts);
                let change = rows.iter().find(|(_, at, write, _)| *at <= ts && changes(write));
                let value = change.filter(|(_, _, write, _)| write.kind == Kind::Put);
                let own = rows.iter().find_map(|(_, at, write, _)| {
                    let own = write.start == ts;
                    (own && write.kind == Kind::Rollback || *at == ts && write.overlapped)
                        .then_some(Fact::RolledBack)
                        .or_else(|| own.then(|| record(*at, write)))
                });
                let row = |row: Option<&&(Vec<u8>, u64, Write, Vec<u8>)>| {
                    row.map_or(Fact::Nothing, |(_, at, write, _)| record(*at, write))
                };
                let bytes = value
                    .map_or(Fact::Nothing, |(.., bytes)| Fact::Bytes(ByteBuf::from(bytes.clone())));
                for (question, right) in [
                    (Question::SeekWrite(ts), row(newest)),
                    (Question::SeekChange(ts), row(change)),
                    (Question::Value(ts), bytes),
                    (Question::Record(ts), own.unwrap_or(Fact::Nothing)),
                ] {
                    expect(&mut store, key, question, &right, "a map says otherwise")?;
                }
            }
            let newest = rows.iter().find(|(_, _, write, _)| write.kind != Kind::Rollback);
            let right = newest.map_or(Fact::Nothing, |(_, at, write, _)| record(*at, write));
            expect(&mut store, key, Question::NewestCommit, &right, "a map says otherwise")?;
        }
    }
    Ok(())
}

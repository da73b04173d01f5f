//! What the engine costs over bare redb, on the same work: `cargo bench -p interop`.
//!
//! Both sides have one table of a hundred thousand keys in a file of their own, the same cache, and
//! do the same reads and writes in the same order. The engine should be at most a tenth slower:
//! what it adds is a name for a column family, batches that are collected first, and errors that
//! say who must act.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redb::{ReadableDatabase as _, TableDefinition};
use standalone::engine::{CF_DEFAULT, Direction, Durability, Engine, Options, WriteBatch};
use standalone::keys::KeyRange;
use tempfile::TempDir;

const KEYS: u64 = 100_000;
const BATCH: u64 = 1000;
const CACHE: usize = 64 << 20;
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new(CF_DEFAULT);

fn key(n: u64) -> Vec<u8> {
    format!("rkey{n:012}").into_bytes()
}

fn value(n: u64) -> Vec<u8> {
    let mut value = format!("value of {n:020} ").into_bytes();
    value.resize(100, b'.');
    value
}

/// Keys in an order that visits all of them and looks random: a step that shares no factor with
/// their number.
fn shuffled() -> impl Iterator<Item = u64> {
    (0..u64::MAX).map(|n| n.wrapping_mul(61_803) % KEYS)
}

/// The next thousand pairs to write.
fn next_batch(order: &mut impl Iterator<Item = u64>) -> Vec<(Vec<u8>, Vec<u8>)> {
    order.take(usize::try_from(BATCH).expect("a thousand")).map(|n| (key(n), value(n))).collect()
}

struct Bare(redb::Database);

impl Bare {
    fn write(&self, pairs: &[(Vec<u8>, Vec<u8>)], durability: redb::Durability) {
        let mut transaction = self.0.begin_write().unwrap();
        transaction.set_durability(durability).unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for (key, value) in pairs {
                table.insert(&key[..], &value[..]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

fn write(engine: &Engine, pairs: &[(Vec<u8>, Vec<u8>)], durability: Durability) {
    let mut batch = WriteBatch::new();
    for (key, value) in pairs {
        batch.put(CF_DEFAULT, &key[..], &value[..]);
    }
    engine.write(&batch, durability).unwrap();
}

/// Both sides, filled alike.
fn filled(dir: &TempDir) -> (Engine, Bare) {
    let options = Options { cache_bytes: CACHE, ..Options::default() };
    let engine = Engine::open(dir.path(), "engine.redb", &options).unwrap();
    let mut builder = redb::Database::builder();
    let bare = Bare(builder.set_cache_size(CACHE).create(dir.path().join("bare.redb")).unwrap());
    let mut order = shuffled();
    for _ in 0..KEYS / BATCH {
        let pairs = next_batch(&mut order);
        write(&engine, &pairs, Durability::Immediate);
        bare.write(&pairs, redb::Durability::Immediate);
    }
    (engine, bare)
}

fn engine_against_bare_redb(criterion: &mut Criterion) {
    let dir = TempDir::new().unwrap();
    let (engine, bare) = filled(&dir);

    // As a RawGet does it: a snapshot, then one key.
    let mut group = criterion.benchmark_group("get");
    let mut order = shuffled().map(key);
    group.bench_function("engine", |b| {
        b.iter_batched(
            || order.next().unwrap(),
            |key| engine.snapshot().unwrap().get(CF_DEFAULT, &key).unwrap().unwrap(),
            BatchSize::SmallInput,
        );
    });
    let mut order = shuffled().map(key);
    group.bench_function("bare", |b| {
        b.iter_batched(
            || order.next().unwrap(),
            |key| {
                let table = bare.0.begin_read().unwrap().open_table(TABLE).unwrap();
                table.get(&key[..]).unwrap().unwrap().value().to_vec()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();

    let mut group = criterion.benchmark_group("get in one snapshot");
    let mut order = shuffled().map(key);
    let snapshot = engine.snapshot().unwrap();
    group.bench_function("engine", |b| {
        b.iter_batched(
            || order.next().unwrap(),
            |key| snapshot.get(CF_DEFAULT, &key).unwrap().unwrap(),
            BatchSize::SmallInput,
        );
    });
    let mut order = shuffled().map(key);
    let table = bare.0.begin_read().unwrap().open_table(TABLE).unwrap();
    group.bench_function("bare", |b| {
        b.iter_batched(
            || order.next().unwrap(),
            |key| table.get(&key[..]).unwrap().unwrap().value().to_vec(),
            BatchSize::SmallInput,
        );
    });
    group.finish();

    let mut group = criterion.benchmark_group("scan of 1000");
    group.throughput(Throughput::Elements(BATCH));
    let starts = || shuffled().map(|n| n % (KEYS - BATCH)).map(|n| (key(n), key(n + BATCH)));
    let mut ranges = starts();
    group.bench_function("engine", |b| {
        b.iter_batched(
            || ranges.next().unwrap(),
            |(start, end)| {
                let snapshot = engine.snapshot().unwrap();
                let range = KeyRange { start, end };
                let mut cursor = snapshot.cursor(CF_DEFAULT, range, Direction::Forward).unwrap();
                while cursor.advance().unwrap() {
                    black_box((cursor.key(), cursor.value()));
                }
            },
            BatchSize::SmallInput,
        );
    });
    let mut ranges = starts();
    group.bench_function("bare", |b| {
        b.iter_batched(
            || ranges.next().unwrap(),
            |(start, end)| {
                let table = bare.0.begin_read().unwrap().open_table(TABLE).unwrap();
                for pair in table.range(&start[..]..&end[..]).unwrap() {
                    let (key, value) = pair.unwrap();
                    black_box((key.value(), value.value()));
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();

    for (name, ours, theirs) in [
        ("write of 1000, not durable", Durability::None, redb::Durability::None),
        ("write of 1000, durable", Durability::Immediate, redb::Durability::Immediate),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH));
        let mut order = shuffled();
        group.bench_function("engine", |b| {
            b.iter_batched(
                || next_batch(&mut order),
                |pairs| write(&engine, &pairs, ours),
                BatchSize::SmallInput,
            );
        });
        let mut order = shuffled();
        group.bench_function("bare", |b| {
            b.iter_batched(
                || next_batch(&mut order),
                |pairs| bare.write(&pairs, theirs),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, engine_against_bare_redb);
criterion_main!(benches);

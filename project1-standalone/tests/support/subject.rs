//! The subject: answers the suite's inputs with this crate.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use proto::kvrpcpb::Context;
use serde_bytes::ByteBuf;
use sim::disk::RecordingDisk;
use sim::executor::Executor;
use sim::seam::Subject;
use standalone::clock::{Clock, UnixSeconds};
use standalone::engine::{CF_DEFAULT, CF_LOCK, CF_WRITE, CfName, Direction, Engine, Options};
use standalone::keys::KeyRange;
use standalone::latches::Latches;
use standalone::raw::{RawApi, Response, respond};
use standalone::{Error, MemStorage, Modify, Result, StandaloneStorage, Storage, StorageReader};
use standalone_suite::protocol::{
    Backend, Cf, Change, Effect, Input, Move, Pair, Standalone, StorageError,
};

use super::tricky::{Inner, Tricky, TrickyReader};

/// Polls that one input may take: far more than any needs, and an end for two calls that wake each other
/// for ever.
const MAX_POLLS: usize = 1_000_000;

/// A store that was started, or will be by [`Input::Open`].
#[derive(Default)]
pub struct Store {
    open: Option<Open>,
}

struct Open {
    storage: Tricky,
    api: RawApi<Tricky>,
    clock: Arc<ManualClock>,
    disk: RecordingDisk,
    readers: BTreeMap<u32, TrickyReader>,
}

#[derive(Default)]
struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn now(&self) -> UnixSeconds {
        self.0.load(Ordering::Relaxed)
    }
}

impl Subject<Standalone> for Store {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effects = match (input, &mut self.open) {
            (Input::Open { backend, disk }, _) => match Open::new(backend, disk) {
                Ok(open) => {
                    self.open = Some(open);
                    vec![Effect::Done(Ok(()))]
                }
                Err(error) => vec![Effect::Done(Err(plain(&error)))],
            },
            (input, Some(open)) => open.handle(input),
            (_, None) => panic!("the judge asks a store that it did not open"),
        };
        // What happened to the disk happened before the answer.
        let ops = self.open.iter().flat_map(|open| open.disk.take_ops()).map(Effect::Disk);
        ops.chain(effects).collect()
    }
}

impl Open {
    fn new(backend: Backend, bytes: Vec<u8>) -> Result<Self> {
        let disk = RecordingDisk::new(bytes);
        let inner = match backend {
            Backend::Standalone => {
                let options = Options { cache_bytes: 4 << 20, ..Options::default() };
                let engine = Engine::with_backend(disk.clone(), &options)?;
                Inner::Standalone(StandaloneStorage::new(engine))
            }
            Backend::Memory => Inner::Memory(MemStorage::new()),
        };
        let (storage, clock) = (Tricky::new(inner), Arc::<ManualClock>::default());
        let api = RawApi::new(Arc::new(storage.clone()), Latches::new(), clock.clone());
        Ok(Open { storage, api, clock, disk, readers: BTreeMap::new() })
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let done = |result: Result<()>| vec![Effect::Done(result.map_err(|e| plain(&e)))];
        match input {
            Input::Open { .. } => unreachable!("handled above"),
            Input::SetClock(now) => {
                self.clock.0.store(now, Ordering::Relaxed);
                done(Ok(()))
            }
            Input::SetTerm(term) => {
                self.storage.set_term(term);
                done(Ok(()))
            }
            Input::Serve(region) => {
                self.storage.serve(region);
                done(Ok(()))
            }
            Input::Fail(fault) => {
                self.storage.fail_once(fault);
                done(Ok(()))
            }
            Input::Write(changes) => {
                let batch = changes.into_iter().map(modify).collect();
                let storage = self.storage.clone();
                done(run(async move { storage.write(&Context::default(), batch).await }))
            }
            Input::OpenReader(number) => {
                let storage = self.storage.clone();
                let reader = run(async move { storage.reader(&Context::default()).await });
                done(reader.map(|reader| {
                    self.readers.insert(number, reader);
                }))
            }
            Input::Get { reader, cf, key } => {
                let value = self.readers[&reader].get_cf(cf_name(cf), &key);
                vec![Effect::Value(value.map(|v| v.map(ByteBuf::from)).map_err(|e| plain(&e)))]
            }
            Input::Walk { reader, cf, start, end, reverse, moves } => {
                let range = KeyRange { start, end };
                let pairs = walk(&self.readers[&reader], cf, range, reverse, &moves);
                vec![Effect::Walked(pairs.map_err(|e| plain(&e)))]
            }
            Input::Calls { seed, calls } => self.calls(seed, calls),
        }
    }

    fn calls(&self, seed: u64, calls: Vec<(String, ByteBuf)>) -> Vec<Effect> {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut executor = Executor::new(seed);
        for (at, (method, request)) in (0..).zip(calls) {
            let (api, answers) = (self.api.clone(), answers.clone());
            executor.spawn(async move {
                let answer = call(&api, &method, &request).await.map_err(|e| plain(&e));
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.push(Effect::Answer(at, answer));
            });
        }
        let stuck = executor.run(MAX_POLLS);
        let mut effects =
            std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
        if stuck > 0 {
            effects.push(Effect::Stuck(u32::try_from(stuck).unwrap_or(u32::MAX)));
        }
        effects
    }
}

/// Runs one future to its end, alone.
fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let slot = Arc::new(Mutex::new(None));
    let (mut executor, result) = (Executor::new(0), slot.clone());
    executor.spawn(async move {
        let value = future.await;
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    });
    executor.run(MAX_POLLS);
    let value = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    value.expect("a future of the storage waits for something that never comes")
}

async fn call(api: &RawApi<Tricky>, method: &str, request: &[u8]) -> Result<ByteBuf> {
    macro_rules! dispatch {
        ($($name:literal => $handler:ident),+ $(,)?) => {
            match method {
                $($name => encode(api.$handler(decode(request)).await),)+
                other => panic!("the judge calls {other}, which this subject does not know"),
            }
        };
    }
    dispatch! {
        "RawGet" => raw_get,
        "RawPut" => raw_put,
        "RawDelete" => raw_delete,
        "RawScan" => raw_scan,
        "RawBatchGet" => raw_batch_get,
        "RawBatchPut" => raw_batch_put,
        "RawBatchDelete" => raw_batch_delete,
        "RawBatchScan" => raw_batch_scan,
        "RawDeleteRange" => raw_delete_range,
        "RawGetKeyTTL" => raw_get_key_ttl,
        "RawCompareAndSwap" => raw_compare_and_swap,
    }
}

fn decode<Q: Message + Default>(request: &[u8]) -> Q {
    Q::decode(request).expect("the judge sends well-formed requests")
}

fn encode<R: Response + Message>(result: Result<R>) -> Result<ByteBuf> {
    Ok(respond(result)?.encode_to_vec().into())
}

fn walk(
    reader: &TrickyReader,
    cf: Cf,
    range: KeyRange,
    reverse: bool,
    moves: &[Move],
) -> Result<Vec<Pair>> {
    let direction = if reverse { Direction::Reverse } else { Direction::Forward };
    let mut cursor = reader.iter_cf(cf_name(cf), range, direction)?;
    moves
        .iter()
        .map(|step| {
            let there = match step {
                Move::Advance => cursor.advance()?,
                Move::Seek(key) => cursor.seek(key)?,
            };
            Ok(there.then(|| (cursor.key().to_vec(), cursor.value().to_vec())))
        })
        .collect()
}

fn modify(change: Change) -> Modify {
    match change {
        Change::Put(cf, key, value) => Modify::Put { cf: cf_name(cf), key, value },
        Change::Delete(cf, key) => Modify::Delete { cf: cf_name(cf), key },
        Change::DeleteRange(cf, start, end) => {
            Modify::DeleteRange { cf: cf_name(cf), range: KeyRange { start, end } }
        }
    }
}

fn cf_name(cf: Cf) -> CfName {
    match cf {
        Cf::Default => CF_DEFAULT,
        Cf::Lock => CF_LOCK,
        Cf::Write => CF_WRITE,
        Cf::Unknown => "nonsense",
    }
}

fn plain(error: &Error) -> StorageError {
    StorageError { text: error.to_string(), definite: error.is_definite() }
}

//! The subject: answers the suites' inputs with this crate.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use proto::kvrpcpb::Context;
use serde_bytes::ByteBuf;
use sim::disk::RecordingDisk;
use sim::executor::Executor;
use sim::seam::Subject;
use standalone::engine::{CF_DEFAULT, CF_LOCK, CF_WRITE, CfName, Direction, Engine, Options};
use standalone::keys::KeyRange;
use standalone::latches::Latches;
use standalone::storage::DynCursor;
use standalone::{MemStorage, Modify, StandaloneStorage, Storage, StorageReader};
use txn::api::{Response, respond};
use txn::mvcc::{Lock, MvccReader, MvccTxn, Record, Write, key};
use txn::{Concurrency, Error, Result, TimeStamp, TxnApi};
use txn_suite::protocol::{
    Backend, CFS, Cf, Change, Effect, Fact, Input, Question, Step, Trouble, Txn,
};

use super::time::ManualTime;
use super::tricky::{Inner, Tricky};

/// Polls that one input may take: far more than any needs, and an end for two calls that wake each other for ever.
const MAX_POLLS: usize = 1_000_000;

/// A store that was started, or will be by [`Input::Open`].
#[derive(Default)]
pub struct Store {
    open: Option<Open>,
}

type Answers = Arc<Mutex<Vec<Effect>>>;

struct Open {
    storage: Tricky,
    api: TxnApi<Tricky>,
    concurrency: Concurrency,
    time: ManualTime,
    disk: RecordingDisk,
    executor: Executor,
    answers: Answers,
}

impl Subject<Txn> for Store {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effects = match (input, &mut self.open) {
            (Input::Open { backend, disk, seed }, _) => match Open::new(backend, disk, seed) {
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
    fn new(backend: Backend, bytes: Vec<u8>, seed: u64) -> standalone::Result<Self> {
        let disk = RecordingDisk::new(bytes);
        let inner = match backend {
            Backend::Disk => {
                let options = Options { cache_bytes: 4 << 20, ..Options::default() };
                let engine = Engine::with_backend(disk.clone(), &options)?;
                Inner::Disk(StandaloneStorage::new(engine))
            }
            Backend::Memory => Inner::Memory(MemStorage::new()),
        };
        let (storage, time) = (Tricky::new(inner), ManualTime::default());
        let concurrency = Concurrency::new();
        let api = TxnApi::new(
            Arc::new(storage.clone()),
            Latches::new(),
            concurrency.clone(),
            Arc::new(time.clone()),
        );
        let (executor, answers) = (Executor::new(seed), Answers::default());
        Ok(Open { storage, api, concurrency, time, disk, executor, answers })
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let done = || vec![Effect::Done(Ok(()))];
        match input {
            Input::Open { .. } => unreachable!("handled above"),
            Input::SetTerm(term) => {
                self.storage.set_term(term);
                done()
            }
            Input::Fail(fault) => {
                self.storage.fail_once(fault);
                done()
            }
            Input::Pass(millis) => {
                self.time.pass(millis);
                self.go_on(done())
            }
            Input::Unsync { region, leadership } => {
                self.concurrency.unsync(region, leadership);
                done()
            }
            Input::Sync { region, leadership, ts } => {
                self.concurrency.sync(region, leadership, ts.into());
                self.go_on(done())
            }
            Input::Load(changes) => {
                let batch = changes.into_iter().map(modify).collect();
                let storage = self.storage.clone();
                let written = alone(async move { storage.put(batch).await });
                vec![Effect::Done(written.map_err(|e| plain(&e)))]
            }
            Input::Look => vec![Effect::Rows(self.rows())],
            Input::Key(user_key, ts) => {
                let version = key::version_key(&user_key, ts.into());
                let decoded = key::key_of_version(&version).map(|(key, ts)| (key, ts.get()));
                let decoded = decoded.map_err(|e| trouble(&e));
                vec![Effect::Key(key::lock_key(&user_key), version, decoded)]
            }
            Input::Steps(start, steps) => {
                let mut txn = MvccTxn::new(start.into());
                for step in &steps {
                    take(&mut txn, step);
                }
                vec![Effect::Changes(txn.into_modifies().into_iter().map(change).collect())]
            }
            Input::Ask(key, questions) => {
                let reader = self.reader();
                let reader = MvccReader::new(&reader);
                let ask = |question| ask(&reader, &key, question).map_err(|e| trouble(&e));
                vec![Effect::Facts(questions.into_iter().map(ask).collect())]
            }
            Input::Calls(calls) => {
                for (number, method, request) in calls {
                    let (api, answers) = (self.api.clone(), self.answers.clone());
                    self.executor.spawn(async move {
                        let answer = call(&api, &method, &request).await.map_err(|e| plain(&e));
                        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                        answers.push(Effect::Answer(number, answer));
                    });
                }
                self.go_on(Vec::new())
            }
            Input::Count => vec![Effect::Operations(self.storage.take_operations())],
        }
    }

    /// Runs the calls until all are done or wait.
    fn go_on(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let waiting = self.executor.run(MAX_POLLS);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        effects.append(&mut answers);
        effects.push(Effect::Waiting(u32::try_from(waiting).unwrap_or(u32::MAX)));
        effects
    }

    fn reader(&self) -> impl StorageReader {
        let storage = self.storage.clone();
        alone(async move { storage.reader(&Context::default()).await })
            .expect("the judge looks at a store that is well")
    }

    fn rows(&self) -> Vec<(Cf, Vec<u8>, ByteBuf)> {
        let reader = self.reader();
        let mut rows = Vec::new();
        for cf in CFS {
            let range = KeyRange { start: b"x".to_vec(), end: b"y".to_vec() };
            let mut cursor: DynCursor = reader
                .iter_cf(cf_name(cf), range, Direction::Forward)
                .expect("the judge looks at a store that is well");
            while cursor.advance().expect("as above") {
                rows.push((cf, cursor.key().to_vec(), ByteBuf::from(cursor.value().to_vec())));
            }
        }
        rows
    }
}

fn take(txn: &mut MvccTxn, step: &Step) {
    match step {
        Step::PutLock(key, bytes) => {
            txn.put_lock(key, &Lock::parse(bytes).expect("the judge's locks are whole"));
        }
        Step::Unlock(key) => txn.unlock(key),
        Step::PutValue(key, value) => txn.put_value(key, value.to_vec()),
        Step::DeleteValue(key) => txn.delete_value(key),
        Step::PutWrite(key, ts, bytes) => {
            let write = Write::parse(bytes).expect("the judge's records are whole");
            txn.put_write(key, TimeStamp::new(*ts), &write);
        }
    }
}

fn ask(reader: &MvccReader, key: &[u8], question: Question) -> Result<Fact> {
    let bytes = |bytes: Option<Vec<u8>>| bytes.map_or(Fact::Nothing, |b| Fact::Bytes(b.into()));
    let record = |found: Option<(TimeStamp, Write)>| match found {
        Some((ts, write)) => Fact::Write(ts.get(), write.to_bytes().into()),
        None => Fact::Nothing,
    };
    Ok(match question {
        Question::Lock => bytes(reader.load_lock(key)?.map(|lock| lock.to_bytes())),
        Question::SeekWrite(ts) => record(reader.seek_write(key, ts.into())?),
        Question::SeekChange(ts) => record(reader.seek_change(key, ts.into())?),
        Question::Value(ts) => bytes(reader.get_value(key, ts.into())?),
        Question::NewestCommit => record(reader.newest_commit(key)?),
        Question::Record(start) => match reader.find_record(key, start.into())? {
            Record::Committed { commit_ts, write } => record(Some((commit_ts, write))),
            Record::RolledBack => Fact::RolledBack,
            Record::None => Fact::Nothing,
        },
    })
}

/// Serves a call by its name.
pub async fn call<S: Storage>(
    api: &TxnApi<S>,
    method: &str,
    request: &[u8],
) -> standalone::Result<ByteBuf> {
    macro_rules! dispatch {
        ($($name:literal => $handler:ident),+ $(,)?) => {
            match method {
                $($name => encode(api.$handler(decode(request)).await),)+
                other => panic!("the judge calls {other}, which this subject does not know"),
            }
        };
    }
    dispatch! {
        "KvGet" => kv_get,
        "KvBatchGet" => kv_batch_get,
        "KvScan" => kv_scan,
        "KvPrewrite" => kv_prewrite,
        "KvCommit" => kv_commit,
        "KvBatchRollback" => kv_batch_rollback,
        "KvCleanup" => kv_cleanup,
        "KvPessimisticLock" => kv_pessimistic_lock,
        "KVPessimisticRollback" => kv_pessimistic_rollback,
        "KvTxnHeartBeat" => kv_txn_heart_beat,
        "KvCheckTxnStatus" => kv_check_txn_status,
        "KvCheckSecondaryLocks" => kv_check_secondary_locks,
        "KvResolveLock" => kv_resolve_lock,
        "KvScanLock" => kv_scan_lock,
        "KvGC" => kv_gc,
        "KvDeleteRange" => kv_delete_range,
        "UnsafeDestroyRange" => unsafe_destroy_range,
    }
}

fn decode<Q: Message + Default>(request: &[u8]) -> Q {
    Q::decode(request).expect("the judge sends well-formed requests")
}

fn encode<R: Response + Message>(result: Result<R>) -> standalone::Result<ByteBuf> {
    Ok(respond(result)?.encode_to_vec().into())
}

/// Runs one future to its end, alone.
fn alone<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
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

fn modify(change: Change) -> Modify {
    match change {
        Change::Put(cf, key, value) => Modify::Put { cf: cf_name(cf), key, value },
        Change::Delete(cf, key) => Modify::Delete { cf: cf_name(cf), key },
        Change::DeleteRange(cf, start, end) => {
            Modify::DeleteRange { cf: cf_name(cf), range: KeyRange { start, end } }
        }
    }
}

fn change(modify: Modify) -> Change {
    match modify {
        Modify::Put { cf, key, value } => Change::Put(cf_of(cf), key, value),
        Modify::Delete { cf, key } => Change::Delete(cf_of(cf), key),
        Modify::DeleteRange { cf, range } => Change::DeleteRange(cf_of(cf), range.start, range.end),
    }
}

fn cf_name(cf: Cf) -> CfName {
    match cf {
        Cf::Default => CF_DEFAULT,
        Cf::Lock => CF_LOCK,
        Cf::Write => CF_WRITE,
    }
}

fn cf_of(name: CfName) -> Cf {
    match name {
        CF_LOCK => Cf::Lock,
        CF_WRITE => Cf::Write,
        _ => Cf::Default,
    }
}

fn plain(error: &standalone::Error) -> Trouble {
    Trouble { text: error.to_string(), definite: error.is_definite() }
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Storage(error) => plain(error),
        Error::Key(error) => Trouble { text: format!("{error:?}"), definite: true },
    }
}

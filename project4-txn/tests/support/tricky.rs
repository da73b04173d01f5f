//! A storage that behaves as the judge says: it lets others run before and after each step, has a term, counts what is
//! read, and can fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::Peer;
use sim::executor::yield_now;
use standalone::engine::{CfName, Direction};
use standalone::keys::KeyRange;
use standalone::storage::{Cursor, DynCursor, EngineReader, MemReader};
use standalone::{Error, MemStorage, Modify, Result, StandaloneStorage, Storage, StorageReader};
use txn_suite::protocol::Fault;

/// What stands behind.
pub enum Inner {
    Disk(StandaloneStorage),
    Memory(MemStorage),
}

#[derive(Default)]
struct Orders {
    fail: Option<Fault>,
    term: u64,
}

/// An [`Inner`] under the judge's orders. Clones share everything.
#[derive(Clone)]
pub struct Tricky {
    inner: Arc<Inner>,
    orders: Arc<Mutex<Orders>>,
    operations: Arc<AtomicU64>,
}

impl Tricky {
    pub fn new(inner: Inner) -> Self {
        Tricky { inner: Arc::new(inner), orders: Arc::default(), operations: Arc::default() }
    }

    pub fn fail_once(&self, fault: Fault) {
        self.orders(|orders| orders.fail = Some(fault));
    }

    pub fn set_term(&self, term: u64) {
        self.orders(|orders| orders.term = term);
    }

    pub fn take_operations(&self) -> u64 {
        self.operations.swap(0, Ordering::Relaxed)
    }

    fn orders<T>(&self, f: impl FnOnce(&mut Orders) -> T) -> T {
        f(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check_leader(&self) -> Result<()> {
        let failed = self.orders(|orders| {
            matches!(orders.fail, Some(Fault::NotLeader)).then(|| orders.fail.take())
        });
        if failed.is_none() {
            return Ok(());
        }
        let leader = Some(Peer { id: 421, store_id: 42, ..Default::default() });
        Err(Error::Region(Box::new(errorpb::Error {
            message: "the judge said so".into(),
            not_leader: Some(errorpb::NotLeader { region_id: 1, leader }),
            ..Default::default()
        })))
    }

    /// Writes without asking anybody.
    pub async fn put(&self, batch: Vec<Modify>) -> Result<()> {
        match &*self.inner {
            Inner::Disk(storage) => storage.write(&Context::default(), batch).await,
            Inner::Memory(storage) => storage.write(&Context::default(), batch).await,
        }
    }
}

impl Storage for Tricky {
    type Reader = TrickyReader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        yield_now().await;
        self.check_leader()?;
        let (term, fault) = self.orders(|orders| (orders.term, orders.fail.take()));
        if term != 0 && context.term != term {
            return Err(Error::Region(Box::new(errorpb::Error {
                message: format!("computed in term {}, it is {term} now", context.term),
                stale_command: Some(errorpb::StaleCommand::default()),
                ..Default::default()
            })));
        }
        if !matches!(fault, Some(Fault::WriteLost)) {
            self.put(batch).await?;
        }
        yield_now().await;
        match fault {
            None => Ok(()),
            Some(_) => Err(Error::Io { doing: "obey the judge", what: "it said so".into() }),
        }
    }

    async fn reader(&self, context: &Context) -> Result<TrickyReader> {
        yield_now().await;
        self.check_leader()?;
        let term = self.orders(|orders| orders.term);
        let moment = match &*self.inner {
            Inner::Disk(storage) => Moment::Disk(storage.reader(context).await?),
            Inner::Memory(storage) => Moment::Memory(storage.reader(context).await?),
        };
        yield_now().await;
        Ok(TrickyReader { moment, term, operations: self.operations.clone() })
    }
}

#[expect(clippy::large_enum_variant, reason = "one a request, and never in a collection")]
enum Moment {
    Disk(EngineReader),
    Memory(MemReader),
}

/// A reader of either kind, with the term it was opened in.
pub struct TrickyReader {
    moment: Moment,
    term: u64,
    operations: Arc<AtomicU64>,
}

impl StorageReader for TrickyReader {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        match &self.moment {
            Moment::Disk(reader) => reader.get_cf(cf, key),
            Moment::Memory(reader) => reader.get_cf(cf, key),
        }
    }

    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor> {
        let cursor = match &self.moment {
            Moment::Disk(reader) => reader.iter_cf(cf, range, direction)?,
            Moment::Memory(reader) => reader.iter_cf(cf, range, direction)?,
        };
        Ok(Box::new(Counting { cursor, operations: self.operations.clone() }))
    }

    fn term(&self) -> u64 {
        self.term
    }
}

struct Counting {
    cursor: DynCursor,
    operations: Arc<AtomicU64>,
}

impl Cursor for Counting {
    fn advance(&mut self) -> Result<bool> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.cursor.advance()
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.cursor.seek(key)
    }

    fn key(&self) -> &[u8] {
        self.cursor.key()
    }

    fn value(&self) -> &[u8] {
        self.cursor.value()
    }
}

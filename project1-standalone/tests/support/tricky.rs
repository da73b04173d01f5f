//! A storage that behaves as the judge says: it lets others run before each step, has a term, and can fail.

use std::sync::{Arc, Mutex, PoisonError};

use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::Peer;
use sim::executor::yield_now;
use standalone::engine::{CfName, Direction};
use standalone::keys::KeyRange;
use standalone::storage::{DynCursor, EngineReader, MemReader};
use standalone::{Error, MemStorage, Modify, Result, StandaloneStorage, Storage, StorageReader};
use standalone_suite::protocol::Fault;

/// What stands behind.
pub enum Inner {
    Standalone(StandaloneStorage),
    Memory(MemStorage),
}

#[derive(Default)]
struct Orders {
    fail: Option<Fault>,
    term: u64,
    /// The only region that is here; any if none was named.
    region: Option<u64>,
}

/// An [`Inner`] under the judge's orders. Clones share everything.
#[derive(Clone)]
pub struct Tricky {
    inner: Arc<Inner>,
    orders: Arc<Mutex<Orders>>,
}

impl Tricky {
    pub fn new(inner: Inner) -> Self {
        Tricky { inner: Arc::new(inner), orders: Arc::default() }
    }

    pub fn fail_once(&self, fault: Fault) {
        self.orders(|orders| orders.fail = Some(fault));
    }

    pub fn set_term(&self, term: u64) {
        self.orders(|orders| orders.term = term);
    }

    pub fn serve(&self, region: u64) {
        self.orders(|orders| orders.region = Some(region));
    }

    fn orders<T>(&self, f: impl FnOnce(&mut Orders) -> T) -> T {
        f(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check(&self, context: &Context) -> Result<()> {
        let region_id = context.region_id;
        if self.orders(|orders| orders.region).is_some_and(|region| region != region_id) {
            return Err(Error::Region(Box::new(errorpb::Error {
                message: format!("region {region_id} is not here"),
                region_not_found: Some(errorpb::RegionNotFound { region_id }),
                ..Default::default()
            })));
        }
        match self.orders(|orders| orders.fail.take()) {
            None => Ok(()),
            Some(Fault::Disk) => {
                Err(Error::Io { doing: "obey the judge", what: "it said so".into() })
            }
            Some(Fault::NotLeader) => {
                let leader = Some(Peer { id: 421, store_id: 42, ..Default::default() });
                let not_leader = errorpb::NotLeader { region_id: 1, leader };
                let message = "the judge said so".into();
                Err(Error::Region(Box::new(errorpb::Error {
                    message,
                    not_leader: Some(not_leader),
                    ..Default::default()
                })))
            }
        }
    }
}

impl Storage for Tricky {
    type Reader = TrickyReader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        yield_now().await;
        self.check(context)?;
        let term = self.orders(|orders| orders.term);
        if term != 0 && context.term != term {
            return Err(Error::Region(Box::new(errorpb::Error {
                message: format!("computed in term {}, it is {term} now", context.term),
                stale_command: Some(errorpb::StaleCommand::default()),
                ..Default::default()
            })));
        }
        match &*self.inner {
            Inner::Standalone(storage) => storage.write(context, batch).await?,
            Inner::Memory(storage) => storage.write(context, batch).await?,
        }
        yield_now().await;
        Ok(())
    }

    async fn reader(&self, context: &Context) -> Result<TrickyReader> {
        yield_now().await;
        self.check(context)?;
        let term = self.orders(|orders| orders.term);
        let reader = match &*self.inner {
            Inner::Standalone(storage) => {
                TrickyReader::Standalone(storage.reader(context).await?, term)
            }
            Inner::Memory(storage) => TrickyReader::Memory(storage.reader(context).await?, term),
        };
        yield_now().await;
        Ok(reader)
    }
}

/// A reader of either kind, and the term it was opened in.
#[expect(clippy::large_enum_variant, reason = "one a request, and never in a collection")]
pub enum TrickyReader {
    Standalone(EngineReader, u64),
    Memory(MemReader, u64),
}

impl StorageReader for TrickyReader {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            TrickyReader::Standalone(reader, _) => reader.get_cf(cf, key),
            TrickyReader::Memory(reader, _) => reader.get_cf(cf, key),
        }
    }

    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor> {
        match self {
            TrickyReader::Standalone(reader, _) => reader.iter_cf(cf, range, direction),
            TrickyReader::Memory(reader, _) => reader.iter_cf(cf, range, direction),
        }
    }

    fn term(&self) -> u64 {
        match self {
            TrickyReader::Standalone(_, term) | TrickyReader::Memory(_, term) => *term,
        }
    }
}

//! The replicated storage: `standalone::Storage` over a store, so that project 1's handlers run unchanged.
//!
//! [`RaftStorage`] turns a call into a request with a callback, puts it into the store's inbox and awaits the answer.
//! It knows no store, no thread and no runtime: the inbox is handed to it.
//!
//! What the trait promises is kept like this: a write is answered when its entry is applied, hence durable on a majority;
//! a reader is granted when this peer was sure to lead after the read came, at an index that is applied and committed to
//! the data here. So it sees every write that was answered before it came, although most writers do not wait for that. Its term
//! goes into the write that follows from it, and a peer refuses that in another term.

use std::future::Future;
use std::sync::Arc;

use proto::kvrpcpb::Context;
use proto::metapb::Region;
use proto::raft_cmdpb::RaftRequestHeader;
use standalone::engine::{CfName, Direction, Snapshot};
use standalone::keys::KeyRange;
use standalone::storage::DynCursor;
use standalone::{Error, Modify, Storage, StorageReader};

use crate::callback::callback;
use crate::error::Refusal;
use crate::store::Request;
use crate::{cmd, region};

/// The way into a store.
pub trait Inbox: Send + Sync + 'static {
    /// Puts a request there; waits for room if there is none. A request that can no longer be put anywhere is dropped,
    /// and its callback with it: that is an answer, too.
    fn send(&self, request: Request) -> impl Future<Output = ()> + Send;
}

/// A `Storage` that is replicated.
pub struct RaftStorage<I> {
    inbox: I,
}

impl<I: Inbox> RaftStorage<I> {
    /// The storage of the store behind this inbox.
    pub fn new(inbox: I) -> Self {
        RaftStorage { inbox }
    }
}

/// What a request's context says. A client that names no region knows the store's address and no map: it means the
/// first region, in whatever epoch.
fn header(context: &Context) -> RaftRequestHeader {
    let named = context.region_id != 0;
    RaftRequestHeader {
        region_id: if named { context.region_id } else { region::FIRST_REGION },
        peer: context.peer,
        region_epoch: if named { Some(context.region_epoch.unwrap_or_default()) } else { None },
        term: context.term,
        ..Default::default()
    }
}

fn unknown() -> Refusal {
    Refusal::Unknown("the store is going down: ask again when it is back".into())
}

impl<I: Inbox> Storage for RaftStorage<I> {
    type Reader = RegionReader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<(), Error> {
        let (callback, applied) = callback();
        let request = cmd::write_request(header(context), batch);
        self.inbox.send(Request::Write(request, callback)).await;
        applied.await.unwrap_or_else(|| Err(unknown()))?;
        Ok(())
    }

    async fn reader(&self, context: &Context) -> Result<RegionReader, Error> {
        let (callback, granted) = callback();
        self.inbox.send(Request::Read(header(context), callback)).await;
        Ok(granted.await.unwrap_or_else(|| Err(unknown()))?)
    }
}

/// Reads one region at one moment.
pub struct RegionReader {
    view: Arc<Snapshot>,
    region: Region,
    term: u64,
}

impl std::fmt::Debug for RegionReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionReader(region {}, term {})", self.region.id, self.term)
    }
}

impl RegionReader {
    /// A reader of `region` through this view, granted in this term.
    pub fn new(view: Arc<Snapshot>, region: Region, term: u64) -> Self {
        RegionReader { view, region, term }
    }

    /// The region.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl StorageReader for RegionReader {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        region::check_key(&self.region, key)?;
        self.view.get(cf, key)
    }

    fn iter_cf(
        &self,
        cf: CfName,
        range: KeyRange,
        direction: Direction,
    ) -> Result<DynCursor, Error> {
        let within = region::clamp(&self.region, &range);
        Ok(Box::new(self.view.cursor(cf, within, direction)?))
    }

    fn term(&self) -> u64 {
        self.term
    }
}

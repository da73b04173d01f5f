//! Opening the cluster; ids and timestamps; stores.

use prost::Message as _;
use proto::metapb::{self, StoreState};
use proto::pdpb::{
    AllocIdRequest, AllocIdResponse, BootstrapRequest, BootstrapResponse, Error, ErrorType,
    GetAllStoresRequest, GetAllStoresResponse, GetStoreRequest, GetStoreResponse,
    IsBootstrappedRequest, IsBootstrappedResponse, PutStoreRequest, PutStoreResponse,
    StoreHeartbeatRequest, StoreHeartbeatResponse, Timestamp, TsoRequest, TsoResponse,
};
use standalone::pd::Answer;

use super::{Cluster, refusal};
use crate::scheduler::region::RegionInfo;
use crate::scheduler::store::StoreInfo;
use crate::scheduler::{Millis, saved};

impl Cluster {
    /// Opens the cluster with its first store and the region that covers everything. Exactly one caller succeeds; the
    /// others are told ALREADY_BOOTSTRAPPED and go on as later members.
    pub fn bootstrap(&mut self, request: BootstrapRequest, now: Millis) -> BootstrapResponse {
        let done = self.check(request.header.as_ref()).and_then(|()| {
            let (store, region) =
                (request.store.unwrap_or_default(), request.region.unwrap_or_default());
            self.open_with(store, region, now)
        });
        BootstrapResponse { header: self.header(done.err()) }
    }

    fn open_with(
        &mut self,
        store: metapb::Store,
        region: metapb::Region,
        now: Millis,
    ) -> Result<(), Error> {
        if self.bootstrapped {
            let text = "another store has opened this cluster".into();
            return Err(refusal(ErrorType::AlreadyBootstrapped, text));
        }
        let whole = region.start_key.is_empty() && region.end_key.is_empty();
        let [peer] = &region.peers[..] else {
            let text = format!("the first region has one peer, not {}", region.peers.len());
            return Err(refusal(ErrorType::InvalidValue, text));
        };
        let named = store.id != 0 && region.id != 0 && peer.id != 0 && peer.store_id == store.id;
        if !whole || !named || region.region_epoch.is_none() {
            let text =
                "the first region covers all keys, has an epoch, and one peer on the first store";
            return Err(refusal(ErrorType::InvalidValue, text.into()));
        }
        for id in [store.id, region.id, peer.id] {
            self.ids.skip(id, &mut self.outbox);
        }
        self.outbox.save(saved::BOOTSTRAPPED.to_vec(), saved::number(store.id));
        self.outbox.save(saved::store_key(store.id), store.encode_to_vec());
        self.outbox.save(saved::region_key(region.id), region.encode_to_vec());
        self.stores.insert(store.id, StoreInfo::new(store, now));
        self.regions.put(RegionInfo::unheard(region));
        self.bootstrapped = true;
        Ok(())
    }

    /// Has a store opened the cluster?
    pub fn is_bootstrapped(&self, request: &IsBootstrappedRequest) -> IsBootstrappedResponse {
        let header = self.header(self.check(request.header.as_ref()).err());
        IsBootstrappedResponse { header, bootstrapped: self.bootstrapped }
    }

    /// A new id.
    pub fn alloc_id(&mut self, request: &AllocIdRequest) -> AllocIdResponse {
        let checked = self.check(request.header.as_ref());
        let id = if checked.is_ok() { self.ids.next(&mut self.outbox) } else { 0 };
        AllocIdResponse { header: self.header(checked.err()), id }
    }

    /// Timestamps. `wall` is the machine's clock, in milliseconds since 1970, which may step backwards.
    ///
    /// # Errors
    /// Another cluster's request, or a count that is not 1 to 262143: the stream ends.
    pub fn tso(&mut self, request: &TsoRequest, wall: Millis) -> Result<TsoResponse, Error> {
        self.check(request.header.as_ref())?;
        let timestamp = Some(self.timestamps(request.count, wall)?);
        Ok(TsoResponse { header: self.header(None), count: request.count, timestamp })
    }

    /// The next `count` timestamps. [`Tso`](standalone::pd::Tso) does the thinking; when it wants a bound saved first, the
    /// outbox takes it (`saved::TSO_BOUND`), which makes this answer wait, and so the bound may be taken for saved at
    /// once.
    ///
    /// # Errors
    /// The count cannot be (INVALID_VALUE).
    fn timestamps(&mut self, count: u32, wall: Millis) -> Result<Timestamp, Error> {
        // BEGIN SOLUTION 3C.tso
        loop {
            match self.tso.next(wall, count) {
                Answer::Send(timestamp) => return Ok(timestamp),
                Answer::SaveFirst(bound) => {
                    self.outbox.save(saved::TSO_BOUND.to_vec(), saved::number(bound));
                    self.tso.saved(bound);
                }
                Answer::Refuse => {
                    let text = format!("{count} timestamps at once: ask for 1 to 262143");
                    return Err(refusal(ErrorType::InvalidValue, text));
                }
            }
        }
        // END SOLUTION
    }

    /// A store announces itself, at each start.
    pub fn put_store(&mut self, request: PutStoreRequest, now: Millis) -> PutStoreResponse {
        let done = self.check_open(request.header.as_ref());
        let done = done.and_then(|()| self.announce(request.store.unwrap_or_default(), now));
        PutStoreResponse { header: self.header(done.err()) }
    }

    /// Takes a store in, or its news:
    ///
    /// - id 0 is no store: INVALID_VALUE;
    /// - a tombstone does not come back: STORE_TOMBSTONE;
    /// - an address belongs to one store that is not a tombstone: DUPLICATED_ENTRY. (A machine whose disk was lost comes
    ///   with a new id and the old address: the old store has to be removed first, by a person who knows that it is
    ///   gone.)
    /// - a known store may change its address, labels and version, but *not its state*: that is the scheduler's, and a
    ///   store that is being emptied says "Up" at each restart because it knows no better. A new one is `Up`.
    ///
    /// It is saved before the answer, and it was heard from now. You will need `saved::store_key` and `encode_to_vec`.
    fn announce(&mut self, store: metapb::Store, now: Millis) -> Result<(), Error> {
        // BEGIN SOLUTION 3C.announce
        let mut store = store;
        if store.id == 0 {
            return Err(refusal(ErrorType::InvalidValue, "a store has an id, from AllocID".into()));
        }
        let twin = |other: &&StoreInfo| {
            !other.is_tombstone() && other.id() != store.id && other.store.address == store.address
        };
        if let Some(other) = self.stores.values().find(twin) {
            let text = format!("store {} has the address {}, too", other.id(), store.address);
            return Err(refusal(ErrorType::DuplicatedEntry, text));
        }
        if self.stores.get(&store.id).is_some_and(StoreInfo::is_tombstone) {
            return Err(tombstone(store.id));
        }
        let state = self.stores.get(&store.id).map_or(StoreState::Up, |known| known.store.state());
        store.set_state(state);
        self.outbox.save(saved::store_key(store.id), store.encode_to_vec());
        let info =
            self.stores.entry(store.id).or_insert_with(|| StoreInfo::new(store.clone(), now));
        info.store = store;
        info.heard = now;
        Ok(())
        // END SOLUTION
    }

    /// A store reports that it is alive.
    pub fn store_heartbeat(
        &mut self,
        request: StoreHeartbeatRequest,
        now: Millis,
    ) -> StoreHeartbeatResponse {
        let done = self.check_open(request.header.as_ref()).and_then(|()| {
            let stats = request.stats.unwrap_or_default();
            let info =
                self.stores.get_mut(&stats.store_id).ok_or_else(|| unknown(stats.store_id))?;
            if info.is_tombstone() {
                return Err(tombstone(info.id()));
            }
            (info.heard, info.stats) = (now, Some(stats));
            Ok(())
        });
        StoreHeartbeatResponse { header: self.header(done.err()), ..Default::default() }
    }

    /// Where is this store?
    pub fn get_store(&self, request: &GetStoreRequest) -> GetStoreResponse {
        let found = self.check_open(request.header.as_ref()).and_then(|()| {
            self.stores.get(&request.store_id).ok_or_else(|| unknown(request.store_id))
        });
        GetStoreResponse {
            header: self.header(found.as_ref().err().cloned()),
            store: found.as_ref().ok().map(|info| info.store.clone()),
            stats: found.ok().and_then(|info| info.stats.clone()),
        }
    }

    /// Which stores are there?
    pub fn get_all_stores(&self, request: &GetAllStoresRequest) -> GetAllStoresResponse {
        let checked = self.check_open(request.header.as_ref());
        let wanted = |info: &&StoreInfo| !(request.exclude_tombstone_stores && info.is_tombstone());
        let stores = match checked {
            Ok(()) => self.stores.values().filter(wanted).map(|info| info.store.clone()).collect(),
            Err(_) => Vec::new(),
        };
        GetAllStoresResponse { header: self.header(checked.err()), stores }
    }
}

pub(super) fn unknown(store: u64) -> Error {
    refusal(ErrorType::Unknown, format!("no store has the id {store}"))
}

pub(super) fn tombstone(store: u64) -> Error {
    let text =
        format!("store {store} was removed for good: start it anew, with an empty directory");
    refusal(ErrorType::StoreTombstone, text)
}

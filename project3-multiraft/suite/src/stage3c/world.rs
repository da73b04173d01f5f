//! What a test of stage 3C holds in its hands: a scheduler, its disk and its clocks.
//!
//! [`Pd`] asks in `pdpb`'s words and keeps the orders that come out. It is the scheduler's disk, too: what was to be
//! synced survives a crash, and of what was not any beginning does. An answer reaches the test only after what it
//! waited for is on the disk.

use std::collections::BTreeMap;

use prost::Message;
use proto::metapb::{Peer, Store};
use proto::pdpb::{
    self, BootstrapRequest, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse,
    PutStoreRequest, RegionHeartbeatRequest, RegionHeartbeatResponse, RequestHeader,
    ResponseHeader, StoreHeartbeatRequest, StoreStats,
};
use serde_bytes::ByteBuf;
use sim::failure::{Failure, Outcome};
use sim::harness::Run;
use sim::link::Link;
use sim::rng::Rng;

use super::protocol::{Change, Effect, Input, Now, Scheduler, Settings};
pub use super::shape::{Shape, peer_id};

/// One run of a test.
pub type World<'a> = Run<'a, Scheduler>;

/// Where the tail region starts: the memcomparable encoding of eight `ff` bytes.
pub const TAIL_START: [u8; 18] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // one full group and its marker
    0, 0, 0, 0, 0, 0, 0, 0, 0xf7, // the empty last group
];

/// The tail's region id in these tests.
pub const TAIL: u64 = 2;

/// The wall clock when a test begins.
const DAWN: u64 = 1_700_000_000_000;

/// A scheduler under test.
pub struct Pd<'w, 'a> {
    run: &'w mut World<'a>,
    link: Box<dyn Link<Scheduler>>,
    /// Its settings; a restart reads them anew.
    pub settings: Settings,
    /// Its clocks.
    pub now: Now,
    /// The id that it says its cluster has.
    pub cluster: u64,
    /// Orders that nobody has looked at yet.
    pub orders: Vec<RegionHeartbeatResponse>,
    /// How often it had something saved before an answer.
    pub saves: u64,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    unsynced: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A call: which request is answered by what.
pub trait Call: Message + std::fmt::Debug {
    /// The RPC's name.
    const METHOD: &'static str;
    /// Its response.
    type Response: Message + Default + std::fmt::Debug;
    /// Fills in the header.
    fn with_header(&mut self, header: RequestHeader);
    /// The header of a response.
    fn header(response: &Self::Response) -> Option<&ResponseHeader>;
}

macro_rules! calls {
    ($($method:literal $request:ident -> $response:ident),+ $(,)?) => {
        $(impl Call for pdpb::$request {
            const METHOD: &'static str = $method;
            type Response = pdpb::$response;
            fn with_header(&mut self, header: RequestHeader) {
                self.header.get_or_insert(header);
            }
            fn header(response: &Self::Response) -> Option<&ResponseHeader> {
                response.header.as_ref()
            }
        })+
    };
}

calls! {
    "Bootstrap" BootstrapRequest -> BootstrapResponse,
    "IsBootstrapped" IsBootstrappedRequest -> IsBootstrappedResponse,
    "AllocID" AllocIdRequest -> AllocIdResponse,
    "Tso" TsoRequest -> TsoResponse,
    "PutStore" PutStoreRequest -> PutStoreResponse,
    "GetStore" GetStoreRequest -> GetStoreResponse,
    "GetAllStores" GetAllStoresRequest -> GetAllStoresResponse,
    "StoreHeartbeat" StoreHeartbeatRequest -> StoreHeartbeatResponse,
    "GetRegionByID" GetRegionByIdRequest -> GetRegionResponse,
    "ScanRegions" ScanRegionsRequest -> ScanRegionsResponse,
    "AskSplit" AskSplitRequest -> AskSplitResponse,
    "AskBatchSplit" AskBatchSplitRequest -> AskBatchSplitResponse,
    "ReportBatchSplit" ReportBatchSplitRequest -> ReportBatchSplitResponse,
    "ScatterRegion" ScatterRegionRequest -> ScatterRegionResponse,
    "GetOperator" GetOperatorRequest -> GetOperatorResponse,
    "GetGCSafePoint" GetGcSafePointRequest -> GetGcSafePointResponse,
    "UpdateGCSafePoint" UpdateGcSafePointRequest -> UpdateGcSafePointResponse,
    "UpdateServiceGCSafePoint" UpdateServiceGcSafePointRequest -> UpdateServiceGcSafePointResponse,
}

impl<'w, 'a> Pd<'w, 'a> {
    /// A scheduler on an empty disk.
    ///
    /// # Errors
    /// When it fails to start; the same holds for everything below.
    pub fn start(run: &'w mut World<'a>, settings: Settings) -> Outcome<Self> {
        Self::start_on(run, settings, BTreeMap::new())
    }

    /// A scheduler whose former life has saved these pairs.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn start_on(
        run: &'w mut World<'a>,
        settings: Settings,
        disk: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Outcome<Self> {
        let link = run.start()?;
        let now = Now { uptime: 0, wall: DAWN };
        let mut pd = Pd {
            run,
            link,
            settings,
            now,
            cluster: 0,
            orders: Vec::new(),
            saves: 0,
            disk,
            unsynced: Vec::new(),
        };
        pd.open()?;
        Ok(pd)
    }

    fn open(&mut self) -> Outcome {
        let saved = self.disk.iter();
        let saved =
            saved.map(|(k, v)| (ByteBuf::from(k.clone()), ByteBuf::from(v.clone()))).collect();
        self.say(Input::Open { settings: self.settings.clone(), saved, now: self.now })?;
        // A question without a header is refused, but the answer tells the cluster's id.
        let mut asked = pdpb::IsBootstrappedRequest::default();
        asked.with_header(RequestHeader::default());
        let answer = self.call(asked)?;
        self.cluster = answer.header.map_or(0, |header| header.cluster_id);
        Ok(())
    }

    /// The generator of this run.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.run.rng
    }

    /// The scheduler is killed and started again. Uptime begins anew; of what was not synced, a random beginning is
    /// there.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn crash(&mut self) -> Outcome {
        let kept = self.run.rng.below(self.unsynced.len() + 1);
        let unsynced = std::mem::take(&mut self.unsynced);
        self.write(unsynced.into_iter().take(kept));
        self.orders.clear();
        self.link = self.run.start()?;
        self.now.uptime = 0;
        self.open()
    }

    fn write(&mut self, writes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        for (key, value) in writes {
            match value {
                Some(value) => self.disk.insert(key, value),
                None => self.disk.remove(&key),
            };
        }
    }

    fn say(&mut self, input: Input) -> Outcome<Vec<Effect>> {
        self.run.count_input();
        let mut others = Vec::new();
        for effect in self.link.exchange(input)? {
            match effect {
                Effect::Save { writes, sync } => {
                    let writes = writes.into_iter();
                    self.unsynced
                        .extend(writes.map(|(k, v)| (k.into_vec(), v.map(ByteBuf::into_vec))));
                    if sync {
                        self.saves += 1;
                        let all = std::mem::take(&mut self.unsynced);
                        self.write(all);
                    }
                }
                Effect::Order(order) => self.orders.push(decode(&order)?),
                other => others.push(other),
            }
        }
        Ok(others)
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn call<Q: Call>(&mut self, request: Q) -> Outcome<Q::Response> {
        self.try_call(request)?.map_err(|text| {
            let fact = format!("{} was refused with a gRPC status: {text}", Q::METHOD);
            Failure::broke("a call was not answered", "it should have been answered", fact)
        })
    }

    /// Asks one thing whose refusal may be a status.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn try_call<Q: Call>(&mut self, mut request: Q) -> Outcome<Result<Q::Response, String>> {
        request.with_header(RequestHeader { cluster_id: self.cluster, sender_id: 0 });
        let mut answers = self.calls(vec![(Q::METHOD, request.encode_to_vec())])?;
        match answers.pop() {
            Some(Ok(bytes)) => Ok(Ok(decode(&bytes)?)),
            Some(Err(text)) => Ok(Err(text)),
            None => Err(nonsense("no answer")),
        }
    }

    /// Asks one thing that must succeed.
    ///
    /// # Errors
    /// As [`Pd::start`], and when the answer has an error.
    pub fn done<Q: Call>(&mut self, request: Q) -> Outcome<Q::Response> {
        let text = format!("{} {request:?}", Q::METHOD);
        let response = self.call(request)?;
        match Q::header(&response).and_then(|header| header.error.clone()) {
            None => Ok(response),
            Some(error) => Err(Failure::broke(
                "the scheduler refused what it must accept",
                format!("asked: {text}"),
                format!("answered: {} ({:?})", error.message, error.r#type()),
            )),
        }
    }

    /// Asks one thing that must be refused, and returns the error.
    ///
    /// # Errors
    /// As [`Pd::start`], and when the answer has no error.
    pub fn refused<Q: Call>(&mut self, request: Q) -> Outcome<pdpb::Error> {
        let text = format!("{} {request:?}", Q::METHOD);
        let response = self.call(request)?;
        Q::header(&response).and_then(|header| header.error.clone()).ok_or_else(|| {
            Failure::broke(
                "the scheduler accepted what it must refuse",
                format!("asked: {text}"),
                format!("answered: {response:?}"),
            )
        })
    }

    fn calls(&mut self, calls: Vec<(&str, Vec<u8>)>) -> Outcome<Vec<Result<Vec<u8>, String>>> {
        let count = calls.len();
        let calls = calls.into_iter().map(|(m, r)| (m.to_owned(), r.into())).collect();
        let answers: Vec<_> = self
            .say(Input::Calls(calls, self.now))?
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Answer(answer) => Some(answer.map(ByteBuf::into_vec)),
                _ => None,
            })
            .collect();
        if answers.len() != count {
            return Err(nonsense(&format!("{} answers to {count} calls", answers.len())));
        }
        Ok(answers)
    }

    /// Which region has this key?
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn get_region(&mut self, key: &[u8]) -> Outcome<GetRegionResponse> {
        self.find("GetRegion", key)
    }

    /// Which region lies before the one with this key?
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn get_prev_region(&mut self, key: &[u8]) -> Outcome<GetRegionResponse> {
        self.find("GetPrevRegion", key)
    }

    fn find(&mut self, method: &str, key: &[u8]) -> Outcome<GetRegionResponse> {
        let header = Some(RequestHeader { cluster_id: self.cluster, sender_id: 0 });
        let request =
            GetRegionRequest { header, region_key: key.to_vec().into(), ..Default::default() };
        let mut answers = self.calls(vec![(method, request.encode_to_vec())])?;
        let answer = answers.pop().and_then(Result::ok).ok_or_else(|| nonsense("a status"))?;
        decode(&answer)
    }

    /// The region with this id; none if there is none.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn by_id(&mut self, region_id: u64) -> Outcome<GetRegionResponse> {
        self.call(GetRegionByIdRequest { region_id, ..Default::default() })
    }

    /// Reports these regions, and returns each one's error.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn beats(
        &mut self,
        beats: Vec<RegionHeartbeatRequest>,
    ) -> Outcome<Vec<Option<pdpb::Error>>> {
        let header = Some(RequestHeader { cluster_id: self.cluster, sender_id: 0 });
        let calls = beats.into_iter().map(|mut beat| {
            beat.header = header;
            ("RegionHeartbeat", beat.encode_to_vec())
        });
        let answers = self.calls(calls.collect())?;
        let header = |answer: Result<Vec<u8>, String>| -> Outcome<Option<pdpb::Error>> {
            let answer = answer.map_err(|text| nonsense(&text))?;
            Ok(decode::<ResponseHeader>(&answer)?.error)
        };
        answers.into_iter().map(header).collect()
    }

    /// Reports a region, which must be accepted.
    ///
    /// # Errors
    /// As [`Pd::start`], and when it is refused.
    pub fn beat(&mut self, region: &Shape) -> Outcome {
        match self.beats(vec![region.beat()])?.pop().flatten() {
            None => Ok(()),
            Some(error) => Err(Failure::broke(
                "a report of a region was refused that is as new as what is known",
                format!("reported: {region}"),
                format!("answered: {}", error.message),
            )),
        }
    }

    /// Reports a region, which must be refused.
    ///
    /// # Errors
    /// As [`Pd::start`], and when it is accepted.
    pub fn stale_beat(&mut self, region: &Shape, because: &str) -> Outcome {
        if self.beats(vec![region.beat()])?.pop().flatten().is_some() {
            return Ok(());
        }
        Err(Failure::broke(
            "a report of a region was accepted that is older than what is known",
            format!("known: {because}"),
            format!("accepted: {region}"),
        ))
    }

    /// These stores report that they are alive.
    ///
    /// # Errors
    /// As [`Pd::start`], and when one is refused.
    pub fn store_beats(&mut self, stores: &[u64]) -> Outcome {
        let header = Some(RequestHeader { cluster_id: self.cluster, sender_id: 0 });
        let calls = stores.iter().map(|&store_id| {
            let stats = Some(StoreStats { store_id, ..Default::default() });
            ("StoreHeartbeat", StoreHeartbeatRequest { header, stats }.encode_to_vec())
        });
        for answer in self.calls(calls.collect())? {
            let answer = answer.map_err(|text| nonsense(&text))?;
            let answer: pdpb::StoreHeartbeatResponse = decode(&answer)?;
            if let Some(error) = answer.header.and_then(|header| header.error) {
                return Err(Failure::broke(
                    "a store's report was refused",
                    "the store is known and in service",
                    error.message,
                ));
            }
        }
        Ok(())
    }

    /// Time passes.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn wait(&mut self, millis: u64) -> Outcome {
        self.now.uptime += millis;
        self.now.wall += millis;
        self.say(Input::Tick(self.now)).map(drop)
    }

    /// A person makes a plan for a region.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn plan(&mut self, region: u64, changes: Vec<Change>) -> Outcome<Result<(), String>> {
        match self.say(Input::Admin(region, changes, self.now))?.pop() {
            Some(Effect::Planned(done)) => Ok(done),
            other => Err(nonsense(&format!("{other:?}"))),
        }
    }

    /// A person has a store emptied.
    ///
    /// # Errors
    /// As [`Pd::start`], and when it is refused.
    pub fn remove_store(&mut self, store: u64) -> Outcome {
        match self.say(Input::RemoveStore(store, self.now))?.pop() {
            Some(Effect::Planned(Ok(()))) => Ok(()),
            other => Err(nonsense(&format!("{other:?}"))),
        }
    }

    /// Something that is asked without a cluster.
    ///
    /// # Errors
    /// As [`Pd::start`].
    pub fn ask(&mut self, input: Input) -> Outcome<Effect> {
        self.say(input)?.pop().ok_or_else(|| nonsense("nothing"))
    }

    /// The orders that came since the last time.
    pub fn take_orders(&mut self) -> Vec<RegionHeartbeatResponse> {
        std::mem::take(&mut self.orders)
    }

    /// Opens the cluster with store 1, and announces stores up to `stores`; region 1 has one peer, on store 1, and the
    /// tail is region 2.
    ///
    /// # Errors
    /// As [`Pd::start`], and when something is refused.
    pub fn open_cluster(&mut self, stores: u64) -> Outcome {
        let mut whole = Shape::new(1, "", "").on(&[1]);
        // All other ids of these tests lie far above those that the scheduler gives out.
        whole.peers[0].id = 3;
        self.done(BootstrapRequest {
            store: Some(store(1)),
            region: Some(whole.region()),
            ..Default::default()
        })?;
        for id in 2..=stores {
            self.done(PutStoreRequest { store: Some(store(id)), ..Default::default() })?;
        }
        Ok(())
    }

    /// As [`Pd::open_cluster`], with the tail split off: regions 1 (`["", TAIL_START)`) and [`TAIL`], at version 2.
    ///
    /// # Errors
    /// As there.
    pub fn open_with_tail(&mut self, stores: u64) -> Outcome {
        self.open_cluster(stores)?;
        let mut left = Shape::new(1, "", "").on(&[1]).at(2, 1);
        left.end = TAIL_START.to_vec();
        self.beat(&left)?;
        self.beat(&Shape::tail(&[1]))?;
        self.take_orders();
        Ok(())
    }
}

/// A store as it announces itself.
pub fn store(id: u64) -> Store {
    Store { id, address: format!("127.0.0.1:{}", 20_000 + id), ..Default::default() }
}

fn decode<R: Message + Default>(bytes: &[u8]) -> Outcome<R> {
    R::decode(bytes).map_err(|e| nonsense(&e.to_string()))
}

/// The subject said what no scheduler says.
pub fn nonsense(what: &str) -> Failure {
    Failure::Ended { how: format!("the subject answered nonsense: {what}") }
}

/// What an order is about, in a few words: `add learner 9 on s3`.
pub fn told(order: &RegionHeartbeatResponse) -> String {
    use proto::eraftpb::ConfChangeType;
    let on = |peer: Option<Peer>| {
        peer.map_or("nobody".into(), |peer| format!("{} on s{}", peer.id, peer.store_id))
    };
    let what = if let Some(change) = &order.change_peer {
        let kind = match change.change_type() {
            ConfChangeType::AddNode => "add",
            ConfChangeType::RemoveNode => "remove",
            ConfChangeType::AddLearnerNode => "add learner",
        };
        format!("{kind} {}", on(change.peer))
    } else if let Some(transfer) = &order.transfer_leader {
        format!("transfer to {}", on(transfer.peer))
    } else if let Some(split) = &order.split_region {
        format!("split at {} keys", split.keys.len())
    } else {
        "nothing".into()
    };
    format!("r{}: {what}", order.region_id)
}

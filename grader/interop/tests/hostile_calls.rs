//! Hostile calls: random messages and damaged ones, to every method of every service of a cluster. Whatever comes, no
//! process panics, each call ends, and what others have written is there.
//!
//! Two clusters are treated differently, since a cluster trusts its own members. To the first go all calls that clients make, and
//! stores' calls from strangers: it must keep its data, and serve. To the second go the calls of stores and administrators as well, introduced
//! as they should be: "region 1 is led by store 77 now" is believed by any scheduler, so that all that can be asked is that nothing
//! panics or hangs. Safe points are among those, so that what must be refused of them is asked for by name at the end. (What a member may say to Raft itself is the business of `hostile_peer`.)
//!
//! Some thousands here; a million with
//!
//! ```text
//! HOSTILE_CASES=1000000 HOSTILE_AT_ONCE=256 cargo test --release -p interop --test main -- hostile_calls --nocapture
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::ours;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use proto::kvrpcpb::{Context, GcRequest, GetRequest};
use proto::metapb::Region;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    GetAllStoresRequest, GetMembersRequest, GetRegionRequest, RequestHeader,
    UpdateGcSafePointRequest, UpdateServiceGcSafePointRequest,
};
use proto::tikvpb::tikv_client::TikvClient;
use tikv_client::{RawClient, TransactionClient, TransactionOptions};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::codegen::Bytes;
use tonic::transport::Channel;

use crate::hostile::{Noise, call, message};
use crate::hostile_peer::wanted_cases;
use crate::process::Server;

/// Calls that are under way at once. Most are held for a while, since they ask for what is not there.
fn at_once() -> usize {
    let wanted = std::env::var("HOSTILE_AT_ONCE").ok();
    wanted.map_or(32, |text| text.parse().expect("a number"))
}

/// Calls between two looks at what must be there.
const ROUND: u64 = 1_000;

/// The longest that a call may take: no server holds one for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far ahead a store may be made to commit by itself, and some more.
const SOON: Duration = Duration::from_secs(12);

/// The most memory that the server may use, in bytes: three stores and a scheduler.
const MEMORY: u64 = 2 << 30;

/// What only members say, or administrators. The first cluster does not hear it.
const INTERNAL: [&str; 13] = [
    "pdpb.PD.RegionHeartbeat",
    "pdpb.PD.StoreHeartbeat",
    "pdpb.PD.PutStore",
    "pdpb.PD.Bootstrap",
    "pdpb.PD.PutClusterConfig",
    "pdpb.PD.ReportSplit",
    "pdpb.PD.ReportBatchSplit",
    "pdpb.PD.ScatterRegion",
    "pdpb.PD.UpdateGCSafePoint",
    "tikvpb.Tikv.KvGC",
    "tikvpb.Tikv.KvDeleteRange",
    "tikvpb.Tikv.UnsafeDestroyRange",
    "tikvpb.Tikv.RawDeleteRange",
];

/// A key that clients wrote before, and no hostile message names.
const GUARD: &str = "guard";

/// What a hostile client may know: it is no secret.
struct Known {
    methods: Vec<MethodDescriptor>,
    pd_addr: String,
    stores: Vec<String>,
    header: RequestHeader,
    /// Where requests go right, as of the last look.
    contexts: Vec<Context>,
    now: u64,
}

impl Known {
    async fn learn(server: &Server, methods: Vec<MethodDescriptor>) -> Known {
        let url = format!("http://{}", server.pd_addr);
        let mut pd = PdClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
        let members = pd.get_members(GetMembersRequest::default()).await.unwrap().into_inner();
        let cluster_id = members.header.unwrap().cluster_id;
        let header = RequestHeader { cluster_id, ..Default::default() };
        let stores = async {
            loop {
                let ask = GetAllStoresRequest { header: Some(header), ..Default::default() };
                let stores = pd.get_all_stores(ask).await.unwrap().into_inner().stores;
                if stores.len() == 3 {
                    break stores.into_iter().map(|store| store.address).collect();
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let stores = timeout(PATIENCE, stores).await.expect("three stores");
        let pd_addr = server.pd_addr.clone();
        Known { methods, pd_addr, stores, header, contexts: Vec::new(), now: 0 }
    }

    /// Looks at regions and time.
    async fn look(&mut self) {
        let url = format!("http://{}", self.pd_addr);
        let mut pd = PdClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
        self.contexts.clear();
        let mut from = Vec::new();
        for _ in 0..10 {
            let region_key = from.clone().into();
            let ask =
                GetRegionRequest { header: Some(self.header), region_key, ..Default::default() };
            let Ok(found) = pd.get_region(ask).await else { break };
            let found = found.into_inner();
            let Some(Region { id, end_key, region_epoch, .. }) = found.region else { break };
            self.contexts.push(Context {
                region_id: id,
                region_epoch,
                peer: found.leader,
                ..Default::default()
            });
            if end_key.is_empty() {
                break;
            }
            from = end_key.to_vec();
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        self.now = u64::try_from(now.as_millis()).expect("this age") << 18;
    }
}

/// Makes messages up.
struct Liar<'k> {
    noise: Noise,
    known: &'k Known,
}

impl Liar<'_> {
    fn number(&mut self) -> u64 {
        match self.noise.draw(12) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => u64::MAX - 1,
            4 => 1 << 63,
            5 => self.known.now,
            6 => self.known.now - ((self.noise.draw(10_000) as u64) << 18),
            7 => self.known.now + ((self.noise.draw(10_000) as u64) << 18),
            8 => 1 << self.noise.draw(64),
            _ => self.noise.draw(10) as u64,
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        match self.noise.draw(12) {
            0 => Vec::new(),
            1 => vec![0xff; 8],
            2 => vec![0xff; 20],
            3 => {
                let len = self.noise.draw(60);
                self.noise.bytes(len)
            }
            4 => vec![b'z'; self.noise.draw(10_000)],
            // A boundary of regions, or nearly.
            5 => {
                [&[b'm' + self.noise.draw(3).to_le_bytes()[0]; 8][..], b"\xff\0\0\0\0\0\0\0\0\xf7"]
                    .concat()
            }
            _ => vec![b'h' + self.noise.draw(16).to_le_bytes()[0]],
        }
    }

    fn one(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        let number = self.number();
        let low = u32::try_from(number & u64::from(u32::MAX)).expect("32 bits");
        match field.kind() {
            Kind::Bool => Value::Bool(number & 1 == 1),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(low.cast_signed()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(low),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number.cast_signed()),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number),
            Kind::Float => Value::F32(f32::from_bits(low)),
            Kind::Double => Value::F64(f64::from_bits(number)),
            Kind::String => {
                let words = ["", "default", "write", "lock", "colour", "127.0.0.1:1", "DEFAULT"];
                Value::String(words[self.noise.draw(words.len())].into())
            }
            Kind::Bytes => Value::Bytes(self.bytes().into()),
            Kind::Enum(_) => Value::EnumNumber(i32::try_from(self.noise.draw(20)).expect("small")),
            Kind::Message(message) => Value::Message(self.message(&message, depth + 1)),
        }
    }

    fn message(&mut self, of: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut made = DynamicMessage::new(of.clone());
        let right = self.noise.draw(8) > 0;
        match of.full_name() {
            "kvrpcpb.Context" if right && !self.known.contexts.is_empty() => {
                let at = self.noise.draw(self.known.contexts.len());
                made.transcode_from(&self.known.contexts[at]).expect("it is one");
                return made;
            }
            "pdpb.RequestHeader" if right => {
                made.transcode_from(&self.known.header).expect("it is one");
                return made;
            }
            _ => {}
        }
        for field in of.fields() {
            let deep = depth > 4 && matches!(field.kind(), Kind::Message(_));
            if deep || field.is_map() || self.noise.draw(4) == 0 {
                continue;
            }
            let value = if field.cardinality() == Cardinality::Repeated {
                let count = self.noise.draw(4);
                Value::List((0..count).map(|_| self.one(&field, depth)).collect())
            } else {
                self.one(&field, depth)
            };
            made.set_field(&field, value);
        }
        made
    }

    /// A message's bytes, some of them damaged.
    fn payload(&mut self, of: &MessageDescriptor) -> Vec<u8> {
        let mut bytes = self.message(of, 0).encode_to_vec();
        match self.noise.draw(6) {
            0 => {
                for _ in 0..=self.noise.draw(4) {
                    let at = self.noise.draw(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.noise.draw(8);
                    }
                }
            }
            1 => {
                let len = self.noise.draw(bytes.len() + 1);
                bytes.truncate(len);
            }
            2 => {
                let (at, len) = (self.noise.draw(bytes.len() + 1), self.noise.draw(20));
                let more = self.noise.bytes(len);
                bytes.splice(at..at, more);
            }
            _ => {}
        }
        // It could be read as the guards' key by nothing but luck; that would be no finding.
        let named = |window: &[u8]| window == GUARD.as_bytes();
        if bytes.windows(GUARD.len()).any(named) { Vec::new() } else { bytes }
    }

    /// A call: where, what, who, and the body, a message or some.
    fn case(&mut self, introduced: bool) -> (usize, String, Vec<(&'static str, u64)>, Bytes) {
        let method = self.known.methods[self.noise.draw(self.known.methods.len())].clone();
        let to_pd = !method.full_name().starts_with("tikvpb.");
        let at = if to_pd { 0 } else { 1 + self.noise.draw(self.known.stores.len()) };
        let count = if method.is_client_streaming() { 1 + self.noise.draw(3) } else { 1 };
        let mut body = Vec::new();
        for _ in 0..count {
            let bytes = self.payload(&method.input());
            let declared = if self.noise.draw(50) == 0 {
                u32::try_from(self.number() & 0xffff_ffff).expect("32 bits")
            } else {
                u32::try_from(bytes.len()).expect("it is small")
            };
            let flag = u8::from(self.noise.draw(50) == 0);
            body.extend(message(flag, declared, &bytes));
        }
        let cluster = if introduced { self.known.header.cluster_id } else { 42 };
        let metadata = match self.noise.draw(8) {
            0 => Vec::new(),
            1 => vec![("multiraft-store", 1)],
            _ => vec![("multiraft-store", 1), ("multiraft-cluster", cluster)],
        };
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        (at, path, metadata, body.into())
    }
}

/// Throws so many calls at a cluster, a round at a time.
async fn throw(known: &mut Known, seed: u64, cases: u64, introduced: bool) {
    known.look().await;
    let mut senders = Vec::new();
    let mut connections = JoinSet::new();
    for addr in std::iter::once(&known.pd_addr).chain(&known.stores) {
        let socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (sender, connection) = h2::client::handshake(socket).await.unwrap();
        connections.spawn(connection);
        senders.push(sender);
    }
    let (mut liar, at_once) = (Liar { noise: Noise(seed), known }, at_once());
    let mut calls = JoinSet::new();
    for _ in 0..cases {
        if calls.len() == at_once {
            let done: Option<Result<(), _>> = calls.join_next().await;
            done.expect("there are some").expect("a call failed, see above");
        }
        let (at, path, metadata, body) = liar.case(introduced);
        let sender = senders[at].clone();
        calls.spawn(async move {
            let answer = timeout(PATIENCE, call(&sender, &path, &metadata, body.clone())).await;
            let answer = answer.unwrap_or_else(|_| panic!("{path} {body:?} hangs"));
            let status = answer.unwrap_or_else(|e| panic!("{path} {body:?}: {e}"));
            assert!(status.is_some(), "{path} {body:?}: no status");
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("a call failed, see above");
    }
}

/// All methods but these.
fn methods(but: &[&str]) -> Vec<MethodDescriptor> {
    let all: Vec<MethodDescriptor> =
        ours().services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let found = all.iter().filter(|method| but.contains(&method.full_name())).count();
    assert_eq!(found, but.len(), "a method of these lists is called otherwise now");
    all.into_iter().filter(|method| !but.contains(&method.full_name())).collect()
}

fn report(what: &str, thrown: &AtomicU64, server: &Server) {
    let resident = server.resident().unwrap_or_default();
    println!("{what}: {} calls, {} MiB", thrown.load(Ordering::Relaxed), resident >> 20);
    assert!(resident < MEMORY, "the server uses {resident} bytes");
}

/// Clients, whoever they are, and strangers that claim to be stores: nothing that others have written is lost or changed.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_harm_nobody() {
    let server = Server::cluster();
    let pd = || vec![server.pd_addr.clone()];
    let raw = RawClient::new(pd()).await.unwrap();
    let txn = TransactionClient::new(pd()).await.unwrap();
    let mut known = Known::learn(&server, methods(&INTERNAL)).await;
    let (total, thrown) = (wanted_cases() / 2, AtomicU64::new(0));
    while thrown.load(Ordering::Relaxed) < total {
        let seed = 7 + thrown.fetch_add(ROUND, Ordering::Relaxed);
        let (raw_value, txn_value) = (format!("raw {seed}"), format!("txn {seed}"));
        raw.put(GUARD.to_owned(), raw_value.clone()).await.unwrap();
        write(&txn, &txn_value).await;
        throw(&mut known, seed, ROUND, false).await;
        let found = raw.get(GUARD.to_owned()).await.unwrap();
        assert_eq!(found, Some(raw_value.into_bytes()), "{seed}");
        let began = Instant::now();
        while read(&txn).await != Some(txn_value.clone().into_bytes()) {
            assert!(began.elapsed() < SOON, "{seed}: what was committed does not appear");
            sleep(Duration::from_millis(100)).await;
        }
    }
    report("hostile clients", &thrown, &server);
}

/// Writes in two phases and in one. Stores may have been made to believe that it is a little later than it is: what they commit by
/// themselves then is seen when that time has come, and whoever writes before is told of a conflict, and tries again.
async fn write(client: &TransactionClient, value: &str) {
    for one_phase in [false, true] {
        let began = Instant::now();
        while let Err(error) = try_write(client, value, one_phase).await {
            let conflict = format!("{error:?}").contains("WriteConflict");
            assert!(conflict && began.elapsed() < SOON, "{error}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn try_write(
    client: &TransactionClient,
    value: &str,
    one_phase: bool,
) -> tikv_client::Result<()> {
    let kind = TransactionOptions::new_optimistic();
    let kind = if one_phase { kind.use_async_commit().try_one_pc() } else { kind };
    let mut txn = client.begin_with_options(kind).await?;
    txn.put(GUARD.to_owned(), value).await?;
    txn.commit().await.map(drop)
}

/// A read at a time that has not come, if it were believed, would lift what stores choose as the time of a commit: nobody would see what
/// was committed so until then, and whoever writes it next would meet a conflict. Half a minute ahead is refused.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_ahead_of_time_delays_nobody() {
    let server = Server::cluster();
    let txn = TransactionClient::new(vec![server.pd_addr.clone()]).await.unwrap();
    write(&txn, "before").await;
    let mut known = Known::learn(&server, methods(&INTERNAL)).await;
    // Until a store has asked the scheduler for the first time, it believes anything.
    sleep(SOON).await;
    let (mut asked, mut refused) = (0, 0);
    for _ in 0..5 {
        known.look().await;
        for context in &known.contexts {
            for store in &known.stores {
                let url = format!("http://{store}");
                let store = Channel::from_shared(url).unwrap().connect().await.unwrap();
                let mut store = TikvClient::new(store);
                let ask = GetRequest {
                    context: Some(context.clone()),
                    key: GUARD.into(),
                    version: known.now + (30_000 << 18),
                };
                let answer = store.kv_get(ask).await.unwrap().into_inner();
                let error = answer.error.map(|error| error.abort).unwrap_or_default();
                refused += u32::from(error.contains("from the future"));
                asked += u32::from(answer.region_error.is_none());
            }
        }
    }
    assert!(asked >= 5 && refused == asked, "of {asked} reads in the future {refused} are refused");
    for round in 0..5 {
        for one_phase in [true, false] {
            let value = format!("{round} {one_phase}");
            try_write(&txn, &value, one_phase).await.expect("nobody else writes it");
            assert_eq!(read(&txn).await, Some(value.into_bytes()));
        }
    }
}

async fn read(client: &TransactionClient) -> Option<Vec<u8>> {
    let now = client.current_timestamp().await.unwrap();
    client.snapshot(now, TransactionOptions::new_optimistic()).get(GUARD.to_owned()).await.unwrap()
}

/// Stores and administrators that have gone mad: nothing panics, nothing hangs, each call ends.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_members_stop_nothing() {
    let server = Server::cluster();
    let mut known = Known::learn(&server, methods(&[])).await;
    let (total, thrown) = (wanted_cases() / 2, AtomicU64::new(0));
    while thrown.load(Ordering::Relaxed) < total {
        let seed = 7 + thrown.fetch_add(ROUND, Ordering::Relaxed);
        throw(&mut known, seed, ROUND, true).await;
    }
    report("hostile members", &thrown, &server);
    // It ends in order, whatever it believes by now.
    assert!(server.terminate().success());
}

/// Safe points that no oracle can have handed out, given to PD and to the stores: they are refused in words, nothing is
/// collected, and everybody can go on to write. One that came from the oracle is taken.
async fn absurd_safe_points_are_refused(server: &Server) {
    let txn = TransactionClient::new(vec![server.pd_addr.clone()]).await.unwrap();
    write(&txn, "txn").await;
    let url = format!("http://{}", server.pd_addr);
    let mut pd = PdClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
    let members = pd.get_members(GetMembersRequest::default()).await.unwrap().into_inner();
    let cluster_id = members.header.unwrap().cluster_id;
    let header = Some(RequestHeader { cluster_id, ..Default::default() });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let in_an_hour = (u64::try_from(now.as_millis()).unwrap() + 3_600_000) << 18;
    let absurd = [u64::MAX, u64::MAX - 1, 1 << 63, in_an_hour];
    for safe_point in absurd {
        let ask = UpdateGcSafePointRequest { header, safe_point };
        let said = pd.update_gc_safe_point(ask).await.unwrap().into_inner();
        let error = said.header.and_then(|header| header.error).unwrap_or_default();
        assert!(error.message.contains("from the future"), "{safe_point}: {error:?}");
        assert_eq!(said.new_safe_point, 0, "{safe_point}");
    }
    // Holds of services: whatever they ask for, they hold back what they name, and time has an end.
    for (safe_point, ttl) in [(u64::MAX, i64::MAX), (0, i64::MIN), (u64::MAX, 0), (u64::MAX, -1)] {
        let service_id = b"absurd".to_vec().into();
        let ask = UpdateServiceGcSafePointRequest { header, service_id, ttl, safe_point };
        // A solo PD has no such call.
        if let Err(status) = pd.update_service_gc_safe_point(ask).await {
            assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
        }
    }
    let ask = GetRegionRequest { header, region_key: Vec::new().into(), ..Default::default() };
    let found = pd.get_region(ask).await.unwrap().into_inner();
    let (region, leader) = (found.region.unwrap(), found.leader.unwrap());
    let ask = GetAllStoresRequest { header, ..Default::default() };
    let stores = pd.get_all_stores(ask).await.unwrap().into_inner().stores;
    let store = stores.into_iter().find(|store| store.id == leader.store_id).unwrap();
    let url = format!("http://{}", store.address);
    let mut store = TikvClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
    let (region_id, region_epoch) = (region.id, region.region_epoch);
    let context = Context { region_id, region_epoch, peer: Some(leader), ..Default::default() };
    for safe_point in absurd {
        let ask = GcRequest { context: Some(context.clone()), safe_point };
        let said = store.kv_gc(ask).await.unwrap().into_inner();
        assert_eq!(said.region_error, None);
        let error = said.error.unwrap_or_default();
        assert!(error.abort.contains("from the future"), "{safe_point}: {error:?}");
    }
    assert_eq!(read(&txn).await, Some(b"txn".to_vec()));
    write(&txn, "more").await;
    assert_eq!(read(&txn).await, Some(b"more".to_vec()));
    let honest = txn.current_timestamp().await.unwrap();
    assert!(txn.gc(honest).await.unwrap(), "a safe point of the oracle's");
    assert_eq!(read(&txn).await, Some(b"more".to_vec()));
    write(&txn, "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_safe_points_are_refused_by_a_cluster() {
    absurd_safe_points_are_refused(&Server::cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_safe_points_are_refused_by_one_store() {
    absurd_safe_points_are_refused(&Server::playground(None)).await;
}

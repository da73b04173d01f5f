//! What the benches of whole clusters share: etcd as processes, one client for both rivals, turns, and the disk's own speed.

use std::fs::File;
use std::future::Future;
use std::io::{Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::group::addresses;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// How long one turn measures, after how long a warm-up.
pub const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(700);

const CONNECTIONS: usize = 8;
const KEYS: u64 = 100_000;
pub const VALUE: usize = 128;

/// What is needed of etcd's API, by hand: it would take a compiler of its own to build its client.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct PutRequest {
        #[prost(bytes = "vec", tag = "1")]
        pub key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Nothing {}

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Header {
        #[prost(uint64, tag = "2")]
        pub member_id: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Status {
        #[prost(message, optional, tag = "1")]
        pub header: Option<Header>,
        #[prost(uint64, tag = "4")]
        pub leader: u64,
    }
}

/// Whoever can put.
pub trait Puts: Clone + Send + 'static {
    /// The n-th put; true if it is done.
    fn nth(&mut self, n: u64) -> impl Future<Output = bool> + Send;
}

/// A connection to one member of a group.
pub trait Door: Puts {
    /// Whether whoever is behind it leads.
    fn leads(&mut self) -> impl Future<Output = bool> + Send;
}

/// The n-th key and value, for all rivals alike.
pub fn pair(n: u64) -> (Vec<u8>, Vec<u8>) {
    let n = n.wrapping_mul(61_803) % KEYS;
    (format!("key{n:012}").into_bytes(), vec![b'v'; VALUE])
}

/// A connection to a member of etcd.
#[derive(Clone)]
pub struct EtcdDoor(tonic::client::Grpc<Channel>);

impl EtcdDoor {
    /// Over this channel.
    pub fn new(channel: Channel) -> Self {
        EtcdDoor(tonic::client::Grpc::new(channel))
    }

    /// One call; nothing if it fails.
    pub async fn call<Q, A>(&mut self, ask: Q, path: &'static str) -> Option<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.0.ready().await.ok()?;
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let answer = self.0.unary(tonic::Request::new(ask), path, codec).await.ok()?;
        Some(answer.into_inner())
    }
}

impl Puts for EtcdDoor {
    async fn nth(&mut self, n: u64) -> bool {
        let (key, value) = pair(n);
        let put = wire::PutRequest { key, value };
        self.call::<_, wire::Nothing>(put, "/etcdserverpb.KV/Put").await.is_some()
    }
}

impl Door for EtcdDoor {
    async fn leads(&mut self) -> bool {
        let path = "/etcdserverpb.Maintenance/Status";
        let status: Option<wire::Status> = self.call(wire::Nothing {}, path).await;
        status.is_some_and(|status| {
            status.leader != 0
                && status.header.is_some_and(|header| header.member_id == status.leader)
        })
    }
}

/// Three processes of etcd.
pub struct Etcd {
    members: Vec<Child>,
    pub addresses: Vec<String>,
    _dir: TempDir,
}

impl Etcd {
    /// `None`: it is not installed.
    pub fn start() -> Option<Etcd> {
        let dir = TempDir::new().expect("there is room for a few small disks");
        let (clients, peers) = (addresses(3, 2379), addresses(3, 2380));
        let named = |n: usize| format!("n{n}=http://{}", peers[n]);
        let group = (0..3).map(named).collect::<Vec<_>>().join(",");
        let members = (0..3).map(|n| {
            let (client, peer) = (format!("http://{}", clients[n]), format!("http://{}", peers[n]));
            Command::new("etcd")
                .args(["--name", &format!("n{n}"), "--initial-cluster", &group])
                .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .args(["--log-level", "error", "--quota-backend-bytes", "8589934592", "--data-dir"])
                .arg(dir.path().join(n.to_string()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        });
        let members = members.collect::<Result<Vec<_>, _>>().ok()?;
        Some(Etcd { members, addresses: clients, _dir: dir })
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// Connections to whoever leads.
pub async fn doors<D: Door>(addresses: &[String], door: impl Fn(Channel) -> D) -> Vec<D> {
    let connect = |address: &str| Endpoint::from_shared(format!("http://{address}")).unwrap();
    for _ in 0..200 {
        for address in addresses {
            let Ok(channel) = connect(address).connect().await else { continue };
            if door(channel).leads().await {
                let mut doors = Vec::new();
                for _ in 0..CONNECTIONS {
                    doors.push(door(connect(address).connect().await.expect("it just answered")));
                }
                return doors;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{addresses:?} found no leader in twenty seconds");
}

/// What was measured of one rival at one number of clients.
#[derive(Default)]
pub struct Point {
    pub micros: Vec<u64>,
    pub took: Duration,
}

impl Point {
    pub fn rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let calls = self.micros.len() as f64;
        calls / self.took.as_secs_f64()
    }

    pub fn quantile(&self, of_hundred: usize) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1));
        #[allow(clippy::cast_precision_loss)]
        let micros = sorted.get(at).copied().unwrap_or(0) as f64;
        micros / 1000.0
    }
}

/// One turn.
pub async fn turn<P: Puts>(doors: &[P], clients: usize, point: &mut Point) {
    let (counting, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let keys = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let mut door = doors[client % doors.len()].clone();
        let (counting, stop, keys) = (counting.clone(), stop.clone(), keys.clone());
        tasks.spawn(async move {
            let mut micros = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let n = keys.fetch_add(1, Ordering::Relaxed);
                let began = Instant::now();
                let done = door.nth(n).await;
                if done && counting.load(Ordering::Relaxed) {
                    micros.push(u64::try_from(began.elapsed().as_micros()).unwrap());
                }
            }
            micros
        });
    }
    tokio::time::sleep(WARM_UP).await;
    counting.store(true, Ordering::Relaxed);
    let began = Instant::now();
    tokio::time::sleep(TURN).await;
    point.took += began.elapsed();
    counting.store(false, Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    point.micros.extend(tasks.join_all().await.into_iter().flatten());
}

/// What a write of 512 bytes and its fdatasync cost now, in microseconds.
pub fn fdatasync(dir: &TempDir) -> Vec<u64> {
    let mut file = File::create(dir.path().join("synced")).expect("there is room");
    file.write_all(&vec![0; 1 << 20]).and_then(|()| file.sync_all()).expect("there is room");
    file.rewind().expect("it is a file");
    let sync = |_| {
        let began = Instant::now();
        file.write_all(&[7; 512]).and_then(|()| file.sync_data()).expect("the disk works");
        u64::try_from(began.elapsed().as_micros()).unwrap()
    };
    (0..200).map(sync).collect()
}

/// A list from the environment.
pub fn wanted(name: &str, default: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_else(|_| default.into());
    text.split(',').map(str::to_owned).collect()
}

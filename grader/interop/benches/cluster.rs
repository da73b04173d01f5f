//! Durable puts into three processes, beside etcd and beside the disk: `cargo bench -p interop --bench cluster`.
//!
//! Three `raftkv` and three `etcd` processes (Debian's package `etcd-server`) on loopback, on the same disk, both with an
//! fsync on a majority before an answer. The same client for both: tonic, each client one call after the other, all of
//! them to the leader, over at most eight connections. The two are measured in turns of a second or two, since a machine's
//! mood changes, and what counts is the ratio. Between the turns a bare loop says what one `fdatasync` costs at that
//! moment.
//!
//! `CLUSTER_ROUNDS` turns each (3), `CLUSTER_CLIENTS` at a time ("1,16,64,256"), `CLUSTER_RIVALS` ("ours,etcd").

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::group::{Group, addresses};
use proto::kvrpcpb::RawPutRequest;
use proto::tikvpb::tikv_client::TikvClient;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// How long one turn measures, after how long a warm-up.
const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(700);

const CONNECTIONS: usize = 8;
const KEYS: u64 = 100_000;
const VALUE: usize = 128;

/// What is needed of etcd's API, by hand: it would take a compiler of its own to build its client.
mod etcd {
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

/// A connection to one of the two.
#[derive(Clone)]
enum Door {
    Ours(TikvClient<Channel>),
    Etcd(tonic::client::Grpc<Channel>),
}

impl Door {
    /// Puts; true if it is done.
    async fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> bool {
        match self {
            Door::Ours(client) => {
                let put =
                    RawPutRequest { key: key.into(), value: value.into(), ..Default::default() };
                let answer = client.raw_put(put).await.map(tonic::Response::into_inner);
                answer.is_ok_and(|said| said.region_error.is_none() && said.error.is_empty())
            }
            Door::Etcd(client) => {
                let put = etcd::PutRequest { key, value };
                call::<_, etcd::Nothing>(client, put, "/etcdserverpb.KV/Put").await.is_some()
            }
        }
    }

    /// Whether whoever is behind it leads.
    async fn leads(&mut self) -> bool {
        match self {
            Door::Ours(_) => self.put(b"who leads".to_vec(), Vec::new()).await,
            Door::Etcd(client) => {
                let path = "/etcdserverpb.Maintenance/Status";
                let status: Option<etcd::Status> = call(client, etcd::Nothing {}, path).await;
                status.is_some_and(|status| {
                    status.leader != 0
                        && status.header.is_some_and(|header| header.member_id == status.leader)
                })
            }
        }
    }
}

async fn call<Q, A>(
    client: &mut tonic::client::Grpc<Channel>,
    ask: Q,
    path: &'static str,
) -> Option<A>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    client.ready().await.ok()?;
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    let answer = client.unary(tonic::Request::new(ask), path, codec).await.ok()?;
    Some(answer.into_inner())
}

/// Three processes of etcd.
struct Etcd {
    members: Vec<Child>,
    addresses: Vec<String>,
    _dir: TempDir,
}

impl Etcd {
    fn start() -> Option<Etcd> {
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
async fn doors(addresses: &[String], door: impl Fn(Channel) -> Door) -> Vec<Door> {
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
struct Point {
    micros: Vec<u64>,
    took: Duration,
}

impl Point {
    fn rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let calls = self.micros.len() as f64;
        calls / self.took.as_secs_f64()
    }

    fn quantile(&self, of_hundred: usize) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1));
        #[allow(clippy::cast_precision_loss)]
        let micros = sorted.get(at).copied().unwrap_or(0) as f64;
        micros / 1000.0
    }
}

/// One turn.
async fn turn(doors: &[Door], clients: usize, point: &mut Point) {
    let (counting, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let keys = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let mut door = doors[client % doors.len()].clone();
        let (counting, stop, keys) = (counting.clone(), stop.clone(), keys.clone());
        tasks.spawn(async move {
            let mut micros = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let n = keys.fetch_add(1, Ordering::Relaxed).wrapping_mul(61_803) % KEYS;
                let began = Instant::now();
                let done = door.put(format!("key{n:012}").into_bytes(), vec![b'v'; VALUE]).await;
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
fn fdatasync(dir: &TempDir) -> Vec<u64> {
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

fn wanted(name: &str, default: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_else(|_| default.into());
    text.split(',').map(str::to_owned).collect()
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this too, and wants to know only whether it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let rivals = wanted("CLUSTER_RIVALS", "ours,etcd");
    let rounds: usize = wanted("CLUSTER_ROUNDS", "3")[0].parse().expect("a number");
    let clients = wanted("CLUSTER_CLIENTS", "1,16,64,256");
    let clients: Vec<usize> = clients.iter().map(|n| n.parse().expect("a number")).collect();

    let disk = TempDir::new().expect("there is room for a file");
    let has = |name: &str| rivals.iter().any(|rival| rival == name);
    let ours = has("ours").then(|| Group::start(3, &["--log", "warn"]));
    let etcd = has("etcd").then(Etcd::start).flatten();
    let mut both = Vec::new();
    if let Some(ours) = &ours {
        let door = |channel| Door::Ours(TikvClient::new(channel));
        both.push(("raftkv", doors(ours.addresses(), door).await));
    }
    match &etcd {
        Some(etcd) => {
            let door = |channel| Door::Etcd(tonic::client::Grpc::new(channel));
            both.push(("etcd", doors(&etcd.addresses, door).await));
        }
        None => println!("without etcd: `apt-get install etcd-server` to measure beside it"),
    }

    println!("{VALUE}-byte values, {rounds} turns of {TURN:?} each; times in ms");
    println!("clients  who       puts/s     p50     p99    ratio   one fdatasync: p50   p99");
    for clients in clients {
        let mut points: Vec<Point> = both.iter().map(|_| Point::default()).collect();
        let mut syncs = Point::default();
        for _ in 0..rounds {
            for ((_, doors), point) in both.iter().zip(&mut points) {
                syncs.micros.extend(fdatasync(&disk));
                turn(doors, clients, point).await;
            }
        }
        let base = points.last().map_or(0.0, Point::rate);
        for ((who, _), point) in both.iter().zip(&points) {
            let (rate, p50, p99) = (point.rate(), point.quantile(50), point.quantile(99));
            let ratio = rate / base;
            let (s50, s99) = (syncs.quantile(50), syncs.quantile(99));
            println!(
                "{clients:>7}  {who:<8} {rate:>7.0} {p50:>7.2} {p99:>7.2} {ratio:>8.2} {s50:>21.2} {s99:>6.2}"
            );
        }
    }
}

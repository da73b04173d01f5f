//! Durable puts into three processes, beside etcd and beside the disk: `cargo bench -p interop --bench cluster`.
//!
//! Three `raftkv` and three `etcd` processes (Debian's package `etcd-server`) on loopback, on the same disk, both with an
//! fsync on a majority before an answer. The same client for both: tonic, each client one call after the other, all of
//! them to the leader, over at most eight connections. The two are measured in turns of a second or two, since a machine's
//! mood changes, and what counts is the ratio. Between the turns a bare loop says what one `fdatasync` costs at that
//! moment.
//!
//! `CLUSTER_ROUNDS` turns each (3), `CLUSTER_CLIENTS` at a time ("1,16,64,256"), `CLUSTER_RIVALS` ("ours,etcd").

mod rivals;

use interop::group::Group;
use proto::kvrpcpb::RawPutRequest;
use proto::tikvpb::tikv_client::TikvClient;
use tempfile::TempDir;
use tonic::transport::Channel;

use rivals::{
    Door, Etcd, EtcdDoor, Point, Puts, TURN, VALUE, doors, fdatasync, pair, turn, wanted,
};

/// A connection to a member of ours.
#[derive(Clone)]
struct OurDoor(TikvClient<Channel>);

impl Puts for OurDoor {
    async fn nth(&mut self, n: u64) -> bool {
        let (key, value) = pair(n);
        let put = RawPutRequest { key: key.into(), value: value.into(), ..Default::default() };
        let answer = self.0.raw_put(put).await.map(tonic::Response::into_inner);
        answer.is_ok_and(|said| said.region_error.is_none() && said.error.is_empty())
    }
}

impl Door for OurDoor {
    async fn leads(&mut self) -> bool {
        self.nth(0).await
    }
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
    let (mut our_doors, mut etcds_doors) = (Vec::new(), Vec::new());
    if let Some(ours) = &ours {
        let door = |channel| OurDoor(TikvClient::new(channel));
        our_doors = doors(ours.addresses(), door).await;
    }
    match &etcd {
        Some(etcd) => etcds_doors = doors(&etcd.addresses, EtcdDoor::new).await,
        None => println!("without etcd: `apt-get install etcd-server` to measure beside it"),
    }

    println!("{VALUE}-byte values, {rounds} turns of {TURN:?} each; times in ms");
    println!("clients  who       puts/s     p50     p99    ratio   one fdatasync: p50   p99");
    for clients in clients {
        let (mut ours, mut etcds, mut syncs) =
            (Point::default(), Point::default(), Point::default());
        for _ in 0..rounds {
            if !our_doors.is_empty() {
                syncs.micros.extend(fdatasync(&disk));
                turn(&our_doors, clients, &mut ours).await;
            }
            if !etcds_doors.is_empty() {
                syncs.micros.extend(fdatasync(&disk));
                turn(&etcds_doors, clients, &mut etcds).await;
            }
        }
        let base = if etcds_doors.is_empty() { ours.rate() } else { etcds.rate() };
        for (who, point) in [("raftkv", &ours), ("etcd", &etcds)] {
            if point.micros.is_empty() {
                continue;
            }
            let (rate, p50, p99) = (point.rate(), point.quantile(50), point.quantile(99));
            let ratio = rate / base;
            let (s50, s99) = (syncs.quantile(50), syncs.quantile(99));
            println!(
                "{clients:>7}  {who:<8} {rate:>7.0} {p50:>7.2} {p99:>7.2} {ratio:>8.2} {s50:>21.2} {s99:>6.2}"
            );
        }
    }
}

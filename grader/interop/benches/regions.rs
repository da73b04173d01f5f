//! Durable puts into a cluster of many regions, beside etcd; and what idle regions cost:
//! `cargo bench -p interop --bench regions`.
//!
//! A scheduler and three stores of `tinykv`, each region on all three, and three processes of etcd, as in the bench
//! `cluster`. 64 clients put into 1, 4, 16 and 64 regions in turn with etcd. Beside the rates stand the fsyncs of all
//! processes of a rival, as they count them themselves, for one put: the more regions share a log, the fewer they should
//! be. Then a store of its own is cut into so many regions, left alone until they sleep, and its memory and its work are
//! read from `/proc`.
//!
//! `REGIONS` ("1,4,16,64"; empty: no puts), `REGIONS_ROUNDS` turns each (3), `REGIONS_IDLE` ("1000"; empty: none; 10000
//! takes minutes).

mod rivals;
mod tinykv;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::kvrpcpb::{Context, RawPutRequest};
use proto::tikvpb::tikv_client::TikvClient;
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::transport::Channel;

use rivals::{Etcd, EtcdDoor, Point, Puts, TURN, VALUE, doors, fdatasync, pair, turn, wanted};
use tinykv::{Cluster, metric};

const CLIENTS: usize = 64;

/// Idle for so long, a region sleeps (10 s), and more.
const UNTIL_ASLEEP: Duration = Duration::from_secs(25);

/// How long idleness is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// The first key of a region.
fn first_key(region: usize) -> Vec<u8> {
    format!("r{region:05}").into_bytes()
}

/// A raw key of a region.
fn key_in(region: usize, key: &[u8]) -> Vec<u8> {
    [&first_key(region)[..], key].concat()
}

/// A client that knows where regions are, and asks again when it was wrong.
#[derive(Clone)]
struct Client {
    cluster: Arc<Cluster>,
    regions: usize,
    lines: BTreeMap<usize, (TikvClient<Channel>, Context)>,
}

impl Client {
    /// Knows a line to each region, so that a turn need not begin with questions.
    async fn start(cluster: &Arc<Cluster>, regions: usize) -> Client {
        let mut client = Client { cluster: cluster.clone(), regions, lines: BTreeMap::new() };
        for region in 0..regions {
            let mut looks = 0;
            while !client.look(region).await {
                looks += 1;
                assert!(looks < 300, "half a minute was not enough for region {region}'s leader");
                sleep(Duration::from_millis(100)).await;
            }
        }
        client
    }

    async fn look(&mut self, region: usize) -> bool {
        // Not of the first key: where a region begins is an encoding, and that lies behind the bare key.
        let Some(line) = self.cluster.leader(&key_in(region, b"k")).await else { return false };
        self.lines.insert(region, line);
        true
    }
}

impl Puts for Client {
    async fn nth(&mut self, n: u64) -> bool {
        let (key, value) = pair(n);
        let region = usize::try_from(n).expect("not so many puts") % self.regions;
        if !self.lines.contains_key(&region) && !self.look(region).await {
            return false;
        }
        let Some((client, context)) = self.lines.get_mut(&region) else { return false };
        let (key, value) = (key_in(region, &key).into(), value.into());
        let put =
            RawPutRequest { context: Some(context.clone()), key, value, ..Default::default() };
        let answer = client.raw_put(put).await.map(tonic::Response::into_inner);
        let done = answer.is_ok_and(|said| said.region_error.is_none() && said.error.is_empty());
        if !done {
            self.lines.remove(&region);
        }
        done
    }
}

/// Commits of the logs and of the data that were synced, all stores together.
fn our_syncs(cluster: &Cluster) -> f64 {
    cluster.metric("tikv_raftstore_append_log_duration_seconds_count")
        + cluster.metric("multiraft_kv_flush_duration_seconds_count")
}

fn etcds_syncs(etcd: &Etcd) -> f64 {
    let counted = [
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_disk_backend_commit_duration_seconds_count",
    ];
    let of_one = |address: &String| counted.iter().map(|name| metric(address, name)).sum::<f64>();
    etcd.addresses.iter().map(of_one).sum()
}

/// One turn; returns the syncs for a put, those of the warm-up's puts not counted on either side.
async fn counted<P: Puts>(clients: &[P], point: &mut Point, syncs: impl Fn() -> f64) -> f64 {
    let (before, began, already) = (syncs(), Instant::now(), point.micros.len());
    turn(clients, CLIENTS, point).await;
    #[allow(clippy::cast_precision_loss)]
    let puts = (point.micros.len() - already).max(1) as f64;
    // A turn has a warm-up, whose puts are not counted, and whose syncs are: the share of the time.
    let share = TURN.as_secs_f64() / began.elapsed().as_secs_f64();
    (syncs() - before) * share / puts
}

async fn puts(regions: &[usize], rounds: usize) {
    let disk = TempDir::new().expect("there is room for a file");
    let cluster = Arc::new(Cluster::start(3).await);
    let etcd = Etcd::start();
    let mut theirs = Vec::new();
    match &etcd {
        Some(etcd) => {
            theirs = doors(&etcd.addresses, EtcdDoor::new).await;
        }
        None => println!("without etcd: `apt-get install etcd-server` to measure beside it"),
    }
    println!(
        "{CLIENTS} clients, {VALUE}-byte values, {rounds} turns of {TURN:?} each; times in ms"
    );
    println!(
        "regions  who       puts/s     p50     p99    ratio  fsyncs/put   one fdatasync: p50   p99"
    );
    let mut cut = 1;
    for &regions in regions {
        let keys: Vec<Vec<u8>> = (cut..regions).map(first_key).collect();
        cluster.split(&keys).await;
        cut = cut.max(regions);
        // Leaders go where balance wants them.
        sleep(Duration::from_secs(2)).await;
        let client = Client::start(&cluster, regions).await;
        let clients = vec![client; CLIENTS];
        let (mut ours, mut etcds, mut disks) =
            (Point::default(), Point::default(), Point::default());
        let (mut our_cost, mut etcds_cost) = (0., 0.);
        for _ in 0..rounds {
            disks.micros.extend(fdatasync(&disk));
            our_cost += counted(&clients, &mut ours, || our_syncs(&cluster)).await;
            if let Some(etcd) = &etcd {
                disks.micros.extend(fdatasync(&disk));
                etcds_cost += counted(&theirs, &mut etcds, || etcds_syncs(etcd)).await;
            }
        }
        let (s50, s99) = (disks.quantile(50), disks.quantile(99));
        let base = if etcd.is_some() { etcds.rate() } else { ours.rate() };
        let line = |who: &str, point: &Point, cost: f64| {
            let (rate, p50, p99) = (point.rate(), point.quantile(50), point.quantile(99));
            #[allow(clippy::cast_precision_loss)]
            let (ratio, cost) = (rate / base, cost / rounds as f64);
            println!(
                "{regions:>7}  {who:<8} {rate:>7.0} {p50:>7.2} {p99:>7.2} {ratio:>8.2} {cost:>11.3} {s50:>20.2} {s99:>6.2}"
            );
        };
        line("tinykv", &ours, our_cost);
        if etcd.is_some() {
            line("etcd", &etcds, etcds_cost);
        }
    }
}

/// Resident bytes of a process, and the time that it has worked, in seconds.
fn usage(process: u32) -> Option<(u64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = kib.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok().map(f64::from);
    Some((kib << 10, (ticks(11)? + ticks(12)?) / 100.))
}

async fn idle(regions: usize) {
    let cluster = Cluster::start(1).await;
    sleep(Duration::from_secs(3)).await;
    let Some((before, _)) = usage(cluster.process(0)) else {
        println!("this system does not say what a process uses");
        return;
    };
    let began = Instant::now();
    cluster.split(&(1..=regions).map(first_key).collect::<Vec<_>>()).await;
    let cut = began.elapsed();
    sleep(UNTIL_ASLEEP).await;
    let Some((after, worked)) = usage(cluster.process(0)) else { return };
    sleep(WATCHED).await;
    let Some((_, then)) = usage(cluster.process(0)) else { return };
    #[allow(clippy::cast_precision_loss)]
    let each = after.saturating_sub(before) as f64 / regions as f64 / 1024.;
    let core = (then - worked) / WATCHED.as_secs_f64() * 100.;
    println!(
        "{regions} idle regions on one store, cut in {:.1} s: {:.0} KiB each ({} MiB before, {} MiB after), {core:.1}% of a core; asleep: {}",
        cut.as_secs_f64(),
        each,
        before >> 20,
        after >> 20,
        cluster.metric("tikv_raftstore_hibernated_peer_state{state=\"hibernated\"}"),
    );
}

fn numbers(name: &str, default: &str) -> Vec<usize> {
    let texts = wanted(name, default);
    texts.iter().filter(|n| !n.is_empty()).map(|n| n.parse().expect("a number")).collect()
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this too, and wants to know only whether it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let regions = numbers("REGIONS", "1,4,16,64");
    if !regions.is_empty() {
        puts(&regions, numbers("REGIONS_ROUNDS", "3")[0]).await;
    }
    for regions in numbers("REGIONS_IDLE", "1000") {
        idle(regions).await;
    }
}

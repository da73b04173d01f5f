//! A bank beside etcd, and one store beside bare redb: `cargo bench -p interop --bench txn`.
//!
//! *The bank* has a thousand accounts. Nine of ten operations move money between two of them, and one reads all in one
//! snapshot; a sum that is not what it was ends the run. Ours is `tinykv bench bank` against a scheduler and three stores:
//! a timestamp, a read of both accounts, locks in one round, another timestamp, the commit of the primary, and that of the
//! other key behind the user's back; with `--one-pc` the store commits at once. The rival is three processes of etcd: a transaction reads both accounts, another one compares their
//! revisions and writes, so that it is one write of its log where ours are three (with 1PC, one). On either side an answer means an fsync on
//! a majority, and a transfer that somebody has overtaken begins again, within its own time.
//!
//! *One store* is `tinykv bench raw-a` (half reads, half updates of 100 bytes, 10,000 records) against one process with one
//! disk, over loopback. The rival is redb in this process, without a network: as many threads as there are clients, an
//! update a durable commit. It has one writer, and so has the store, which puts those that wait into one commit.
//!
//! The two of a table are measured in turns, and what stands there are the medians of the turns. `TXN_ROUNDS` turns each
//! (3), of `TXN_SECONDS` (4), `TXN_CLIENTS` at a time ("1,16,64"), `TXN_TABLES` ("bank,raw").

#[allow(dead_code)] // the other benches need more of it
mod rivals;
#[allow(dead_code)] // as above
mod tinykv;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::binary;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use rivals::{Etcd, EtcdDoor, Point, doors, fdatasync, wanted};
use tinykv::Cluster;

const ACCOUNTS: u64 = 1_000;
const BALANCE: i64 = 100;
const RECORDS: u64 = 10_000;
const VALUE: usize = 100;
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// What of etcd's API a transaction takes, by hand: see `rivals`.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Range {
        #[prost(bytes = "vec", tag = "1")]
        pub key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub range_end: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct KeyValue {
        #[prost(int64, tag = "3")]
        pub mod_revision: i64,
        #[prost(bytes = "vec", tag = "5")]
        pub value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Ranged {
        #[prost(message, repeated, tag = "2")]
        pub kvs: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Put {
        #[prost(bytes = "vec", tag = "1")]
        pub key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub value: Vec<u8>,
    }

    /// One of the two.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Op {
        #[prost(message, optional, tag = "1")]
        pub range: Option<Range>,
        #[prost(message, optional, tag = "2")]
        pub put: Option<Put>,
    }

    /// With `target` 2, the revision at which a key was last changed is this (`result` 0: equal).
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Compare {
        #[prost(int32, tag = "2")]
        pub target: i32,
        #[prost(bytes = "vec", tag = "3")]
        pub key: Vec<u8>,
        #[prost(int64, optional, tag = "6")]
        pub mod_revision: Option<i64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Txn {
        #[prost(message, repeated, tag = "1")]
        pub compare: Vec<Compare>,
        #[prost(message, repeated, tag = "2")]
        pub success: Vec<Op>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct OpDone {
        #[prost(message, optional, tag = "1")]
        pub range: Option<Ranged>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TxnDone {
        #[prost(bool, tag = "2")]
        pub succeeded: bool,
        #[prost(message, repeated, tag = "3")]
        pub responses: Vec<OpDone>,
    }
}

/// What one turn measured.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    per_second: f64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    /// Transactions that began again, a second.
    conflicts: f64,
}

impl Turn {
    /// Of a JSON of `tinykv bench`.
    fn of(outcome: &Value, operation: &str) -> Turn {
        let times = match operation {
            "all" => &outcome["all"],
            _ => &outcome["operations"][operation],
        };
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{outcome}"));
        Turn {
            per_second: number(&times["per_second"]),
            p50: number(&times["p50_us"]) / 1_000.,
            p99: number(&times["p99_us"]) / 1_000.,
            conflicts: number(&outcome["conflicts"]) / number(&outcome["seconds"]),
        }
    }

    /// Of times in microseconds.
    fn measured(micros: Vec<u64>, took: Duration, conflicts: u64) -> Turn {
        let point = Point { micros, took };
        #[allow(clippy::cast_precision_loss)]
        let conflicts = conflicts as f64 / took.as_secs_f64();
        let (p50, p99) = (point.quantile(50), point.quantile(99));
        Turn { per_second: point.rate(), p50, p99, conflicts }
    }

    fn median(turns: &[Turn]) -> Turn {
        let median = |of: fn(&Turn) -> f64| {
            let mut values: Vec<f64> = turns.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Turn {
            per_second: median(|turn| turn.per_second),
            p50: median(|turn| turn.p50),
            p99: median(|turn| turn.p99),
            conflicts: median(|turn| turn.conflicts),
        }
    }
}

/// Chance: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// `tinykv bench`: what it says in JSON.
fn bench(pd: &str, workload: &str, clients: usize, seconds: u64, more: &[&str]) -> Value {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let mut command = Command::new(binary::build_of("txn", "tinykv"));
    command.args(["bench", workload, "--pd", pd, "--clients", &clients, "--seconds", &seconds]);
    let output = command.args(more).arg("--json").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tinykv bench {workload} {more:?}: {said}");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    if outcome["failed"] != 0 {
        let (failed, first) = (&outcome["failed"], &outcome["first_error"]);
        println!("{workload} with {clients} clients: {failed} failed, the first: {first}");
    }
    outcome
}

/// The bank on etcd's transactions.
#[derive(Clone)]
struct EtcdBank(EtcdDoor);

impl EtcdBank {
    async fn txn(&mut self, txn: wire::Txn) -> wire::TxnDone {
        let done = self.0.call(txn, "/etcdserverpb.KV/Txn").await;
        done.expect("etcd answers: without that there is nothing to measure")
    }

    async fn open(&mut self) {
        let accounts: Vec<u64> = (0..ACCOUNTS).collect();
        for accounts in accounts.chunks(100) {
            let success = accounts.iter().map(|n| put(*n, BALANCE)).collect();
            self.txn(wire::Txn { success, ..Default::default() }).await;
        }
    }

    /// Moves money, and returns how often somebody was faster.
    async fn transfer(&mut self, from: u64, to: u64, amount: i64) -> u64 {
        for overtaken in 0.. {
            let success = [from, to].map(|n| get(account(n), Vec::new())).to_vec();
            let read = self.txn(wire::Txn { success, ..Default::default() }).await;
            let held: Vec<wire::KeyValue> = read.responses.into_iter().flat_map(pairs).collect();
            let (poorer, richer) = (number(&held[0].value), number(&held[1].value));
            let amount = amount.min(poorer);
            let compare = [from, to].into_iter().zip(&held).map(|(n, held)| wire::Compare {
                target: 2,
                key: account(n),
                mod_revision: Some(held.mod_revision),
            });
            let compare = compare.collect();
            let success = vec![put(from, poorer - amount), put(to, richer + amount)];
            if self.txn(wire::Txn { compare, success }).await.succeeded {
                return overtaken;
            }
        }
        unreachable!("it begins again until it is done")
    }

    async fn sum(&mut self) {
        let success = vec![get(b"bank/".to_vec(), b"bank0".to_vec())];
        let read = self.txn(wire::Txn { success, ..Default::default() }).await;
        let held: Vec<wire::KeyValue> = read.responses.into_iter().flat_map(pairs).collect();
        let sum: i64 = held.iter().map(|held| number(&held.value)).sum();
        let (accounts, expected) = (held.len() as u64, ACCOUNTS.cast_signed() * BALANCE);
        assert_eq!((accounts, sum), (ACCOUNTS, expected), "etcd's bank is wrong");
    }
}

fn account(n: u64) -> Vec<u8> {
    format!("bank/{n:010}").into_bytes()
}

fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).expect("a balance")
}

fn get(key: Vec<u8>, range_end: Vec<u8>) -> wire::Op {
    wire::Op { range: Some(wire::Range { key, range_end }), put: None }
}

fn put(n: u64, balance: i64) -> wire::Op {
    let put = wire::Put { key: account(n), value: balance.to_string().into_bytes() };
    wire::Op { put: Some(put), range: None }
}

fn pairs(done: wire::OpDone) -> Vec<wire::KeyValue> {
    done.range.map(|range| range.kvs).unwrap_or_default()
}

/// One turn of etcd's bank: the times of its transfers.
async fn etcd_turn(doors: &[EtcdDoor], clients: usize, seconds: u64, seed: u64) -> Turn {
    let stop = Arc::new(AtomicBool::new(false));
    let conflicts = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let mut bank = EtcdBank(doors[client % doors.len()].clone());
        let (stop, conflicts) = (stop.clone(), conflicts.clone());
        let mut dice = Dice(seed << 32 | client as u64);
        tasks.spawn(async move {
            let mut micros = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                if dice.below(100) < 10 {
                    bank.sum().await;
                    continue;
                }
                let from = dice.below(ACCOUNTS);
                let to = (from + 1 + dice.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = 1 + dice.below(10).cast_signed();
                let began = Instant::now();
                let overtaken = bank.transfer(from, to, amount).await;
                conflicts.fetch_add(overtaken, Ordering::Relaxed);
                micros.push(u64::try_from(began.elapsed().as_micros()).expect("not so long"));
            }
            micros
        });
    }
    sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let micros = tasks.join_all().await.into_iter().flatten().collect();
    Turn::measured(micros, began.elapsed(), conflicts.load(Ordering::Relaxed))
}

/// One process with one disk.
struct Solo {
    process: Child,
    pd: String,
    _dir: TempDir,
}

impl Solo {
    fn start() -> Solo {
        let dir = TempDir::new().expect("there is room for a small disk");
        let any = "127.0.0.1:0";
        let mut process = Command::new(binary::build_of("txn", "tinykv"))
            .args(["playground", "--stores", "1", "--log", "error"])
            .args(["--addr", any, "--pd-addr", any, "--data"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut banner = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
        let pd = banner.split_whitespace().find_map(|word| word.strip_prefix("pd-addr="));
        let pd = pd.expect("it is ready, or says why not").to_owned();
        Solo { process, pd, _dir: dir }
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// redb, with nothing around it.
struct Bare {
    database: Database,
    _dir: TempDir,
}

impl Bare {
    fn new() -> Bare {
        let dir = TempDir::new().expect("there is room for a small disk");
        let database = Database::builder().set_cache_size(64 << 20).create(dir.path().join("redb"));
        let bare = Bare { database: database.expect("a new file"), _dir: dir };
        bare.write((0..RECORDS).map(|n| (record(n), vec![b'v'; VALUE])));
        bare
    }

    fn write(&self, pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_durability(Durability::Immediate).unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for (key, value) in pairs {
                table.insert(&key[..], &value[..]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    fn read(&self, key: &[u8]) -> usize {
        let transaction = self.database.begin_read().unwrap();
        let table = transaction.open_table(TABLE).unwrap();
        table.get(key).unwrap().expect("it was written").value().len()
    }

    fn turn(&self, threads: usize, seconds: u64, seed: u64) -> [Turn; 2] {
        let end = Instant::now() + Duration::from_secs(seconds);
        let began = Instant::now();
        let work = |thread: usize| {
            let mut dice = Dice(seed << 32 | thread as u64);
            let mut micros = [Vec::new(), Vec::new()];
            while Instant::now() < end {
                let (update, key) = (dice.below(2), record(dice.below(RECORDS)));
                let began = Instant::now();
                if update == 1 {
                    self.write([(key, vec![b'w'; VALUE])].into_iter());
                } else {
                    assert_eq!(self.read(&key), VALUE);
                }
                let took = u64::try_from(began.elapsed().as_micros()).expect("not so long");
                micros[usize::from(update == 1)].push(took);
            }
            micros
        };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|n| scope.spawn(move || work(n))).collect();
            threads.into_iter().map(|thread| thread.join().expect("redb works")).collect::<Vec<_>>()
        });
        let took = began.elapsed();
        let of = |kind: usize| {
            let micros = all.iter().flat_map(|micros| micros[kind].iter().copied()).collect();
            Turn::measured(micros, took, 0)
        };
        [of(0), of(1)]
    }
}

/// The key of a record, as long as those of `tinykv bench`.
fn record(n: u64) -> Vec<u8> {
    format!("user{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

/// How much, how long.
struct Plan {
    rounds: u64,
    seconds: u64,
    clients: Vec<usize>,
}

impl Plan {
    fn says(&self) -> String {
        format!("medians of {} turns of {} s; times in ms", self.rounds, self.seconds)
    }
}

fn print(clients: usize, rows: &[(&str, Vec<Turn>)], base: &str, syncs: Vec<u64>) {
    let rate = |turns: &[Turn]| Turn::median(turns).per_second;
    let base = rows.iter().find(|(who, _)| *who == base).map(|(_, turns)| rate(turns));
    let disk = Point { micros: syncs, took: Duration::from_secs(1) };
    for (who, turns) in rows {
        let Turn { per_second, p50, p99, conflicts } = Turn::median(turns);
        let ratio = base.map_or_else(|| "-".into(), |base| format!("{:.2}", per_second / base));
        println!(
            "{clients:>7}  {who:<14} {per_second:>8.0} {p50:>8.3} {p99:>8.3} {ratio:>7} {conflicts:>12.1} {:>20.2} {:>6.2}",
            disk.quantile(50),
            disk.quantile(99)
        );
    }
}

const HEAD: &str = "clients  who               per s      p50      p99   ratio  conflicts/s   one fdatasync: p50    p99";

async fn bank(plan: &Plan, disk: &TempDir) {
    let cluster = Cluster::start(3).await;
    let etcd = Etcd::start();
    let mut theirs = Vec::new();
    match &etcd {
        Some(etcd) => {
            theirs = doors(&etcd.addresses, EtcdDoor::new).await;
            EtcdBank(theirs[0].clone()).open().await;
        }
        None => println!("without etcd: `apt-get install etcd-server` to measure beside it"),
    }
    // Opens the accounts.
    bench(cluster.pd_addr(), "bank", 1, 1, &[]);
    println!("\na bank of {ACCOUNTS} accounts on three stores: transfers; {}", plan.says());
    println!("{HEAD}");
    for &clients in &plan.clients {
        let mut rows = vec![("tinykv", vec![]), ("tinykv --one-pc", vec![]), ("etcd", vec![])];
        let mut syncs = Vec::new();
        for round in 0..plan.rounds {
            let seed = round.to_string();
            for (row, more) in [(0, &[][..]), (1, &["--one-pc"])] {
                syncs.extend(fdatasync(disk));
                let flags = [&["--skip-load", "--seed", &seed], more].concat();
                let outcome = bench(cluster.pd_addr(), "bank", clients, plan.seconds, &flags);
                rows[row].1.push(Turn::of(&outcome, "transfer"));
            }
            if etcd.is_some() {
                syncs.extend(fdatasync(disk));
                rows[2].1.push(etcd_turn(&theirs, clients, plan.seconds, round).await);
            }
        }
        rows.retain(|(_, turns)| !turns.is_empty());
        print(clients, &rows, "etcd", syncs);
    }
}

fn raw(plan: &Plan, disk: &TempDir) {
    let (solo, bare) = (Solo::start(), Bare::new());
    // Writes the records.
    bench(&solo.pd, "raw-a", 1, 1, &[]);
    println!("\n{RECORDS} records on one store, half reads, half updates; {}", plan.says());
    println!("{HEAD}");
    for &clients in &plan.clients {
        let names = [["tinykv reads", "redb reads"], ["tinykv updates", "redb updates"]];
        let mut turns: [[Vec<Turn>; 2]; 2] = Default::default();
        let mut syncs = Vec::new();
        for round in 0..plan.rounds {
            syncs.extend(fdatasync(disk));
            let seed = round.to_string();
            let flags = ["--skip-load", "--seed", &seed];
            let outcome = bench(&solo.pd, "raw-a", clients, plan.seconds, &flags);
            turns[0][0].push(Turn::of(&outcome, "read"));
            turns[1][0].push(Turn::of(&outcome, "update"));
            syncs.extend(fdatasync(disk));
            let [reads, updates] = bare.turn(clients, plan.seconds, round);
            turns[0][1].push(reads);
            turns[1][1].push(updates);
        }
        for (names, turns) in names.into_iter().zip(turns) {
            let rows: Vec<_> = names.into_iter().zip(turns).collect();
            print(clients, &rows, names[1], syncs.clone());
        }
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this too, and wants to know only whether it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let numbers = |name: &str, default: &str| -> Vec<u64> {
        wanted(name, default).iter().map(|n| n.parse().expect("a number")).collect()
    };
    let clients = numbers("TXN_CLIENTS", "1,16,64").into_iter();
    let plan = Plan {
        rounds: numbers("TXN_ROUNDS", "3")[0],
        seconds: numbers("TXN_SECONDS", "4")[0].max(1),
        clients: clients.map(|n| usize::try_from(n).expect("a few")).collect(),
    };
    let disk = TempDir::new().expect("there is room for a file");
    for table in wanted("TXN_TABLES", "bank,raw") {
        match table.as_str() {
            "bank" => bank(&plan, &disk).await,
            "raw" => raw(&plan, &disk),
            other => panic!("TXN_TABLES: `{other}` is neither bank nor raw"),
        }
    }
}

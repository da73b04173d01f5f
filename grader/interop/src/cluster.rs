//! A cluster of many regions: a scheduler and some stores, each a process of its own.
//!
//! Addresses are as [`group`](crate::group) explains; the scheduler has the first one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::group::addresses;
use crate::{binary, picture};

const STATUS_PORT: u16 = 2381;

/// One of the processes: how it is started, and whether it runs.
struct Process {
    binary: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    /// The line with which its present life began.
    banner: String,
}

impl Process {
    fn start(&mut self) {
        self.start_with("");
    }

    /// With these failpoints, if the binary has any.
    fn start_with(&mut self, failpoints: &str) {
        let log = File::options().create(true).append(true).open(&self.log);
        let mut child = Command::new(&self.binary)
            .args(&self.args)
            .env("NO_COLOR", "1")
            .env("FAILPOINTS", failpoints)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("there is room for a log"))
            .spawn()
            .expect("it starts");
        let mut banner = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
        self.child = Some(child);
        assert!(banner.starts_with("ready "), "it has ended instead: {}", self.said());
        self.banner = banner;
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it is our child");
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// What the scheduler knows of a store.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Its id.
    pub id: u64,
    /// Where it is.
    pub address: String,
    /// Peers on it.
    pub regions: u64,
    /// How many of them lead.
    pub leaders: u64,
    /// How many of them are far behind.
    pub pending: u64,
}

/// What the scheduler knows, all in all.
#[derive(Debug, Clone)]
pub struct Status {
    /// How many regions there are, the tail included; 0 before it is split off.
    pub regions: u64,
    /// Operators under way.
    pub operators: u64,
    /// All stores, in the order of their ids.
    pub stores: Vec<Shelf>,
}

impl Status {
    /// Whether there are regions, each of them is on each of so many stores, and nothing is under way: then any one of three
    /// stores may die. (A peer that is on its way, or has no vote yet, is counted as one, and helps nobody.)
    pub fn is_whole(&self, stores: usize) -> bool {
        let settled = |store: &Shelf| store.regions == self.regions && store.pending == 0;
        self.regions > 0
            && self.operators == 0
            && self.stores.len() == stores
            && self.stores.iter().all(settled)
    }

    fn of(page: &Value) -> Option<Status> {
        let stores = page["stores"].as_array()?.iter().map(|store| {
            Some(Shelf {
                id: store["id"].as_u64()?,
                address: store["address"].as_str()?.to_owned(),
                regions: store["regions"].as_u64()?,
                leaders: store["leaders"].as_u64()?,
                pending: store["pending"].as_u64()?,
            })
        });
        let split_off = page["tail_split_off"].as_bool()?;
        Some(Status {
            regions: if split_off { page["regions"].as_u64()? } else { 0 },
            operators: page["operators"].as_array()?.len() as u64,
            stores: stores.collect::<Option<Vec<_>>>()?,
        })
    }
}

/// A scheduler, some stores, and their disks.
pub struct Cluster {
    scheduler: Process,
    stores: Vec<Process>,
    addresses: Vec<String>,
    flags: Vec<String>,
    /// What runs as a store.
    store: PathBuf,
    dir: TempDir,
}

impl Cluster {
    /// Starts a scheduler and `size` stores on new disks, the scheduler with this configuration (TOML), the stores with
    /// these flags. Together with those that are added later there may be six stores.
    pub fn start(size: usize, schedule: &str, flags: &[&str]) -> Cluster {
        let store = binary::build_of("multiraft", "multiraft-store");
        Cluster::of(store, size, schedule, flags)
    }

    /// The same with stores that have failpoints; see [`Cluster::arm`].
    pub fn with_failpoints(size: usize, schedule: &str, flags: &[&str]) -> Cluster {
        let name = "multiraft-store-failpoints";
        let store = binary::build_with("multiraft", name, &["failpoints"]);
        Cluster::of(store, size, schedule, flags)
    }

    fn of(store: PathBuf, size: usize, schedule: &str, flags: &[&str]) -> Cluster {
        let dir = TempDir::new().expect("there is room for a few small disks");
        let addresses: Vec<String> = addresses(7, 20160);
        let config = dir.path().join("scheduler.toml");
        fs::write(&config, schedule).expect("there is room for a page of text");
        let (data, pages) = (dir.path().join("scheduler"), pages(&addresses[0]));
        let args = ["--config", text(&config), "--data", text(&data)];
        let args = [&args[..], &["--addr", &addresses[0], "--status-addr", &pages]].concat();
        let scheduler = Process {
            binary: binary::build_of("multiraft", "multiraft-scheduler"),
            args: args.into_iter().map(str::to_owned).collect(),
            log: dir.path().join("scheduler.log"),
            child: None,
            banner: String::new(),
        };
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut cluster = Cluster { scheduler, stores: Vec::new(), addresses, flags, store, dir };
        cluster.revive_scheduler();
        for _ in 0..size {
            cluster.add();
        }
        cluster
    }

    /// Where clients find it: the scheduler.
    pub fn pd(&self) -> &[String] {
        &self.addresses[..1]
    }

    /// Where a store is.
    pub fn address(&self, store: usize) -> &str {
        &self.addresses[1 + store]
    }

    /// Starts one more store, on a new disk.
    pub fn add(&mut self) {
        let number = self.stores.len();
        let data = self.dir.path().join(format!("store-{number}"));
        let args = ["--scheduler", &self.pd()[0], "--addr", self.address(number), "--data"];
        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        args.push(text(&data).to_owned());
        args.extend(self.flags.iter().cloned());
        let log = self.dir.path().join(format!("store-{number}.log"));
        let binary = self.store.clone();
        self.stores.push(Process { binary, args, log, child: None, banner: String::new() });
        self.revive(number);
    }

    /// kill -9: no handler runs, nothing is flushed.
    pub fn kill(&mut self, store: usize) {
        self.stores[store].kill();
    }

    /// Starts a store that is down, on its old disk, and returns when it listens.
    pub fn revive(&mut self, store: usize) {
        self.stores[store].start();
    }

    /// As [`Cluster::revive`], with failpoints as `FAILPOINTS` has them: `raft_after_save=10*off->return`.
    pub fn arm(&mut self, store: usize, failpoints: &str) {
        self.stores[store].start_with(failpoints);
    }

    /// Whether a store that was started has ended by itself. It is down then.
    pub fn has_ended(&mut self, store: usize) -> bool {
        let child = &mut self.stores[store].child;
        let ended =
            child.as_mut().is_some_and(|c| c.try_wait().expect("it is our child").is_some());
        if ended {
            *child = None;
        }
        ended
    }

    /// kill -9 for the scheduler.
    pub fn kill_scheduler(&mut self) {
        self.scheduler.kill();
    }

    /// Starts a scheduler that is down, on its old disk, and returns when it listens.
    pub fn revive_scheduler(&mut self) {
        self.scheduler.start();
    }

    /// A running store's process.
    pub fn process(&self, store: usize) -> Option<u32> {
        Some(self.stores[store].child.as_ref()?.id())
    }

    /// All numbers of a store's `/metrics`; see [`metrics`].
    pub fn measured(&self, store: usize) -> Option<BTreeMap<String, f64>> {
        let mut words = self.stores[store].banner.split_whitespace();
        metrics(words.find_map(|word| word.strip_prefix("status-addr="))?)
    }

    /// As [`Cluster::measured`], of the scheduler.
    pub fn scheduler_measured(&self) -> Option<BTreeMap<String, f64>> {
        metrics(&pages(&self.pd()[0]))
    }

    /// What a store said on standard error in all its lives.
    pub fn said(&self, store: usize) -> String {
        self.stores[store].said()
    }

    /// What the scheduler knows now; `None` while it is away.
    pub fn status(&self) -> Option<Status> {
        status(&self.pd()[0])
    }
}

/// What the scheduler at this address knows now; `None` while it is away.
pub fn status(scheduler: &str) -> Option<Status> {
    let page = page(&pages(scheduler), "/status").ok()?;
    Status::of(&serde_json::from_str(&page).ok()?)
}

/// All numbers of a `/metrics` page, by name and labels as they stand there: `pd_cluster_status{type="region_count"}`.
/// `None` while nobody answers.
pub fn metrics(pages: &str) -> Option<BTreeMap<String, f64>> {
    let page = page(pages, "/metrics").ok()?;
    let numbers = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    });
    numbers.collect()
}

/// What each store has, by the scheduler's metrics; `None` while it is away.
pub fn shelves(scheduler: &str) -> Option<Vec<picture::Shelf>> {
    let metrics = metrics(&pages(scheduler))?;
    let mut shelves: BTreeMap<u64, picture::Shelf> = BTreeMap::new();
    for (name, number) in metrics {
        let Some(labels) = name.strip_prefix("pd_scheduler_store_status{") else { continue };
        let label =
            |name: &str| labels.split(['"', ',', '}']).skip_while(|part| *part != name).nth(1);
        let store = label("store=")?.parse().ok()?;
        let shelf =
            shelves.entry(store).or_insert(picture::Shelf { store, regions: 0, leaders: 0 });
        // A gauge of a few hundred peers.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = number as u64;
        match label("type=")? {
            "region_count" => shelf.regions = count,
            "leader_count" => shelf.leaders = count,
            _ => {}
        }
    }
    Some(shelves.into_values().collect())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary directory has a plain name")
}

/// Where the scheduler's pages are.
fn pages(scheduler: &str) -> String {
    let host = scheduler.split(':').next().unwrap_or_default();
    format!("{host}:{STATUS_PORT}")
}

fn page(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // HTTP/1.0, so that the answer ends where the connection does.
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in std::iter::once(&mut self.scheduler).chain(&mut self.stores) {
            if let Some(mut child) = process.child.take() {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
            let (said, log) = (process.said(), process.log.display());
            if std::thread::panicking() {
                let tail: Vec<&str> = said.lines().rev().take(20).collect();
                eprintln!("{log}, last first:\n{}", tail.join("\n"));
            } else {
                assert!(!said.contains("panicked"), "{log}: a panic: {said}");
            }
        }
        if std::thread::panicking() && std::env::var_os("MULTI_CLUSTER_KEEP").is_some() {
            self.dir.disable_cleanup(true);
            eprintln!("kept in {}", self.dir.path().display());
        }
    }
}

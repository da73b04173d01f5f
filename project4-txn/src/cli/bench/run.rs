//! The clients, and what they count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::super::client::Client;
use super::{ACCOUNTS, Args, Workload};
use crate::AnyError;

/// What clients can do. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Update,
    Insert,
    Scan,
    ReadModifyWrite,
    Transfer,
    Sum,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] = [
        Kind::Read,
        Kind::Update,
        Kind::Insert,
        Kind::Scan,
        Kind::ReadModifyWrite,
        Kind::Transfer,
        Kind::Sum,
    ];

    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Update => "update",
            Kind::Insert => "insert",
            Kind::Scan => "scan",
            Kind::ReadModifyWrite => "read-modify-write",
            Kind::Transfer => "transfer",
            Kind::Sum => "sum",
        }
    }
}

/// Why an operation failed.
pub enum Trouble {
    /// It counts, and the next one begins.
    Error(String),
    /// The database is wrong: nothing that comes after this is worth anything.
    Wrong(String),
}

/// What to do, with what all clients share.
pub struct Load {
    pub(super) client: Arc<Client>,
    pub(super) workload: Workload,
    pub(super) clients: u32,
    pub(super) seconds: Option<u64>,
    pub(super) count: Option<u64>,
    pub(super) value_size: u32,
    pub(super) one_pc: bool,
    pub(super) seed: u64,
    /// At the beginning.
    pub(super) records: u64,
    /// Records now: those that are being inserted count.
    pub(super) rows: AtomicU64,
    pub(super) conflicts: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since the beginning.
    pub elapsed: Duration,
    /// Operations that are done.
    pub done: u64,
    /// Operations a second, since the last look.
    pub per_second: f64,
    /// Operations that failed.
    pub failed: u64,
}

/// What came out.
pub struct Outcome {
    /// How long the clients worked.
    pub elapsed: Duration,
    /// Times of what was done, in microseconds, for those kinds that were.
    pub times: Vec<(Kind, Histogram<u64>)>,
    /// Operations that failed.
    pub failed: u64,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Transactions that began again because another was faster.
    pub conflicts: u64,
}

impl Load {
    /// What the flags say.
    pub fn new(client: Arc<Client>, args: &Args) -> Load {
        Load {
            client,
            workload: args.workload,
            clients: args.clients,
            seconds: Some(args.seconds),
            count: args.count,
            value_size: args.value_size,
            one_pc: args.one_pc,
            seed: args.seed,
            records: args.records(),
            rows: AtomicU64::new(args.records()),
            conflicts: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// A bank that runs until [`end`](Self::end).
    pub fn bank(client: Arc<Client>, clients: u32) -> Load {
        Load {
            client,
            workload: Workload::Bank,
            clients,
            seconds: None,
            count: None,
            value_size: 0,
            one_pc: false,
            seed: 1,
            records: ACCOUNTS,
            rows: AtomicU64::new(ACCOUNTS),
            conflicts: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// The clients do what they are at, and no more.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let enough = self.count.is_some_and(|count| self.done.load(Ordering::Relaxed) >= count);
        enough || self.stop.load(Ordering::Relaxed)
    }

    /// The source of chance of one client.
    pub(super) fn rng(&self, client: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(client.into());
        rng
    }
}

/// A look each second.
pub(super) struct Seconds {
    ticks: Interval,
    began: Instant,
    /// When the last look was, and what had been done then.
    last: (Instant, u64),
}

impl Seconds {
    pub(super) fn begin() -> Seconds {
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let mut ticks = interval_at(began + second, second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Seconds { ticks, began, last: (began, 0) }
    }

    /// When it is time for the next look.
    pub(super) async fn next(&mut self) {
        self.ticks.tick().await;
    }

    /// What has happened, if so many operations are done now, and so many failed.
    pub(super) fn look(&mut self, done: u64, failed: u64) -> Progress {
        let now = Instant::now();
        #[expect(clippy::cast_precision_loss)] // nobody does 2^52 operations in a second
        let per_second = (done - self.last.1) as f64 / (now - self.last.0).as_secs_f64();
        self.last = (now, done);
        Progress { elapsed: now - self.began, done, per_second, failed }
    }
}

/// What one client has counted.
struct Tally {
    times: Vec<Option<Histogram<u64>>>,
    first_error: Option<String>,
    wrong: Option<String>,
}

/// Runs the clients until the time or the count is over, and tells each second how it goes.
///
/// # Errors
/// The database is wrong, or nothing at all was done.
pub async fn run(load: &Arc<Load>, tell: impl Fn(Progress)) -> Result<Outcome, AnyError> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..load.clients {
        clients.spawn(work(load.clone(), n));
    }
    let mut tallies = Vec::new();
    let mut seconds = Seconds::begin();
    let end = load.seconds.map(|seconds| began + Duration::from_secs(seconds));
    loop {
        let over = async {
            match end {
                Some(end) if !load.stop.load(Ordering::Relaxed) => sleep_until(end).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            tally = clients.join_next() => match tally {
                Some(tally) => tallies.push(tally?),
                None => break,
            },
            () = over => load.stop.store(true, Ordering::Relaxed),
            () = seconds.next() => {
                let failed = load.failed.load(Ordering::Relaxed);
                tell(seconds.look(load.done.load(Ordering::Relaxed), failed));
            }
        }
    }
    let elapsed = began.elapsed();
    gather(load, tallies, elapsed)
}

fn gather(load: &Load, tallies: Vec<Tally>, elapsed: Duration) -> Result<Outcome, AnyError> {
    let (mut times, mut first_error) = (Vec::new(), None);
    for tally in &tallies {
        if let Some(wrong) = &tally.wrong {
            return Err(wrong.clone().into());
        }
        first_error = first_error.or_else(|| tally.first_error.clone());
    }
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        let mut all: Option<Histogram<u64>> = None;
        for one in tallies.iter().filter_map(|tally| tally.times[n].as_ref()) {
            match &mut all {
                None => all = Some(one.clone()),
                Some(all) => all.add(one)?,
            }
        }
        times.extend(all.map(|all| (kind, all)));
    }
    if times.is_empty() {
        let why = first_error.unwrap_or_else(|| "there was no time".into());
        return Err(format!("not one operation was done: {why}").into());
    }
    let failed = load.failed.load(Ordering::Relaxed);
    let conflicts = load.conflicts.load(Ordering::Relaxed);
    Ok(Outcome { elapsed, times, failed, first_error, conflicts })
}

/// One client: one operation after the other.
async fn work(load: Arc<Load>, n: u32) -> Tally {
    let mut rng = load.rng(n);
    let mut tally = Tally { times: vec![None; Kind::ALL.len()], first_error: None, wrong: None };
    while !load.is_over() {
        let began = Instant::now();
        match load.operation(&mut rng).await {
            Ok(kind) => {
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                // Three digits, from a microsecond up. It grows with what is put in, so that nothing can fail.
                let times = tally.times[kind as usize].get_or_insert_with(three_digits);
                let _ = times.record(micros.max(1));
                load.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(Trouble::Error(why)) => {
                load.failed.fetch_add(1, Ordering::Relaxed);
                tally.first_error.get_or_insert(why);
            }
            Err(Trouble::Wrong(what)) => {
                load.stop.store(true, Ordering::Relaxed);
                tally.wrong = Some(what);
            }
        }
    }
    tally
}

fn three_digits() -> Histogram<u64> {
    Histogram::new(3).expect("3 is between 0 and 5")
}

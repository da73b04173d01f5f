//! Tasks that write and read through the official client while a test breaks something, and what they saw.
//!
//! What a client knows is less than in the simulator: the official one tries again by itself and does not say so. A call
//! counts once more for each of its [`attempts`] that was never answered. So each task has a thread of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sim::history::{History, Op, OpResult};
use sim::linear;
use tikv_client::{Error, KvPair, RawClient};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::attempts;

/// Whoever reads everything back at the end counts as one more.
pub const TASKS: u64 = 16;

/// Keys that all tasks write and read. Few, so that they meet; others come every second, so that the checker has many
/// short histories and not a few long ones.
const SHARED: u64 = 5;

/// A client of the cluster that these addresses know, as soon as anybody serves it: at most `patience` from now.
///
/// One that gave up is best replaced: if the leader that it remembers is on a store that it was never connected to, and that
/// refuses connections, 0.4.0 does not forget that leader, and every later call fails at once, whoever leads now.
pub async fn connect(pd: &[String], patience: Duration) -> RawClient {
    let connecting = async {
        loop {
            if let Ok(client) = RawClient::new(pd.to_vec()).await
                && client.put("connected".to_owned(), "yes").await.is_ok()
            {
                return client;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(patience, connecting).await.expect("the cluster serves soon")
}

/// What all clients saw.
#[derive(Default)]
struct Seen {
    history: History,
    /// Keys that are written once: their values, and whether the write was acknowledged.
    once: BTreeMap<String, (String, bool)>,
    /// What the client gave up with, and how often.
    errors: BTreeMap<String, usize>,
    /// Attempts on shared keys that were never answered.
    unanswered: usize,
}

impl Seen {
    fn failed(&mut self, error: &Error) {
        *self.errors.entry(name(error)).or_default() += 1;
    }

    /// All that was done with the key of which this text speaks, one call a line.
    fn about(&self, text: &str) -> String {
        let named = |key: &[u8]| {
            std::str::from_utf8(key).is_ok_and(|key| text.contains(&format!(" {key} ")))
        };
        let about = self.history.ops().iter().filter(|op| op.op.key().is_some_and(named));
        let lines: Vec<String> = about.map(|op| format!("  {op:?}")).collect();
        lines.join("\n")
    }
}

/// What kind of error it is, without what differs from one to the next.
fn name(error: &Error) -> String {
    let text = match error {
        Error::RegionError(error) => format!("region error: {}", error.message),
        Error::GrpcAPI(status) => format!("gRPC {:?}: {}", status.code(), status.message()),
        Error::MultipleKeyErrors(errors) | Error::ExtractedErrors(errors) if !errors.is_empty() => {
            return name(&errors[0]);
        }
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_ascii_digit()).take(100).collect()
}

pub struct Recorder {
    began: Instant,
    seen: Mutex<Seen>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Recorder { began: Instant::now(), seen: Mutex::default() })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("some minutes")
    }

    /// One call on a shared key, recorded with what came of it.
    async fn call(
        &self,
        task: u64,
        op: Op,
        result: impl Future<Output = tikv_client::Result<OpResult>>,
    ) {
        let (asked, id) = {
            let history = &mut self.seen.lock().unwrap().history;
            let asked = self.now();
            (asked, history.begin(task, 0, op.clone(), asked))
        };
        attempts::unanswered();
        let result = result.await;
        let mut seen = self.seen.lock().unwrap();
        for _ in 0..attempts::unanswered() {
            seen.unanswered += 1;
            seen.history.begin(task, 0, op.clone(), asked);
        }
        match result {
            Ok(result) => seen.history.returned(id, self.now(), result),
            Err(error) => seen.failed(&error),
        }
    }

    async fn put(&self, client: &RawClient, task: u64, key: String, value: String) {
        let op = Op::Put(key.clone().into_bytes(), value.clone().into_bytes());
        self.call(task, op, async { client.put(key, value).await.map(|()| OpResult::Written) })
            .await;
    }

    pub async fn get(&self, client: &RawClient, task: u64, key: String) {
        let op = Op::Get(key.clone().into_bytes());
        self.call(task, op, async { client.get(key).await.map(OpResult::Value) }).await;
    }

    pub async fn put_once(&self, client: &RawClient, key: String, value: String) {
        let lock = || self.seen.lock().unwrap();
        lock().once.insert(key.clone(), (value.clone(), false));
        match client.put(key.clone(), value).await {
            Ok(()) => lock().once.get_mut(&key).expect("it was just put there").1 = true,
            Err(error) => lock().failed(&error),
        }
    }

    /// The client gave up.
    pub fn failed(&self, error: &Error) {
        self.seen.lock().unwrap().failed(error);
    }

    /// What the client gave up with, and how often.
    pub fn errors(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().errors.clone()
    }

    /// Reads everything back, and judges.
    pub async fn judge(&self, client: &RawClient) -> (usize, usize) {
        let shared: Vec<Vec<u8>> = {
            let seen = self.seen.lock().unwrap();
            let keys = seen.history.ops().iter().filter_map(|op| op.op.key().map(<[u8]>::to_vec));
            keys.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        };
        for key in shared {
            self.get(client, TASKS, String::from_utf8(key).unwrap()).await;
        }
        let found = all_from(client, "once/").await;
        let seen = self.seen.lock().unwrap();
        for (key, (value, acknowledged)) in &seen.once {
            match found.get(key) {
                Some(there) => assert_eq!(there, value, "{key} has a value that nobody wrote"),
                None => assert!(!acknowledged, "{key} was acknowledged, and is gone"),
            }
        }
        if let Err(violation) = linear::check(&seen.history, 50_000_000) {
            panic!("{}\n{}", violation.failure, seen.about(&violation.failure.to_string()));
        }
        println!("{} attempts on shared keys were never answered", seen.unanswered);
        let acknowledged = seen.once.values().filter(|(_, acknowledged)| *acknowledged).count();
        (seen.history.ops().len(), acknowledged)
    }
}

/// All pairs whose keys begin with this.
pub async fn all_from(client: &RawClient, prefix: &str) -> BTreeMap<String, String> {
    const PAGE: u32 = 5000;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("all is text here");
    let (mut all, mut start) = (BTreeMap::new(), prefix.to_owned());
    let end = format!("{prefix}\u{7f}");
    loop {
        let page = client.scan(start.clone()..end.clone(), PAGE).await.expect("a scan");
        let full = page.len() == PAGE as usize;
        for KvPair(key, value) in page {
            all.insert(text(key.into()), text(value));
        }
        let Some(last) = all.keys().next_back().filter(|_| full) else { return all };
        start = format!("{last}\0");
    }
}

/// Tasks at work.
pub struct Crew {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// So many tasks, each on its own thread with its own client. All of them are connected when this returns.
    pub async fn start(
        tasks: u64,
        pd: &[String],
        patience: Duration,
        recorder: &Arc<Recorder>,
    ) -> Crew {
        attempts::count();
        let (stop, stopped) = watch::channel(false);
        let (connected, mut all) = mpsc::unbounded_channel();
        let start = |task| {
            let (pd, recorder) = (pd.to_vec(), recorder.clone());
            let (stopped, connected) = (stopped.clone(), connected.clone());
            let running = async move {
                let client = connect(&pd, patience).await;
                connected.send(()).expect("somebody waits for it");
                drop(connected);
                work(task, client, recorder, stopped).await;
            };
            thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(running);
            })
        };
        let threads = (0..tasks).map(start).collect();
        drop(connected);
        for _ in 0..tasks {
            all.recv().await.expect("each task connects");
        }
        Crew { stop, threads }
    }

    /// Lets them end what they are at.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for running in self.threads {
            let ended = tokio::task::spawn_blocking(|| running.join()).await;
            ended.expect("waiting does not fail").expect("a task has failed");
        }
    }
}

/// Writes and reads until told to stop.
async fn work(task: u64, client: RawClient, recorder: Arc<Recorder>, stop: watch::Receiver<bool>) {
    for n in 0u64.. {
        if *stop.borrow() {
            return;
        }
        let era = recorder.now() / 1_000_000;
        let key = format!("shared/{era:04}/{}", (n + task) % SHARED);
        match n % 3 {
            0 => recorder.put(&client, task, key, format!("{task}-{n}")).await,
            1 => recorder.get(&client, task, key).await,
            _ => {
                let key = format!("once/{task:02}/{n:08}");
                recorder.put_once(&client, key, format!("{task}-{n}")).await;
            }
        }
    }
}

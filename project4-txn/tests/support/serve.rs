//! What a store of stage 4D's worlds serves: the transactional calls, to doors, over the replicated storage.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::kvrpcpb::{Context, GcRequest};
use raftkv::observer::{PeerObserver, PeerView};
use raftkv::storage::{Inbox, RaftStorage};
use raftkv::store::Request;
use sim::cluster::protocol::{Channel, Effect, Micros, Status};
use sim::executor::Executor;
use standalone::latches::Latches;
use txn::{Concurrency, TxnApi};
use txn_suite::stage4d::talk::{FromOracle, FromStore, ORACLE, ToOracle, ToStore, decode, encode};

use super::store::Service;
use super::subject::call;
use super::time::ManualTime;

/// How long a store works on a request: as long as a door waits for it.
const PATIENCE: Micros = 700_000;

/// Between two questions to the oracle.
const ASKS_EVERY: Micros = 200_000;

/// Between two collections of garbage.
const COLLECTS_EVERY: Micros = 1_000_000;

#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<(Request, Micros)>>,
    now: AtomicU64,
}

/// The handlers' side of the desk.
struct Slot(Arc<Desk>);

impl Inbox for Slot {
    async fn send(&self, request: Request) {
        let until = self.0.now.load(Ordering::Relaxed) + PATIENCE;
        lock(&self.0.asked).push((request, until));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this store leads, and since which term without a timestamp of the oracle's.
#[derive(Default)]
struct Led {
    all: BTreeMap<u64, PeerView>,
    fresh: BTreeMap<u64, u64>,
}

/// Tells `max_ts` about leaderships, as the server's observer does.
struct Observer {
    concurrency: Concurrency,
    led: Arc<Mutex<Led>>,
}

impl PeerObserver for Observer {
    fn changed(&mut self, view: &PeerView) {
        let region = &view.region;
        let mut led = lock(&self.led);
        if !view.is_leader {
            led.all.remove(&region.id);
            return;
        }
        let before = led.all.insert(region.id, view.clone());
        if before.is_none_or(|before| before.term != view.term) {
            led.fresh.insert(region.id, view.term);
            self.concurrency.unsync(region.id, view.term);
            self.concurrency.forget(&region.start_key, &region.end_key);
        }
    }
}

/// The calls of one life.
pub struct Served {
    executor: Executor,
    api: TxnApi<RaftStorage<Slot>>,
    concurrency: Concurrency,
    desk: Arc<Desk>,
    time: ManualTime,
    led: Arc<Mutex<Led>>,
    /// Which leaderships a timestamp that was asked for will bring into sync.
    asking: BTreeMap<u64, BTreeMap<u64, u64>>,
    asked_at: Micros,
    collected_at: Micros,
    next_id: u64,
    /// Calls of the judge's that have no answer yet, and until when they must have one.
    open: BTreeMap<u64, Micros>,
    ready: Arc<Mutex<Vec<Effect>>>,
}

impl Service for Served {
    fn new(seed: u64) -> Self {
        let (desk, concurrency) = (Arc::<Desk>::default(), Concurrency::new());
        let time = ManualTime::default();
        let storage = Arc::new(RaftStorage::new(Slot(desk.clone())));
        let timer = Arc::new(time.clone());
        let api = TxnApi::new(storage, Latches::new(), concurrency.clone(), timer);
        Served {
            executor: Executor::new(seed),
            api,
            concurrency,
            desk,
            time,
            led: Arc::default(),
            asking: BTreeMap::new(),
            asked_at: 0,
            collected_at: 0,
            next_id: 0,
            open: BTreeMap::new(),
            ready: Arc::default(),
        }
    }

    fn observer(&self) -> Option<Box<dyn PeerObserver>> {
        let (concurrency, led) = (self.concurrency.clone(), self.led.clone());
        Some(Box::new(Observer { concurrency, led }))
    }

    fn set_now(&mut self, now: Micros) {
        self.desk.now.store(now, Ordering::Relaxed);
        self.time.set(now / 1_000);
        let fresh = lock(&self.led).fresh.clone();
        if !fresh.is_empty() && now >= self.asked_at + ASKS_EVERY {
            self.asked_at = now;
            self.next_id += 1;
            self.asking.insert(self.next_id, fresh);
            self.ask(&ToOracle::Timestamp(self.next_id));
        }
        if now >= self.collected_at + COLLECTS_EVERY {
            self.collected_at = now;
            self.ask(&ToOracle::SafePoint);
        }
    }

    fn begin(&mut self, id: u64, method: &str, bytes: &[u8], deadline: Micros) {
        let (api, ready) = (self.api.clone(), self.ready.clone());
        let (method, bytes) = (method.to_owned(), bytes.to_vec());
        self.open.insert(id, deadline);
        self.executor.spawn(async move {
            let result = call(&api, &method, &bytes).await;
            let result = result
                .map_err(|error| Status { definite: error.is_definite(), text: error.to_string() });
            lock(&ready).push(Effect::Reply { id, result });
        });
    }

    fn message(&mut self, from: u64, bytes: &[u8]) {
        if from != ORACLE {
            if let Some(asked) = decode(bytes) {
                self.serve(from, asked);
            }
            return;
        }
        match decode(bytes) {
            Some(FromOracle::Timestamp(id, ts)) => {
                for (region, term) in self.asking.remove(&id).unwrap_or_default() {
                    self.concurrency.sync(region, term, ts.into());
                    let mut led = lock(&self.led);
                    if led.fresh.get(&region) == Some(&term) {
                        led.fresh.remove(&region);
                    }
                }
            }
            Some(FromOracle::SafePoint(ts)) if ts > 0 => self.collect(ts),
            _ => {}
        }
    }

    fn run(&mut self) {
        self.executor.run(1_000_000);
    }

    fn take_asked(&self) -> Vec<(Request, Micros)> {
        std::mem::take(&mut *lock(&self.desk.asked))
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        let mut ready = std::mem::take(&mut *lock(&self.ready));
        // A call that was answered before gets no second answer.
        ready.retain(|effect| match effect {
            Effect::Reply { id, .. } => self.open.remove(id).is_some(),
            _ => true,
        });
        ready
    }

    // Only of those whom the judge asks itself: doors have their own clocks.
    fn take_overdue(&mut self, now: Micros) -> Vec<Effect> {
        let late = |(id, deadline): (&u64, &Micros)| (*deadline <= now).then_some(*id);
        let late: Vec<u64> = self.open.iter().filter_map(late).collect();
        let mut effects = Vec::new();
        for id in late {
            self.open.remove(&id);
            let status = Status { definite: false, text: "no answer in time".into() };
            effects.push(Effect::Reply { id, result: Err(status) });
        }
        effects
    }
}

impl Served {
    fn ask(&mut self, question: &ToOracle) {
        let (to, channel, bytes) = (ORACLE, Channel::Scheduler, encode(question));
        lock(&self.ready).push(Effect::Send { to, channel, bytes });
    }

    fn serve(&mut self, to: u64, ToStore { id, method, bytes }: ToStore) {
        let (api, ready) = (self.api.clone(), self.ready.clone());
        self.executor.spawn(async move {
            let response = call(&api, &method, &bytes).await.ok();
            let bytes = encode(&FromStore { id, method, response });
            lock(&ready).push(Effect::Send { to, channel: Channel::Client, bytes });
        });
    }

    fn collect(&mut self, safe_point: u64) {
        let led: Vec<PeerView> = lock(&self.led).all.values().cloned().collect();
        for view in led {
            let context = Context {
                region_id: view.region.id,
                region_epoch: view.region.region_epoch,
                peer: Some(view.me),
                ..Default::default()
            };
            let request = GcRequest { context: Some(context), safe_point };
            let api = self.api.clone();
            // What it could not collect, the next round will.
            self.executor.spawn(async move { drop(api.kv_gc(request).await) });
        }
    }
}

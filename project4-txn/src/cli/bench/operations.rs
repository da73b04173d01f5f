//! One operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::kvrpcpb::{KvPair, RawBatchPutRequest, RawGetRequest, RawPutRequest, RawScanRequest};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use super::super::client::Client;
use super::super::txn::{Failed, Txn};
use super::records::{key, latest, value, zipfian};
use super::run::{Kind, Load, Progress, Seconds, Trouble};
use super::{Mix, Workload};
use crate::AnyError;

/// The longest scan.
const SCAN: u32 = 100;

/// Records that go into one request, or transaction, while loading; and the bytes that they may have.
const BATCH: (u64, u64) = (64, 64 << 10);

/// How many load at the same time.
const LOADERS: u64 = 16;

impl Load {
    /// Writes all records, and tells each second how it goes.
    ///
    /// # Errors
    /// What the first that failed says.
    pub async fn fill(self: &Arc<Self>, tell: impl Fn(Progress)) -> Result<(), AnyError> {
        let batch = (BATCH.1 / (u64::from(self.value_size) + 64)).clamp(1, BATCH.0);
        let written = Arc::new(AtomicU64::new(0));
        let mut loaders = JoinSet::new();
        for loader in 0..LOADERS {
            let (load, written) = (self.clone(), written.clone());
            loaders.spawn(async move {
                // Behind the clients' streams of chance.
                let mut rng = load.rng(u32::MAX - u32::try_from(loader).unwrap_or(0));
                let mut first = loader * batch;
                while first < load.records {
                    let end = (first + batch).min(load.records);
                    load.fill_from(first, end, &mut rng).await?;
                    written.fetch_add(end - first, Ordering::Relaxed);
                    first += LOADERS * batch;
                }
                Ok::<_, String>(())
            });
        }
        let mut seconds = Seconds::begin();
        loop {
            tokio::select! {
                loaded = loaders.join_next() => match loaded {
                    Some(loaded) => {
                        loaded?.map_err(|why| format!("the records could not be loaded: {why}"))?;
                    }
                    None => return Ok(()),
                },
                () = seconds.next() => tell(seconds.look(written.load(Ordering::Relaxed), 0)),
            }
        }
    }

    async fn fill_from(&self, first: u64, end: u64, rng: &mut ChaCha8Rng) -> Result<(), String> {
        match self.workload {
            Workload::Raw(_) => {
                let pairs = (first..end).map(|n| (key(n), value(rng, self.value_size)));
                self.raw_fill(pairs.collect()).await
            }
            Workload::Txn(_) => {
                let mut txn = self.begin().await.map_err(|failed| failed.to_string())?;
                for n in first..end {
                    txn.put(key(n), value(rng, self.value_size));
                }
                txn.commit().await.map(drop).map_err(|failed| failed.to_string())
            }
            Workload::Bank => self.open_accounts(first, end).await.map_err(|e| e.to_string()),
        }
    }

    /// A split that comes in the middle makes a part go to no region: then all go again, one by one.
    async fn raw_fill(&self, mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), String> {
        pairs.sort();
        let sized = pairs.into_iter().map(|(key, value)| {
            let bytes = key.len() + value.len();
            let pair = KvPair { key: key.clone().into(), value: value.into(), error: None };
            (key, pair, bytes)
        });
        let parts = self.client.parts(sized.collect::<Vec<_>>(), usize::MAX).await;
        for (position, pairs) in parts.map_err(|e| e.to_string())? {
            let ask = RawBatchPutRequest { pairs: pairs.clone(), ..Default::default() };
            let whole = self.client.ask_once(&position, ask).await;
            if whole.is_ok_and(|(answer, _)| answer.error.is_empty()) {
                continue;
            }
            for pair in pairs {
                raw_put(&self.client, pair.key.to_vec(), pair.value.to_vec()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn begin(&self) -> Result<Txn, Failed> {
        Txn::begin(self.client.clone(), self.one_pc).await
    }

    /// Does one operation, and says which.
    pub(super) async fn operation(&self, rng: &mut ChaCha8Rng) -> Result<Kind, Trouble> {
        let mix = match self.workload {
            Workload::Raw(mix) | Workload::Txn(mix) => mix,
            Workload::Bank => return self.bank_operation(rng).await,
        };
        let dice = rng.random_range(0..100);
        let kind = match (mix, dice) {
            (Mix::A | Mix::F, ..50) | (Mix::B | Mix::D, ..95) | (Mix::C, _) => Kind::Read,
            (Mix::E, ..95) => Kind::Scan,
            (Mix::A | Mix::B, _) => Kind::Update,
            (Mix::D | Mix::E, _) => Kind::Insert,
            (Mix::F, _) => Kind::ReadModifyWrite,
        };
        let rows = self.rows.load(Ordering::Relaxed);
        let n = match kind {
            Kind::Insert => self.rows.fetch_add(1, Ordering::Relaxed),
            _ if mix == Mix::D => latest(rng, rows),
            _ => zipfian(rng, rows),
        };
        let done = match self.workload {
            Workload::Raw(_) => self.raw(kind, key(n), rng).await,
            _ => self.transaction(kind, key(n), rng).await.map_err(|failed| failed.to_string()),
        };
        done.map(|()| kind).map_err(Trouble::Error)
    }

    async fn raw(&self, kind: Kind, key: Vec<u8>, rng: &mut ChaCha8Rng) -> Result<(), String> {
        match kind {
            Kind::Scan => self.raw_scan(key, rng.random_range(1..=SCAN)).await,
            Kind::Update | Kind::Insert => {
                raw_put(&self.client, key, value(rng, self.value_size)).await
            }
            Kind::ReadModifyWrite => {
                raw_get(&self.client, &key).await?;
                raw_put(&self.client, key, value(rng, self.value_size)).await
            }
            _ => raw_get(&self.client, &key).await,
        }
    }

    /// Region by region.
    async fn raw_scan(&self, start: Vec<u8>, limit: u32) -> Result<(), String> {
        let (mut from, mut left) = (start, limit);
        loop {
            let ask = RawScanRequest {
                start_key: from.clone().into(),
                limit: left,
                ..Default::default()
            };
            let answered = self.client.ask_region(&from, ask).await;
            let (answer, region) = answered.map_err(|e| e.to_string())?;
            left = left.saturating_sub(u32::try_from(answer.kvs.len()).unwrap_or(u32::MAX));
            if left == 0 || region.end_key.is_empty() {
                return Ok(());
            }
            from = region.end_key.to_vec();
        }
    }

    /// Until it is done; whoever comes second in a conflict begins again.
    async fn transaction(
        &self,
        kind: Kind,
        key: Vec<u8>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Failed> {
        let limit = rng.random_range(1..=SCAN);
        let value = value(rng, self.value_size);
        loop {
            let mut txn = self.begin().await?;
            match kind {
                Kind::Scan => return txn.scan(&key, b"", limit).await.map(drop),
                Kind::Read => return txn.get(&key).await.map(drop),
                Kind::ReadModifyWrite => drop(txn.get(&key).await?),
                _ => {}
            }
            txn.put(key.clone(), value.clone());
            match txn.commit().await {
                Err(Failed::Conflict(_)) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                done => return done.map(drop),
            }
        }
    }
}

async fn raw_get(client: &Client, key: &[u8]) -> Result<(), String> {
    let ask = RawGetRequest { key: key.to_vec().into(), ..Default::default() };
    let answer = client.ask(key, ask).await.map_err(|e| e.to_string())?;
    if answer.error.is_empty() { Ok(()) } else { Err(answer.error) }
}

async fn raw_put(client: &Client, key: Vec<u8>, value: Vec<u8>) -> Result<(), String> {
    let ask = RawPutRequest { key: key.clone().into(), value: value.into(), ..Default::default() };
    let answer = client.ask(&key, ask).await.map_err(|e| e.to_string())?;
    if answer.error.is_empty() { Ok(()) } else { Err(answer.error) }
}

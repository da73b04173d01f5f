//! A transaction, from the client's side: reads of one moment, writes kept back, and a commit in two phases (Percolator).
//!
//! Nothing is written before [`Txn::commit`]. It *prewrites* all keys, each with a lock that points to the first of them,
//! the primary; takes a commit timestamp; and commits the primary. With that one write the transaction has happened, and
//! the other keys follow, or are finished by whoever meets their locks.
//!
//! Who meets a lock of somebody else asks at that lock's primary, and finishes what was left behind. Optimistic, without
//! async commit: the commands need no more. An application takes an official client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proto::kvrpcpb::{
    BatchRollbackRequest, CheckTxnStatusRequest, CommitRequest, GetRequest, KeyError, LockInfo,
    Mutation, Op, PrewriteRequest, ResolveLockRequest, ScanRequest,
};
use tokio::time::{Instant, sleep};
use txn::TimeStamp;
use txn::mvcc::key;

use super::client::{self, Again, Client, Patience};
use super::show::show;

/// How long a lock of ours lives, in milliseconds, if we die.
const LOCK_TTL: u64 = 3_000;

/// How long one waits for somebody else's lock to go. Longer than locks live.
const LOCKED: Duration = Duration::from_secs(8);

/// Between two looks at a lock: the first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// The most bytes of keys and values in one request.
const PART: usize = 256 << 10;

/// Why a transaction did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Another transaction was faster. Nothing was written: begin anew.
    #[error("{0}: nothing was written, begin again")]
    Conflict(String),
    /// A lock did not go.
    #[error("{0}")]
    Locked(String),
    /// Nobody knows whether the transaction was committed.
    #[error("nobody knows whether it was committed: {0}")]
    Unknown(String),
    /// What stands below a transaction.
    #[error(transparent)]
    Client(#[from] client::Failed),
    /// The server refuses it.
    #[error("{0}")]
    Refused(String),
}

/// A transaction. Dropped without a commit, it has written nothing.
pub struct Txn {
    client: Arc<Client>,
    start: TimeStamp,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    one_pc: bool,
}

/// What a commit did.
pub struct Committed {
    /// What it reads.
    pub start: TimeStamp,
    /// Where it stands in time.
    pub commit: TimeStamp,
}

impl Txn {
    /// Begins one, as of now.
    ///
    /// # Errors
    /// There is no timestamp.
    pub async fn begin(client: Arc<Client>) -> Result<Txn, Failed> {
        let start = client.timestamp().await?;
        Ok(Txn { client, start, writes: BTreeMap::new(), one_pc: false })
    }

    /// Lets a store commit at once what it holds alone (TiKV's 1PC).
    #[must_use]
    pub fn with_one_pc(self, one_pc: bool) -> Txn {
        Txn { one_pc, ..self }
    }

    /// What it reads: everything that was committed up to here.
    pub fn start(&self) -> TimeStamp {
        self.start
    }

    /// How many keys it will write.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Keeps a write back until the commit.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Keeps a removal back until the commit.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), None);
    }

    /// Reads a key: its own write, or what was committed when it began.
    ///
    /// # Errors
    /// A lock that does not go, and what stands below.
    pub async fn get(&self, wanted: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        if let Some(own) = self.writes.get(wanted) {
            return Ok(own.clone());
        }
        let position = key::encode(wanted);
        let mut waiting = Waiting::new();
        loop {
            let ask = GetRequest {
                key: wanted.to_vec().into(),
                version: self.start.get(),
                ..Default::default()
            };
            let answer = self.client.ask(&position, ask).await?;
            match answer.error {
                None => return Ok((!answer.not_found).then(|| answer.value.to_vec())),
                Some(error) => self.meet(error, &mut waiting).await?,
            }
        }
    }

    /// Reads the keys from `start` up to, and without, `end` (empty: to the end), `limit` at most.
    ///
    /// # Errors
    /// A lock that does not go, and what stands below.
    pub async fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Failed> {
        // Own removals may hide as many of what is there.
        let own = self
            .writes
            .iter()
            .filter(|(key, _)| key[..] >= *start && (end.is_empty() || key[..] < *end));
        let own: BTreeMap<_, _> = own.collect();
        let hidden = u32::try_from(own.len()).unwrap_or(u32::MAX);
        let committed = self.committed(start, end, limit.saturating_add(hidden)).await?;
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = committed.into_iter().collect();
        for (key, write) in own {
            match write {
                Some(value) => drop(found.insert(key.clone(), value.clone())),
                None => drop(found.remove(key)),
            }
        }
        Ok(found.into_iter().take(limit as usize).collect())
    }

    /// The same without its own writes, region by region.
    async fn committed(
        &self,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Failed> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut from = start.to_vec();
        let mut waiting = Waiting::new();
        while found.len() < limit as usize {
            let left = limit - u32::try_from(found.len()).unwrap_or(limit);
            let ask = ScanRequest {
                start_key: from.clone().into(),
                end_key: end.to_vec().into(),
                limit: left,
                version: self.start.get(),
                ..Default::default()
            };
            let (answer, region) = self.client.ask_region(&key::encode(&from), ask).await?;
            let locked = answer.error.or_else(|| answer.pairs.iter().find_map(|p| p.error.clone()));
            if let Some(error) = locked {
                self.meet(error, &mut waiting).await?;
                continue;
            }
            found.extend(answer.pairs.into_iter().map(|p| (p.key.to_vec(), p.value.to_vec())));
            if region.end_key.is_empty() {
                break;
            }
            let next = key::decode(&region.end_key).map(|(key, _)| key);
            from = next.map_err(|error| Failed::Refused(error.to_string()))?;
            if !end.is_empty() && from[..] >= *end {
                break;
            }
        }
        Ok(found)
    }

    /// Commits. `None`: it has written nothing, and needs no commit.
    ///
    /// # Errors
    /// [`Failed::Conflict`]: nothing was written. [`Failed::Unknown`]: perhaps it was. All others: nothing was.
    pub async fn commit(self) -> Result<Option<Committed>, Failed> {
        let Some(primary) = self.writes.keys().next().cloned() else { return Ok(None) };
        let start = self.start;
        let done = |commit| Ok(Some(Committed { start, commit }));
        match self.prewrite(&primary).await {
            Ok(Some(commit)) => return done(commit),
            Ok(None) => {}
            Err(failed) => {
                // Some keys may be locked. If nobody hears of this either, the locks end with their time to live.
                self.roll_back().await;
                return Err(match failed {
                    Failed::Client(error) if self.one_pc => Failed::Unknown(error.to_string()),
                    failed => failed,
                });
            }
        }
        let commit = match self.client.timestamp().await {
            Ok(commit) => commit,
            Err(failed) => {
                self.roll_back().await;
                return Err(failed.into());
            }
        };
        let (commit, committed) = self.commit_primary(&primary, commit).await?;
        // It has happened. What is left behind from here on, others finish.
        let rest = self.writes.keys().filter(|key| !committed.contains(key)).cloned();
        self.commit_keys(rest.collect(), commit).await;
        done(commit)
    }

    /// Locks all keys. A timestamp: a store has committed them at once.
    async fn prewrite(&self, primary: &[u8]) -> Result<Option<TimeStamp>, Failed> {
        let mutations = self.writes.iter().map(|(key, value)| {
            let mutation = Mutation {
                op: if value.is_some() { Op::Put } else { Op::Del }.into(),
                key: key.clone().into(),
                value: value.clone().unwrap_or_default().into(),
                ..Default::default()
            };
            let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
            (key::encode(key), mutation, bytes)
        });
        let mut waiting = Waiting::new();
        let mut patience = Patience::new();
        let mut left: Vec<_> = mutations.collect();
        while !left.is_empty() {
            let parts = self.client.parts(left.drain(..), PART).await?;
            let alone = parts.len() == 1;
            let asked = join_all(parts.into_iter().map(|(position, mutations)| async move {
                let request = PrewriteRequest {
                    mutations: mutations.clone(),
                    primary_lock: primary.to_vec().into(),
                    start_version: self.start.get(),
                    lock_ttl: LOCK_TTL,
                    txn_size: self.writes.len() as u64,
                    min_commit_ts: self.start.get() + 1,
                    try_one_pc: self.one_pc && alone && mutations.len() == self.writes.len(),
                    ..Default::default()
                };
                (mutations, self.client.ask_once(&position, request).await)
            }));
            let mut again: Option<Again> = None;
            for (mutations, answer) in asked.await {
                let more = match answer {
                    Err(why) => {
                        again = Some(why);
                        mutations
                    }
                    Ok((answer, _)) if answer.one_pc_commit_ts != 0 => {
                        return Ok(Some(answer.one_pc_commit_ts.into()));
                    }
                    Ok((answer, _)) if answer.errors.is_empty() => continue,
                    Ok((answer, _)) => {
                        for error in answer.errors {
                            self.meet(error, &mut waiting).await?;
                        }
                        mutations
                    }
                };
                left.extend(more.into_iter().map(|mutation| {
                    let bytes = mutation.key.len() + mutation.value.len();
                    (key::encode(&mutation.key), mutation, bytes)
                }));
            }
            if let Some(again) = again {
                again.wait(&mut patience).await?;
            }
        }
        Ok(None)
    }

    /// Commits the primary, and the keys beside it in its region: one write commits them all or none. This is the moment.
    async fn commit_primary(
        &self,
        primary: &[u8],
        mut commit: TimeStamp,
    ) -> Result<(TimeStamp, Vec<Vec<u8>>), Failed> {
        let unknown = |error: client::Failed| Failed::Unknown(error.to_string());
        let position = key::encode(primary);
        let mut keys =
            self.parts().await.map_err(unknown)?.into_iter().next().unwrap_or_default().1;
        let mut patience = Patience::new();
        loop {
            let request = CommitRequest {
                start_version: self.start.get(),
                keys: keys.iter().map(|key| key.clone().into()).collect(),
                commit_version: commit.get(),
                ..Default::default()
            };
            let answer = match self.client.ask_once(&position, request).await {
                Ok((answer, _)) => answer,
                Err(again) => {
                    again.wait(&mut patience).await.map_err(unknown)?;
                    // A split may have come between the keys. The others' locks point to the primary.
                    keys = vec![primary.to_vec()];
                    continue;
                }
            };
            match answer.error {
                None => return Ok((commit, keys)),
                // A reader has looked at a later moment meanwhile, and was promised that nothing changes before it.
                Some(error) if error.commit_ts_expired.is_some() => {
                    commit = self.client.timestamp().await.map_err(unknown)?;
                }
                Some(error) => return Err(judged(&error)),
            }
        }
    }

    /// Commits what is not the primary. Whoever meets a lock that is left behind does the same.
    async fn commit_keys(&self, keys: Vec<Vec<u8>>, commit: TimeStamp) {
        let keyed = keys.into_iter().map(|key| (key::encode(&key), key.clone(), key.len()));
        let Ok(parts) = self.client.parts(keyed.collect::<Vec<_>>(), PART).await else { return };
        join_all(parts.into_iter().map(|(position, keys)| async move {
            let request = CommitRequest {
                start_version: self.start.get(),
                keys: keys.into_iter().map(Into::into).collect(),
                commit_version: commit.get(),
                ..Default::default()
            };
            if let Err(error) = self.client.ask(&position, request).await {
                tracing::debug!(%error, "left behind: locks of a committed transaction");
            }
        }))
        .await;
    }

    /// The keys that it writes, by region; the primary is in the first part.
    async fn parts(&self) -> Result<Vec<(Vec<u8>, Vec<Vec<u8>>)>, client::Failed> {
        let keys = self.writes.keys().map(|key| (key::encode(key), key.clone(), key.len()));
        self.client.parts(keys.collect::<Vec<_>>(), PART).await
    }

    /// Takes locks away that were set, and forbids those that are still under way.
    async fn roll_back(&self) {
        let Ok(parts) = self.parts().await else { return };
        join_all(parts.into_iter().map(|(position, keys)| async move {
            let request = BatchRollbackRequest {
                start_version: self.start.get(),
                keys: keys.into_iter().map(Into::into).collect(),
                ..Default::default()
            };
            if let Err(error) = self.client.ask(&position, request).await {
                tracing::debug!(%error, "left behind: locks of a transaction that was given up");
            }
        }))
        .await;
    }

    /// Deals with what a store has against a read or a prewrite.
    async fn meet(&self, error: KeyError, waiting: &mut Waiting) -> Result<(), Failed> {
        match &error.locked {
            Some(lock) => self.resolve(lock, waiting).await,
            None => Err(judged(&error)),
        }
    }

    /// Finishes what the owner of a lock has left behind, or waits a little if it is alive.
    async fn resolve(&self, lock: &LockInfo, waiting: &mut Waiting) -> Result<(), Failed> {
        let now = self.client.timestamp().await?;
        let began = TimeStamp::new(lock.lock_version);
        let expired = now.physical() >= began.physical().saturating_add(lock.lock_ttl);
        let ask = CheckTxnStatusRequest {
            primary_key: lock.primary_lock.clone(),
            lock_ts: lock.lock_version,
            caller_start_ts: self.start.get(),
            current_ts: now.get(),
            // Its primary may still be on its way; only after its time may that be forbidden.
            rollback_if_not_exist: expired,
            ..Default::default()
        };
        let primary = key::encode(&lock.primary_lock);
        let status = self.client.ask(&primary, ask).await?;
        let alive = match &status.error {
            Some(error) if error.txn_not_found.is_some() => true,
            Some(error) => return Err(judged(error)),
            None => status.lock_ttl > 0,
        };
        if alive {
            return waiting.wait(lock).await;
        }
        let finish = ResolveLockRequest {
            start_version: lock.lock_version,
            commit_version: status.commit_version,
            keys: vec![lock.key.clone()],
            ..Default::default()
        };
        let answer = self.client.ask(&key::encode(&lock.key), finish).await?;
        answer.error.map_or(Ok(()), |error| Err(judged(&error)))
    }
}

/// How long one has waited for locks.
struct Waiting {
    deadline: Instant,
    pause: Duration,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting { deadline: Instant::now() + LOCKED, pause: PAUSE.0 }
    }

    async fn wait(&mut self, lock: &LockInfo) -> Result<(), Failed> {
        if Instant::now() >= self.deadline {
            return Err(Failed::Locked(format!(
                "`{}` is locked by transaction {}, whose primary key is `{}`, and that did not end for {} s. \
                 `tinykv ctl mvcc {}` shows the lock",
                show(&lock.key),
                lock.lock_version,
                show(&lock.primary_lock),
                LOCKED.as_secs(),
                show(&lock.key),
            )));
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE.1);
        Ok(())
    }
}

/// What a key error that is no lock means.
fn judged(error: &KeyError) -> Failed {
    if let Some(conflict) = &error.conflict {
        let (key, other) = (show(&conflict.key), conflict.conflict_ts);
        return Failed::Conflict(format!("`{key}` was changed by transaction {other}"));
    }
    if !error.retryable.is_empty() {
        return Failed::Conflict(error.retryable.clone());
    }
    if error.txn_not_found.is_some() {
        let text = "it was rolled back by somebody who waited for its locks longer than they live";
        return Failed::Conflict(text.into());
    }
    let text = if error.abort.is_empty() { format!("{error:?}") } else { error.abort.clone() };
    Failed::Refused(text)
}

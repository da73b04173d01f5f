//! A transaction for the commands: stage 4D's client ([`txn::client`]) with sockets and clocks.
//!
//! That client decides everything that a transaction has to decide, waits for nothing, and asks through its outbox. Here is who
//! carries that out: timestamps come from the scheduler, regions from the map that all transactions of a process share
//! ([`Client`]), requests go to stores, and an answer that does not come is [`Answer::Nothing`].
//!
//! It has no scans. [`Txn::scan`] asks region by region, and has the keys that are locked read by the client, which knows
//! what to do about locks.
//!
//! Optimistic, without async commit: the commands need no more. An application takes an official client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use proto::kvrpcpb::{KeyError, LockInfo, ScanRequest};
use tokio::time::{Instant, sleep_until};
use txn::TimeStamp;
use txn::client::{self as decider, Answer, Config, Effect, Key, Outcome, Response};
use txn::mvcc::key;

use super::client::{self, Client};
use super::show::show;

/// A piece of work is sent so often, with eight seconds of pauses in all: longer than a lock lives.
const TRIES: u32 = 24;

/// After so long in one call nobody is asked any more. What is under way by then comes to its end, or is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of keys and values that one transaction writes: they may all go to one region, in one request.
const MOST: usize = 4 << 20;

/// Why a transaction did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Another transaction was faster. It has not happened, and never will.
    #[error("{0}: nothing was written, begin again")]
    Conflict(String),
    /// Nobody knows whether the transaction was committed.
    #[error("nobody knows whether it was committed: {0}")]
    Unknown(String),
    /// Something stands in the way, or is not as it should be. Nothing was written.
    #[error("{0}")]
    Stuck(String),
    /// What stands below a transaction.
    #[error(transparent)]
    Client(#[from] client::Failed),
}

/// A transaction. Dropped without a commit, it has written nothing.
pub struct Txn {
    shared: Arc<Client>,
    decider: decider::Client,
    start: TimeStamp,
    writes: BTreeMap<Key, Option<Vec<u8>>>,
    /// When its clock was at 0.
    zero: Instant,
    /// What was asked, and is not answered.
    asked: FuturesUnordered<BoxFuture<'static, (u64, Result<Answer, String>)>>,
    /// What stood in the way last; nothing, since a store has done what it was asked.
    obstacle: Option<Obstacle>,
}

/// What a transaction may run into.
enum Obstacle {
    Lock(LockInfo),
    NoAnswer(String),
}

/// What a commit did.
pub struct Committed {
    /// What it reads.
    pub start: TimeStamp,
    /// Where it stands in time.
    pub commit: TimeStamp,
}

impl Txn {
    /// Begins one, as of now. `one_pc`: a store may commit at once what it holds alone (TiKV's 1PC).
    ///
    /// # Errors
    /// There is no timestamp.
    pub async fn begin(shared: Arc<Client>, one_pc: bool) -> Result<Txn, Failed> {
        let config = Config { one_pc, tries: TRIES, ..Config::default() };
        let mut txn = Txn {
            shared,
            decider: decider::Client::new(config),
            start: TimeStamp::default(),
            writes: BTreeMap::new(),
            zero: Instant::now(),
            asked: FuturesUnordered::new(),
            obstacle: None,
        };
        txn.decider.begin(0);
        match txn.outcome().await {
            Outcome::Began(start) => {
                txn.start = start;
                Ok(txn)
            }
            other => Err(txn.failed(other)),
        }
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
        self.write(key.into(), Some(value.into()));
    }

    /// Keeps a removal back until the commit.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.write(key.into(), None);
    }

    fn write(&mut self, key: Key, value: Option<Vec<u8>>) {
        self.writes.insert(key.clone(), value.clone());
        match value {
            Some(value) => self.decider.put(key, value),
            None => self.decider.delete(key),
        }
    }

    /// Reads a key: its own write, or what was committed when it began.
    ///
    /// # Errors
    /// A lock that does not go, and what stands below.
    pub async fn get(&mut self, wanted: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.read(&[wanted.to_vec()]).await?.remove(wanted).flatten())
    }

    /// Reads several keys in one round.
    ///
    /// # Errors
    /// As [`Txn::get`].
    pub async fn read(&mut self, keys: &[Key]) -> Result<BTreeMap<Key, Option<Vec<u8>>>, Failed> {
        let now = self.now();
        self.decider.get(keys, now);
        match self.outcome().await {
            Outcome::Read(found) => Ok(found),
            other => Err(self.failed(other)),
        }
    }

    /// Reads the keys from `start` up to, and without, `end` (empty: to the end), `limit` at most.
    ///
    /// # Errors
    /// A lock that does not go, and what stands below.
    pub async fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<(Key, Vec<u8>)>, Failed> {
        let in_range = |key: &[u8]| key >= start && (end.is_empty() || key < end);
        let own: Vec<_> = self.writes.iter().filter(|(key, _)| in_range(key)).collect();
        let own: BTreeMap<Key, _> = own.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        // Own removals may hide as many of what is there.
        let hidden = u32::try_from(own.len()).unwrap_or(u32::MAX);
        let mut found = self.committed(start, end, limit.saturating_add(hidden)).await?;
        for (key, write) in own {
            match write {
                Some(value) => drop(found.insert(key, value)),
                None => drop(found.remove(&key)),
            }
        }
        Ok(found.into_iter().take(limit as usize).collect())
    }

    /// The same without its own writes, region by region.
    async fn committed(
        &mut self,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<BTreeMap<Key, Vec<u8>>, Failed> {
        let mut found = BTreeMap::new();
        let mut from = start.to_vec();
        while found.len() < limit as usize {
            let left = limit - u32::try_from(found.len()).unwrap_or(limit);
            let ask = ScanRequest {
                start_key: from.clone().into(),
                end_key: end.to_vec().into(),
                limit: left,
                version: self.start.get(),
                ..Default::default()
            };
            let (answer, region) = self.shared.ask_region(&key::encode(&from), ask).await?;
            if let Some(error) = answer.error {
                // Of all that the range has: it counts once the lock is gone.
                self.read(&[lock(&error)?.key.to_vec()]).await?;
                continue;
            }
            let full = answer.pairs.len() >= left as usize;
            let last = answer.pairs.last().map(|pair| pair.key.to_vec());
            let mut locked = Vec::new();
            for pair in answer.pairs {
                match &pair.error {
                    Some(error) => locked.push(lock(error)?.key.to_vec()),
                    None => drop(found.insert(pair.key.to_vec(), pair.value.to_vec())),
                }
            }
            if !locked.is_empty() {
                let read = self.read(&locked).await?.into_iter();
                // Its own writes are put on top later.
                found.extend(read.filter_map(|(key, value)| Some((key, value?))));
            }
            match last {
                // What was locked may be no value after all.
                Some(last) if full => from = [&last[..], b"\0"].concat(),
                _ if region.end_key.is_empty() => break,
                _ => {
                    let next = key::decode(&region.end_key).map(|(key, _)| key);
                    from = next.map_err(|error| Failed::Stuck(error.to_string()))?;
                }
            }
            if !end.is_empty() && from[..] >= *end {
                break;
            }
        }
        Ok(found)
    }

    /// Commits. `None`: it has written nothing, and needs no commit. What is left to do once that is decided goes on behind
    /// the user's back: see [`Client::settled`].
    ///
    /// # Errors
    /// [`Failed::Unknown`]: perhaps it has happened. All others: it has not.
    pub async fn commit(mut self) -> Result<Option<Committed>, Failed> {
        let bytes: usize = self
            .writes
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum();
        if bytes > MOST {
            return Err(Failed::Stuck(format!(
                "the transaction writes {bytes} bytes, and may write {MOST}: make two of it"
            )));
        }
        let now = self.now();
        self.decider.commit(now);
        let outcome = match self.outcome().await {
            Outcome::Committed(_) if self.writes.is_empty() => Ok(None),
            Outcome::Committed(commit) => Ok(Some(Committed { start: self.start, commit })),
            other => Err(self.failed(other)),
        };
        if self.decider.is_busy() {
            self.shared.clone().behind(self.finish());
        }
        outcome
    }

    /// The rest of a commit, or of a rollback. Who meets a lock that is left behind does the same, but has to ask first.
    async fn finish(mut self) {
        let end = Instant::now() + PATIENCE;
        while self.decider.is_busy() {
            self.carry_out(end);
            if !self.step().await {
                break;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What the call that is under way comes to.
    async fn outcome(&mut self) -> Outcome {
        let end = Instant::now() + PATIENCE;
        self.obstacle = None;
        loop {
            if let Some(outcome) = self.carry_out(end) {
                return outcome;
            }
            if !self.step().await {
                return Outcome::Failed("the transaction waits for nothing".into());
            }
        }
    }

    /// Carries out what the client wants, and returns what the call came to, if it is over.
    fn carry_out(&mut self, end: Instant) -> Option<Outcome> {
        let mut done = None;
        for effect in self.decider.take_effects() {
            let shared = self.shared.clone();
            let late = Instant::now() >= end;
            let (id, answer): (u64, BoxFuture<'static, Result<Answer, String>>) = match effect {
                Effect::Done(outcome) => {
                    done = Some(outcome);
                    continue;
                }
                Effect::AskTimestamp { id }
                | Effect::AskRegion { id, .. }
                | Effect::Send { id, .. }
                    if late =>
                {
                    // What stood in the way stays what it was.
                    (id, Box::pin(std::future::ready(Err(String::new()))))
                }
                Effect::AskTimestamp { id } => {
                    let answer =
                        async move { shared.timestamp_once().await.map(Answer::Timestamp) };
                    (id, Box::pin(answer))
                }
                Effect::AskRegion { id, position } => {
                    let answer = async move {
                        let (region, leader) = shared.region(&position).await?;
                        Ok(Answer::Region(Box::new(region), Some(leader)))
                    };
                    (id, Box::pin(answer))
                }
                Effect::Send { id, store, request } => {
                    let answer = async move {
                        let response = shared.deliver(store, *request).await?;
                        Ok(Answer::Response(Box::new(response)))
                    };
                    (id, Box::pin(answer))
                }
            };
            self.asked.push(Box::pin(async move { (id, answer.await) }));
        }
        done
    }

    /// Waits for an answer, or for the time at which something is to be sent again. False: there is nothing to wait for.
    async fn step(&mut self) -> bool {
        let wakes = self.decider.wakes_at().map(|at| self.zero + Duration::from_millis(at));
        let time = async {
            match wakes {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        if self.asked.is_empty() && wakes.is_none() {
            return false;
        }
        tokio::select! {
            Some((id, answer)) = self.asked.next() => {
                let answer = self.note(answer);
                let now = self.now();
                self.decider.answered(id, answer, now);
            }
            () = time => {
                let now = self.now();
                self.decider.tick(now);
            }
        }
        true
    }

    /// Takes note of what stands in the way.
    fn note(&mut self, answer: Result<Answer, String>) -> Answer {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                if !why.is_empty() {
                    self.obstacle = Some(Obstacle::NoAnswer(why));
                }
                return Answer::Nothing;
            }
        };
        if let Answer::Response(response) = &answer {
            let lock = match &**response {
                Response::BatchGet(answer) => {
                    let errors = answer.pairs.iter().filter_map(|pair| pair.error.as_ref());
                    errors.chain(&answer.error).find_map(|error| error.locked.clone())
                }
                // What is no lock ends the transaction, whatever else there is.
                Response::Prewrite(answer) if answer.errors.iter().all(|e| e.locked.is_some()) => {
                    answer.errors.iter().find_map(|error| error.locked.clone())
                }
                // About a lock: it stands there until its key can be read or written.
                Response::CheckTxnStatus(_) | Response::ResolveLock(_) => return answer,
                _ => None,
            };
            self.obstacle = lock.map(Obstacle::Lock);
        }
        answer
    }

    /// A call that did not come to what it should, in words.
    fn failed(&self, outcome: Outcome) -> Failed {
        let why = |why: String| match &self.obstacle {
            None => why,
            Some(Obstacle::NoAnswer(last)) => format!("{why}; the last: {last}"),
            Some(Obstacle::Lock(lock)) => format!(
                "`{}` is locked by transaction {}, whose primary key is `{}`, and that did not end. `tinykv ctl mvcc {}` shows the lock",
                show(&lock.key),
                lock.lock_version,
                show(&lock.primary_lock),
                show(&lock.key),
            ),
        };
        match outcome {
            Outcome::Aborted(text) if self.obstacle.is_none() => Failed::Conflict(text),
            Outcome::Unknown(text) => Failed::Unknown(why(text)),
            Outcome::Aborted(text) | Outcome::Failed(text) => Failed::Stuck(why(text)),
            other => Failed::Stuck(format!("the transaction came to {other:?}")),
        }
    }
}

/// The lock that an error is about.
fn lock(error: &KeyError) -> Result<&LockInfo, Failed> {
    error.locked.as_ref().ok_or_else(|| Failed::Stuck(format!("{error:?}")))
}

//! One store of a fixed group, driven: who its neighbours are, and what is done about each effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use standalone::engine::Engine;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::driver::{Driven, PATIENCE};
use super::inputs::{Input, Inputs};
use super::service::number;
use super::transport::{Neighbours, Transport};
use super::workers::{Done, KvWriter};
use crate::callback::callback;
use crate::error::Error;
use crate::peer::Micros;
use crate::storage::Inbox;
use crate::store::{Effect, JobDone, LogWrite, RegionJob, Request, answer};
use crate::{Result, Store};

/// What members learn from each other about their disks.
#[derive(Debug)]
pub(super) enum Word {
    /// Another store has accepted our disk.
    Accepted(u64),
    /// Another store knows us by another disk.
    Rejected(String),
}

const STORE: &str = "raftkv-store";
const DISK: &str = "raftkv-disk";

/// The other members: where they are, and by which disks we know each other.
#[derive(Clone)]
pub(super) struct Members {
    pub(super) addresses: Arc<BTreeMap<u64, String>>,
    pub(super) me: u64,
    pub(super) disk: u64,
    pub(super) inputs: Inputs<Word>,
}

impl Neighbours for Members {
    type Word = Word;

    async fn address_of(&self, store: u64) -> Result<String, Status> {
        let known = self.addresses.get(&store).cloned();
        known.ok_or_else(|| Status::not_found("it is no member"))
    }

    fn introduce(&self, metadata: &mut MetadataMap) {
        metadata.insert(STORE, self.me.into());
        metadata.insert(DISK, self.disk.into());
    }

    async fn admit(&self, metadata: &MetadataMap) -> Result<u64, Status> {
        let (Some(store), Some(disk)) = (number(metadata, STORE), number(metadata, DISK)) else {
            return Err(Status::unauthenticated("a store must say who it is"));
        };
        let (callback, welcome) = callback();
        self.inputs.send(Request::Meet { store, disk, callback }).await;
        match welcome.await {
            Some(true) => Ok(store),
            Some(false) => Err(Status::failed_precondition(format!(
                "store {store} is known by another disk, or is no member: a voter that has lost its memory must not \
                 vote under its old name. Replace it by a new store with a new id"
            ))),
            None => Err(Status::unavailable("the store is going down")),
        }
    }

    fn admitted(&self, store: u64) -> Option<Word> {
        Some(Word::Accepted(store))
    }

    fn rejected(&self, why: &str) -> Option<Word> {
        Some(Word::Rejected(why.to_owned()))
    }
}

/// What the loop works with.
pub(super) struct Driver {
    pub(super) store: Store,
    pub(super) kv: Engine,
    pub(super) log: SyncSender<LogWrite>,
    pub(super) data: KvWriter,
    pub(super) region: SyncSender<Box<RegionJob>>,
    /// Jobs that the region worker has.
    pub(super) jobs: usize,
    pub(super) transport: Transport<Members>,
    /// All other members, and those that have accepted our disk.
    pub(super) others: BTreeSet<u64>,
    pub(super) accepted: BTreeSet<u64>,
}

impl Driver {
    fn word(&mut self, word: Word) -> Result<()> {
        match word {
            Word::Rejected(why) => return Err(Error::Config(why)),
            Word::Accepted(store) => {
                self.accepted.insert(store);
                if !self.store.has_joined() && self.others.is_subset(&self.accepted) {
                    tracing::info!("accepted by all members");
                    self.store.join();
                }
            }
        }
        Ok(())
    }

    /// Returns whether a write of the data is done already.
    fn carry_out(&mut self, effect: Effect, idle: bool) -> Result<bool> {
        let gone = || Error::System { doing: "hand on work", what: "a worker has ended".into() };
        match effect {
            Effect::Send(message) => self.transport.send(*message),
            Effect::WriteLog(write) => self.log.send(write).map_err(|_| gone())?,
            Effect::WriteKv(write) => return self.data.write(write, idle && self.jobs == 0),
            Effect::Answer(given) => answer(given, &self.kv)?,
            Effect::Met(callback, welcome) => callback.complete(welcome),
            Effect::Region(job) => {
                self.jobs += 1;
                self.region.send(job).map_err(|_| gone())?;
            }
            Effect::Stream(stream) => self.transport.stream(*stream),
        }
        Ok(false)
    }
}

impl Driven for Driver {
    type Word = Word;
    type JobDone = JobDone;

    fn input(&mut self, input: Input<Word>, now: Micros) -> Result<()> {
        match input {
            Input::Word(word) => self.word(word),
            Input::Request(request @ Request::Meet { .. }, _) => {
                self.store.request(request, now, now)
            }
            // A disk that nobody knows says nothing, and votes for nobody. (A dropped request is answered by that.)
            _ if !self.store.has_joined() => Ok(()),
            Input::Tick => self.store.tick(now),
            Input::Message(message) => self.store.message(*message),
            Input::Part(message, part, _room) => self.store.snapshot_part(*message, &part),
            Input::Unreachable(store) => {
                self.store.unreachable(store);
                Ok(())
            }
            Input::SnapshotSent { to, arrived, .. } => {
                self.store.snapshot_sent(to, arrived);
                Ok(())
            }
            Input::Request(request, _) => self.store.request(request, now, now + PATIENCE),
            Input::Stop => Ok(()),
        }
    }

    fn done(&mut self, done: Done<JobDone>) -> Result<()> {
        match done {
            Done::Log(result) => self.store.log_written(result?),
            Done::Kv(result) => result.and_then(|()| self.store.kv_written()),
            Done::Job(done) => {
                self.jobs -= 1;
                self.store.region_done(done)
            }
        }
    }

    fn round(&mut self, now: Micros, idle: bool) -> Result<()> {
        self.store.set_now(now);
        loop {
            let mut written = false;
            for effect in self.store.poll()? {
                written |= self.carry_out(effect, idle)?;
            }
            if !written {
                return Ok(());
            }
            self.store.kv_written()?;
        }
    }

    fn close(&mut self) -> Result<()> {
        for effect in self.store.close() {
            self.carry_out(effect, false)?;
        }
        Ok(())
    }
}

//! What a test holds in its hands: a store with transactions.
//!
//! [`Store`] says everything through the seam and answers in plain values. When the store panics or dies, or
//! answers nonsense, the methods return the failure, and `?` ends the test.

mod calls;
mod expect;
mod recorder;
mod requests;

use std::collections::BTreeMap;

use prost::Message;
use serde_bytes::ByteBuf;
use sim::coverage::Coverage;
use sim::disk::DiskImage;
use sim::failure::{Failure, Outcome};
use sim::harness::Run;
use sim::link::Link;
use sim::rng::Rng;

use crate::protocol::{Backend, Change, Effect, Fact, Fault, Input, Question, Step, Trouble, Txn};
use crate::rows::Row;

pub use calls::{Answers, Call, Pending, Raced, Responds};
pub use expect::{expect_ok, expect_rows, show_error, wrong};
use recorder::Recorder;
pub(crate) use recorder::asked;
pub use requests::*;

/// One run of a test.
pub type World<'a> = Run<'a, Txn>;

/// A store under test.
pub struct Store<'w, 'a> {
    run: &'w mut World<'a>,
    link: Box<dyn Link<Txn>>,
    backend: Backend,
    /// What the judge knows about the store's disk.
    disk: DiskImage,
    next_call: u64,
    answers: BTreeMap<u64, Result<ByteBuf, Trouble>>,
    waiting: u32,
    recorder: Recorder,
}

impl<'w, 'a> Store<'w, 'a> {
    /// A store in memory.
    ///
    /// # Errors
    /// When the store fails to start; the same holds for everything below.
    pub fn in_memory(run: &'w mut World<'a>) -> Outcome<Self> {
        Self::start(run, Backend::Memory)
    }

    /// A store on an empty simulated disk.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn on_disk(run: &'w mut World<'a>) -> Outcome<Self> {
        Self::start(run, Backend::Disk)
    }

    fn start(run: &'w mut World<'a>, backend: Backend) -> Outcome<Self> {
        let recorder = Recorder::new(run.recording(), run.seed);
        let link = run.start()?;
        let mut store = Store {
            run,
            link,
            backend,
            disk: DiskImage::default(),
            next_call: 0,
            answers: BTreeMap::new(),
            waiting: 0,
            recorder,
        };
        store.recorder.begins();
        store.open(Vec::new())?;
        Ok(store)
    }

    fn open(&mut self, disk: Vec<u8>) -> Outcome {
        let seed = self.run.rng.next_u64();
        self.answers.clear();
        self.done(Input::Open { backend: self.backend, disk, seed })
    }

    /// The generator of this run.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.run.rng
    }

    /// An empty store, and another seed for who goes first.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn anew(&mut self) -> Outcome {
        self.disk = DiskImage::default();
        self.recorder.begins();
        self.open(Vec::new())
    }

    /// A power cut that loses any part of what was not synced, and a restart.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn crash(&mut self) -> Outcome {
        let disk = self.disk.crash(&mut self.run.rng);
        self.recorder.crashes();
        self.link = self.run.start()?;
        self.recorder.opens();
        self.disk = DiskImage::of(disk.clone());
        self.open(disk)
    }

    /// Says something, notes disk and answers, and returns the other effects.
    fn say(&mut self, input: Input) -> Outcome<Vec<Effect>> {
        self.run.count_input();
        if let Input::Calls(calls) = &input {
            for (number, method, request) in calls {
                self.recorder.asks(*number, method, request);
            }
        }
        let changes =
            !matches!(input, Input::Look | Input::Ask(..) | Input::Count | Input::Key(..));
        let (mut effects, mut told) = (Vec::new(), Vec::new());
        for effect in self.link.exchange(input)? {
            match effect {
                Effect::Disk(op) => self.disk.apply(op),
                Effect::Answer(call, answer) => {
                    told.push((call, answer.clone()));
                    self.answers.insert(call, answer);
                }
                Effect::Waiting(count) => self.waiting = count,
                other => effects.push(other),
            }
        }
        if changes && self.recorder.on() {
            self.show();
        }
        // What was done comes before the word of it.
        for (call, answer) in &told {
            self.recorder.is_told(*call, answer);
        }
        Ok(effects)
    }

    // For the trace alone: no input of the test, and whatever is wrong with the answer is found where it matters.
    fn show(&mut self) {
        if let Ok(effects) = self.link.exchange(Input::Look)
            && let Some(Effect::Rows(rows)) = effects.first()
        {
            let rows: Vec<Row> = rows.iter().map(|(cf, k, v)| Row::parse(*cf, k, v)).collect();
            self.recorder.holds(&rows);
        }
    }

    fn done(&mut self, input: Input) -> Outcome {
        match self.say(input)?.pop() {
            Some(Effect::Done(Ok(()))) => Ok(()),
            Some(Effect::Done(Err(trouble))) => Err(Failure::broke(
                "the store under the handlers failed",
                "the disk was well",
                format!("it said: {}", trouble.text),
            )),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// The storage's term from now on.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn set_term(&mut self, term: u64) -> Outcome {
        self.done(Input::SetTerm(term))
    }

    /// Makes the storage fail once.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn fail_once(&mut self, fault: Fault) -> Outcome {
        self.done(Input::Fail(fault))
    }

    /// Lets time pass, in milliseconds.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn pass(&mut self, millis: u64) -> Outcome {
        self.done(Input::Pass(millis))
    }

    /// This store has begun to lead `region`.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn unsync(&mut self, region: u64, leadership: u64) -> Outcome {
        self.done(Input::Unsync { region, leadership })
    }

    /// The oracle has handed out `ts` since that leadership began.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn sync(&mut self, region: u64, leadership: u64, ts: u64) -> Outcome {
        self.done(Input::Sync { region, leadership, ts })
    }

    /// Puts rows into the storage, behind the handlers' back.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn load(&mut self, rows: impl IntoIterator<Item = Row>) -> Outcome {
        let changes = rows.into_iter().map(|row| row.change()).collect();
        self.done(Input::Load(changes))
    }

    /// All transactional rows: locks, then records, then values, each in key order.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn rows(&mut self) -> Outcome<Vec<Row>> {
        match self.say(Input::Look)?.pop() {
            Some(Effect::Rows(rows)) => {
                Ok(rows.iter().map(|(cf, key, value)| Row::parse(*cf, key, value)).collect())
            }
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// The engine keys of a lock and of a version, and what the latter decodes to.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn keys(&mut self, key: &[u8], ts: u64) -> Outcome<EngineKeys> {
        match self.say(Input::Key(key.to_vec(), ts))?.pop() {
            Some(Effect::Key(lock, version, decoded)) => {
                Ok(EngineKeys { lock, version, decoded: decoded.map_err(|e| e.text) })
            }
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// What a transaction's steps write.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn steps(&mut self, start: u64, steps: Vec<Step>) -> Outcome<Vec<Change>> {
        match self.say(Input::Steps(start, steps))?.pop() {
            Some(Effect::Changes(changes)) => Ok(changes),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// Asks about a key.
    ///
    /// # Errors
    /// As [`Store::in_memory`], and when the reader fails.
    pub fn ask(&mut self, key: &[u8], question: Question) -> Outcome<Fact> {
        match self.say(Input::Ask(key.to_vec(), vec![question]))?.pop() {
            Some(Effect::Facts(mut facts)) if facts.len() == 1 => {
                facts.pop().ok_or_else(|| nonsense(None))?.map_err(|trouble| {
                    Failure::broke(
                        "a reader failed",
                        format!("{question:?} was asked about {}", crate::rows::text(key)),
                        format!("it returned the error: {}", trouble.text),
                    )
                })
            }
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// Operations of the storage's readers since the last time that this was asked.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn count_reads(&mut self) -> Outcome<u64> {
        match self.say(Input::Count)?.pop() {
            Some(Effect::Operations(count)) => Ok(count),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// How many calls wait.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Begins calls in one instant.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub fn begin(&mut self, calls: Vec<Call>) -> Outcome<Vec<u64>> {
        let numbers: Vec<u64> = (self.next_call..).take(calls.len()).collect();
        self.next_call += calls.len() as u64;
        let calls = numbers
            .iter()
            .zip(calls)
            .map(|(number, call)| (*number, call.method.to_owned(), ByteBuf::from(call.request)))
            .collect();
        self.say(Input::Calls(calls))?;
        Ok(numbers)
    }

    /// The answer to a call, if there is one yet.
    ///
    /// # Errors
    /// When the answer is no message.
    pub fn answer<R: Message + Default>(
        &mut self,
        call: u64,
    ) -> Outcome<Option<Result<R, Trouble>>> {
        match self.answers.remove(&call) {
            None => Ok(None),
            Some(Err(trouble)) => Ok(Some(Err(trouble))),
            Some(Ok(bytes)) => Ok(Some(Ok(R::decode(&bytes[..]).map_err(|_| nonsense(None))?))),
        }
    }
}

impl Drop for Store<'_, '_> {
    fn drop(&mut self) {
        let trace = std::mem::take(&mut self.recorder).into_trace();
        self.run.deposit(0, trace, &Coverage::default());
    }
}

/// The engine keys of a key.
pub struct EngineKeys {
    /// Of its lock.
    pub lock: Vec<u8>,
    /// Of a version.
    pub version: Vec<u8>,
    /// What the version's key decodes to.
    pub decoded: Result<(Vec<u8>, u64), String>,
}

fn nonsense(effect: Option<&Effect>) -> Failure {
    Failure::Ended { how: format!("the subject answered something that was not asked: {effect:?}") }
}

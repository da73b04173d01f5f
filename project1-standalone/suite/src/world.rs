//! What a test of stage 1 holds in its hands: a store, its disk and its clock.
//!
//! [`Kv`] says everything through the seam and answers in plain values. When the store panics or dies, or
//! answers nonsense, the methods return the failure, and `?` ends the test.

use prost::Message;
use proto::kvrpcpb;
use serde_bytes::ByteBuf;
use sim::disk::{DiskImage, DiskOp};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Run;
use sim::link::Link;
use sim::rng::Rng;

use crate::protocol::{
    Backend, Cf, Change, Effect, Fault, Input, Move, Pair, Standalone, StorageError,
};

/// One run of a test.
pub type World<'a> = Run<'a, Standalone>;

/// A store under test.
pub struct Kv<'w, 'a> {
    run: &'w mut World<'a>,
    link: Box<dyn Link<Standalone>>,
    backend: Backend,
    /// What the judge knows about the store's disk.
    pub disk: DiskImage,
    /// What the last input did to the disk.
    pub last_ops: Vec<DiskOp>,
}

/// The raw calls: which request is answered by what.
pub trait Call: Message + std::fmt::Debug {
    /// The RPC's name.
    const METHOD: &'static str;
    /// Its response.
    type Response: Message + Default + std::fmt::Debug;
}

macro_rules! calls {
    ($($method:literal $request:ident -> $response:ident),+ $(,)?) => {
        $(impl Call for kvrpcpb::$request {
            const METHOD: &'static str = $method;
            type Response = kvrpcpb::$response;
        })+
    };
}

calls! {
    "RawGet" RawGetRequest -> RawGetResponse,
    "RawPut" RawPutRequest -> RawPutResponse,
    "RawDelete" RawDeleteRequest -> RawDeleteResponse,
    "RawScan" RawScanRequest -> RawScanResponse,
    "RawBatchGet" RawBatchGetRequest -> RawBatchGetResponse,
    "RawBatchPut" RawBatchPutRequest -> RawBatchPutResponse,
    "RawBatchDelete" RawBatchDeleteRequest -> RawBatchDeleteResponse,
    "RawBatchScan" RawBatchScanRequest -> RawBatchScanResponse,
    "RawDeleteRange" RawDeleteRangeRequest -> RawDeleteRangeResponse,
    "RawGetKeyTTL" RawGetKeyTtlRequest -> RawGetKeyTtlResponse,
    "RawCompareAndSwap" RawCasRequest -> RawCasResponse,
}

impl<'w, 'a> Kv<'w, 'a> {
    /// A store in memory: for tests of the handlers.
    ///
    /// # Errors
    /// When the store fails to start; the same holds for everything below.
    pub fn in_memory(run: &'w mut World<'a>) -> Outcome<Self> {
        Self::start(run, Backend::Memory)
    }

    /// The student's storage on an empty simulated disk.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn on_disk(run: &'w mut World<'a>) -> Outcome<Self> {
        Self::start(run, Backend::Standalone)
    }

    fn start(run: &'w mut World<'a>, backend: Backend) -> Outcome<Self> {
        let link = run.start()?;
        let mut kv = Kv { run, link, backend, disk: DiskImage::default(), last_ops: Vec::new() };
        kv.open(Vec::new())?;
        Ok(kv)
    }

    fn open(&mut self, disk: Vec<u8>) -> Outcome {
        let opened = self.done(Input::Open { backend: self.backend, disk })?;
        expect_ok("opening the store", opened)
    }

    /// The generator of this run.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.run.rng
    }

    /// Kills the store and starts it again on `disk`.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn restart_on(&mut self, disk: Vec<u8>) -> Outcome {
        self.link = self.run.start()?;
        self.disk = DiskImage::of(disk.clone());
        self.open(disk)
    }

    /// A power cut that loses everything which was not synced, and a restart.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn power_cut(&mut self) -> Outcome {
        let disk = self.disk.synced().to_vec();
        self.restart_on(disk)
    }

    /// A power cut that loses any part of what was not synced, and a restart.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn crash(&mut self) -> Outcome {
        let disk = self.disk.crash(&mut self.run.rng);
        self.restart_on(disk)
    }

    /// Says something, notes what happens to the disk, and returns the other effects.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn say(&mut self, input: Input) -> Outcome<Vec<Effect>> {
        self.run.count_input();
        let mut effects = Vec::new();
        self.last_ops.clear();
        for effect in self.link.exchange(input)? {
            match effect {
                Effect::Disk(op) => {
                    self.last_ops.push(op.clone());
                    self.disk.apply(op);
                }
                other => effects.push(other),
            }
        }
        Ok(effects)
    }

    fn done(&mut self, input: Input) -> Outcome<Result<(), StorageError>> {
        match self.say(input)?.pop() {
            Some(Effect::Done(result)) => Ok(result),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// Sets the clock, in seconds.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn set_clock(&mut self, now: u64) -> Outcome {
        let set = self.done(Input::SetClock(now))?;
        expect_ok("setting the clock", set)
    }

    /// Sets the storage's term.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn set_term(&mut self, term: u64) -> Outcome {
        let set = self.done(Input::SetTerm(term))?;
        expect_ok("setting the term", set)
    }

    /// From now on the storage serves this region only.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn serve(&mut self, region: u64) -> Outcome {
        let set = self.done(Input::Serve(region))?;
        expect_ok("serving one region", set)
    }

    /// Makes the storage fail once.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn fail_once(&mut self, fault: Fault) -> Outcome {
        let set = self.done(Input::Fail(fault))?;
        expect_ok("setting a fault", set)
    }

    /// `Storage::write`, with its result.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn try_write(&mut self, batch: Vec<Change>) -> Outcome<Result<(), StorageError>> {
        self.done(Input::Write(batch))
    }

    /// `Storage::write`, which must succeed.
    ///
    /// # Errors
    /// As [`Kv::in_memory`], and when the write is refused.
    pub fn write(&mut self, batch: Vec<Change>) -> Outcome {
        let written = self.try_write(batch)?;
        expect_ok("Storage::write", written)
    }

    /// `Storage::reader`, kept under `number`.
    ///
    /// # Errors
    /// As [`Kv::write`].
    pub fn open_reader(&mut self, number: u32) -> Outcome<Reader> {
        let opened = self.done(Input::OpenReader(number))?;
        expect_ok("Storage::reader", opened)?;
        Ok(Reader(number))
    }

    /// `get_cf`, with its result.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn try_get(
        &mut self,
        reader: Reader,
        cf: Cf,
        key: &[u8],
    ) -> Outcome<Result<Option<Vec<u8>>, StorageError>> {
        match self.say(Input::Get { reader: reader.0, cf, key: key.to_vec() })?.pop() {
            Some(Effect::Value(result)) => Ok(result.map(|value| value.map(ByteBuf::into_vec))),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// `get_cf`, which must not fail.
    ///
    /// # Errors
    /// As [`Kv::write`].
    pub fn get(&mut self, reader: Reader, cf: Cf, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let got = self.try_get(reader, cf, key)?;
        expect_ok("StorageReader::get_cf", got)
    }

    /// `get_cf` through a reader of this moment.
    ///
    /// # Errors
    /// As [`Kv::write`].
    pub fn get_now(&mut self, cf: Cf, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let reader = self.open_reader(u32::MAX)?;
        self.get(reader, cf, key)
    }

    /// `iter_cf` and some moves.
    ///
    /// # Errors
    /// As [`Kv::write`].
    pub fn walk(
        &mut self,
        reader: Reader,
        cf: Cf,
        (start, end): (&[u8], &[u8]),
        reverse: bool,
        moves: Vec<Move>,
    ) -> Outcome<Vec<Pair>> {
        let (start, end) = (start.to_vec(), end.to_vec());
        let walk = Input::Walk { reader: reader.0, cf, start, end, reverse, moves };
        match self.say(walk)?.pop() {
            Some(Effect::Walked(result)) => expect_ok("StorageReader::iter_cf", result),
            other => Err(nonsense(other.as_ref())),
        }
    }

    /// One raw call, with the gRPC status if that is its answer.
    ///
    /// # Errors
    /// As [`Kv::in_memory`].
    pub fn try_call<C: Call>(&mut self, request: C) -> Outcome<Result<C::Response, StorageError>> {
        let mut answers = self.calls(0, vec![request])?;
        answers.pop().ok_or_else(|| nonsense(None))
    }

    /// One raw call, which must be answered with a response.
    ///
    /// # Errors
    /// As [`Kv::in_memory`], and when the answer is a gRPC status.
    pub fn call<C: Call>(&mut self, request: C) -> Outcome<C::Response> {
        let text = format!("{request:?}");
        self.try_call(request)?.map_err(|status| {
            Failure::broke(
                format!("{} ended in a gRPC status instead of a response", C::METHOD),
                format!("asked:  {}", short(&text)),
                format!("status: {}", status.text),
            )
        })
    }

    /// Raw calls at the same time; the answers are in the order of the calls.
    ///
    /// # Errors
    /// As [`Kv::in_memory`], and when a call never ends.
    pub fn calls<C: Call>(
        &mut self,
        seed: u64,
        requests: Vec<C>,
    ) -> Outcome<Vec<Result<C::Response, StorageError>>> {
        let mut answers: Vec<_> = requests.iter().map(|_| None).collect();
        let calls: Vec<_> = requests
            .iter()
            .map(|r| (C::METHOD.to_owned(), ByteBuf::from(r.encode_to_vec())))
            .collect();
        for effect in self.say(Input::Calls { seed, calls })? {
            match effect {
                Effect::Answer(at, answer) => {
                    let slot = answers.get_mut(at as usize).ok_or_else(|| nonsense(None))?;
                    *slot = Some(match answer {
                        Ok(bytes) => {
                            Ok(C::Response::decode(&bytes[..]).map_err(|_| nonsense(None))?)
                        }
                        Err(error) => Err(error),
                    });
                }
                Effect::Stuck(count) => {
                    return Err(Failure::broke(
                        format!("a {} never ends", C::METHOD),
                        format!("{} calls were made together", requests.len()),
                        format!("{count} of them wait, and nobody is left who could wake them"),
                    ));
                }
                other => return Err(nonsense(Some(&other))),
            }
        }
        answers.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| nonsense(None))
    }
}

/// A reader that the store keeps.
#[derive(Debug, Clone, Copy)]
pub struct Reader(u32);

fn nonsense(effect: Option<&Effect>) -> Failure {
    Failure::Ended { how: format!("the subject answered something that was not asked: {effect:?}") }
}

fn expect_ok<T>(what: &str, result: Result<T, StorageError>) -> Outcome<T> {
    result.map_err(|error| {
        Failure::broke(
            format!("{what} failed"),
            "the request was valid and the disk was well",
            format!("it returned the error: {}", error.text),
        )
    })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// The engine key under which raw data lies (`keys.rs`).
pub fn raw_key(key: &[u8]) -> Vec<u8> {
    [b"r", key].concat()
}

/// The bytes under which a raw value lies: itself, then the second at which it expires (0: never).
pub fn raw_value(value: &[u8], expires_at: u64) -> Vec<u8> {
    [value, &expires_at.to_be_bytes()].concat()
}

/// A change that puts a raw pair behind the handlers' back.
pub fn raw_pair(cf: Cf, key: &[u8], value: &[u8]) -> Change {
    Change::Put(cf, raw_key(key), raw_value(value, 0))
}

/// The name of a column family in a request.
pub fn cf_name(cf: Cf) -> &'static str {
    match cf {
        Cf::Default => "default",
        Cf::Lock => "lock",
        Cf::Write => "write",
        Cf::Unknown => "nonsense",
    }
}

/// A value that may be absent, for people.
pub fn show_value(value: Option<&Vec<u8>>) -> String {
    value.map_or_else(|| "nothing".into(), |value| show(value))
}

/// Pairs, for people.
pub fn show_pairs<'p>(pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(k, v)| format!("{}={}", show(k), show(v))).collect();
    match pairs.len() {
        0 => "no pair".into(),
        n if n > 12 => {
            format!("{n} pairs: {} ... {}", pairs[..6].join(" "), pairs[n - 2..].join(" "))
        }
        n => format!("{n} pairs: {}", pairs.join(" ")),
    }
}

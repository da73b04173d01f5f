//! What a small test holds in its hands: the parts of a store, and what is on its two files.

use std::fmt::Debug;

use serde_bytes::ByteBuf;
use sim::disk::{DiskImage, DiskOp};
use sim::failure::{Failure, Outcome};
use sim::harness::Run;
use sim::link::Link;
use sim::rng::Rng;

use super::protocol::{
    Dump, Effect, Entry, File, Input, Op, Opened, Outcome as Applied, Parts, Refused, Round, State,
    Stop, Told,
};

/// One run of a test.
pub type Tester<'a> = Run<'a, Parts>;

/// The region of all tests.
pub const REGION: u64 = 1;

/// Where every log of a first region begins: the index and the term of an entry that nobody proposed.
pub const INIT: (u64, u64) = (5, 5);

/// The parts under test.
pub struct Bench<'w, 'a> {
    run: &'w mut Tester<'a>,
    link: Box<dyn Link<Parts>>,
    /// What the judge knows about `kv.redb` and `raft.redb`.
    pub disks: [DiskImage; 2],
    /// What the last input did to the files.
    pub last_ops: Vec<(File, DiskOp)>,
}

/// What must hold; if it does not, the two facts say why.
///
/// # Errors
/// When it does not hold.
pub fn must(
    holds: bool,
    broke: impl Into<String>,
    fact: impl Into<String>,
    seen: impl Into<String>,
) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::broke(broke, fact, seen)) }
}

/// Two values must be the same.
///
/// # Errors
/// When they differ.
pub fn same<T: PartialEq + Debug>(
    broke: &str,
    fact: impl Into<String>,
    expected: &T,
    seen: &T,
) -> Outcome {
    must(
        expected == seen,
        broke,
        format!("{}: {expected:?}", fact.into()),
        format!("it is {seen:?}"),
    )
}

fn nonsense<T>(effect: &Effect) -> Outcome<T> {
    let mut text = format!("{effect:?}");
    text.truncate(200);
    Err(Failure::broke(
        "the parts stopped, or answered something else than they were asked",
        "in a calm world each step here succeeds",
        text,
    ))
}

impl<'w, 'a> Bench<'w, 'a> {
    /// The parts on empty files.
    ///
    /// # Errors
    /// When they cannot be opened; the same holds for everything below, and also when they panic or stop.
    pub fn new(run: &'w mut Tester<'a>) -> Outcome<Self> {
        let link = run.start()?;
        let mut bench =
            Bench { run, link, disks: <[DiskImage; 2]>::default(), last_ops: Vec::new() };
        bench.done(Input::Open { kv: Vec::new(), log: Vec::new() })?;
        Ok(bench)
    }

    /// A first region with these members, opened.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn region(run: &'w mut Tester<'a>, members: u64) -> Outcome<Self> {
        let mut bench = Bench::new(run)?;
        bench.done(Input::Create((1..=members).collect()))?;
        Ok(bench)
    }

    /// Says something, and returns the answer; what it did to the disks is noted.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn ask(&mut self, input: Input) -> Outcome<Effect> {
        self.run.count_input();
        self.last_ops.clear();
        let mut answer = None;
        for effect in self.link.exchange(input)? {
            match effect {
                Effect::Disk(file, op) => {
                    self.last_ops.push((file, op.clone()));
                    self.disks[place(file)].apply(op);
                }
                other => answer = Some(other),
            }
        }
        answer.map_or_else(|| nonsense(&Effect::Done(Err("no answer".into()))), Ok)
    }

    /// Something that must succeed.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn done(&mut self, input: Input) -> Outcome {
        match self.ask(input)? {
            Effect::Done(Ok(())) => Ok(()),
            other => nonsense(&other),
        }
    }

    /// Something that may stop a store.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn may_stop(&mut self, input: Input) -> Outcome<Result<(), Stop>> {
        match self.ask(input)? {
            Effect::Done(result) => Ok(result),
            Effect::Opened(result) => Ok(result.map(drop)),
            Effect::Outcome(result) => Ok(result.map(drop)),
            Effect::Built(result) => Ok(result.map(drop)),
            other => nonsense(&other),
        }
    }

    /// A durable commit of the log's file.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn commit(&mut self, ops: Vec<Op>) -> Outcome {
        self.done(Input::Commit { ops, sync: true })
    }

    /// The entries of region 1 in the log's file.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn read_log(&mut self, low: u64, high: u64, max: u64) -> Outcome<Result<Vec<Entry>, Stop>> {
        match self.ask(Input::ReadLog(REGION, low, high, max))? {
            Effect::Entries(found) => Ok(found),
            other => nonsense(&other),
        }
    }

    /// The raft state in the log's file.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn read_state(&mut self) -> Outcome<Option<State>> {
        match self.ask(Input::ReadState)? {
            Effect::State(Ok(state)) => Ok(state),
            other => nonsense(&other),
        }
    }

    /// Opens the storage of the peer.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn open(&mut self) -> Outcome<Opened> {
        match self.ask(Input::OpenStorage)? {
            Effect::Opened(Ok(opened)) => Ok(opened),
            other => nonsense(&other),
        }
    }

    /// The entries that the storage hands to consensus.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn entries(&mut self, low: u64, high: u64) -> Outcome<Result<Vec<Entry>, Stop>> {
        match self.ask(Input::Entries(low, high, u64::MAX))? {
            Effect::Entries(found) => Ok(found),
            other => nonsense(&other),
        }
    }

    /// The term of an entry, as the storage says it.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn term(&mut self, index: u64) -> Outcome<Result<u64, Stop>> {
        match self.ask(Input::Term(index))? {
            Effect::Term(term) => Ok(term),
            other => nonsense(&other),
        }
    }

    /// Asks for a round, by whatever makes one.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn round(&mut self, input: Input) -> Outcome<Round> {
        match self.ask(input)? {
            Effect::Round(round) => Ok(*round),
            other => nonsense(&other),
        }
    }

    /// Asks the peer for something; whether it was taken.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn taken(&mut self, input: Input) -> Outcome<Result<(), Refused>> {
        match self.ask(input)? {
            Effect::Taken(taken) => Ok(taken),
            other => nonsense(&other),
        }
    }

    /// Applies entries.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn apply(&mut self, entries: Vec<Entry>) -> Outcome<Applied> {
        match self.ask(Input::Apply(entries))? {
            Effect::Outcome(Ok(outcome)) => Ok(outcome),
            other => nonsense(&other),
        }
    }

    /// A value of the data.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn get(&mut self, key: &str) -> Outcome<Option<String>> {
        match self.ask(Input::Get(key.into()))? {
            Effect::Value(value) => Ok(value.map(|v| String::from_utf8_lossy(&v).into_owned())),
            other => nonsense(&other),
        }
    }

    /// Where the peer would cut its log: encoded header and command.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn log_gc(
        &mut self,
        entries: u64,
        bytes: u64,
        durable: u64,
    ) -> Outcome<Option<(ByteBuf, ByteBuf)>> {
        match self.ask(Input::LogGc { entries, bytes, durable })? {
            Effect::Cut(cut) => Ok(cut),
            other => nonsense(&other),
        }
    }

    /// Builds a snapshot in parts of about this size: its encoded label.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn build(&mut self, part_bytes: usize) -> Outcome<ByteBuf> {
        match self.ask(Input::Build(part_bytes))? {
            Effect::Built(Ok(label)) => Ok(label),
            other => nonsense(&other),
        }
    }

    /// The parts of the snapshot that was built.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn parts(&mut self) -> Outcome<Vec<ByteBuf>> {
        match self.ask(Input::BuiltParts)? {
            Effect::Parts(Ok(parts)) => Ok(parts),
            other => nonsense(&other),
        }
    }

    /// Everything that the peer has in the data's file.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn dump(&mut self) -> Outcome<Dump> {
        match self.ask(Input::Dump)? {
            Effect::Dump(dump) => Ok(dump),
            other => nonsense(&other),
        }
    }

    /// The generator of this run.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.run.rng
    }

    /// Starts the parts again on these disks.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn restart_on(&mut self, disks: [Vec<u8>; 2]) -> Outcome {
        self.link = self.run.start()?;
        self.disks = disks.clone().map(DiskImage::of);
        let [kv, log] = disks;
        self.done(Input::Open { kv, log })
    }

    /// The power is gone: what was synced is there.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn power_cut(&mut self) -> Outcome {
        let synced = self.disks.each_ref().map(|disk| disk.synced().to_vec());
        self.restart_on(synced)
    }

    /// `raft.redb` was lost, and a new one is in its place. Whether the peer is opened.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn restart_with_a_new_log(&mut self) -> Outcome<Result<(), Stop>> {
        let kv = self.disks[0].synced().to_vec();
        self.restart_on([kv, Vec::new()])?;
        self.may_stop(Input::OpenStorage)
    }

    /// Cuts the power at up to `most` places of the last input, which came upon the disks as they were `before`: at each
    /// the parts are started again, and `check` looks at them. It is told whether the input had come to its end.
    ///
    /// # Errors
    /// As [`Bench::new`], and what `check` says.
    pub fn sweep(
        &mut self,
        before: &[DiskImage; 2],
        most: usize,
        mut check: impl FnMut(&mut Self, bool) -> Outcome,
    ) -> Outcome {
        let ops = self.last_ops.clone();
        // Between two effects, and behind the last one.
        let places = ops.len() + 1;
        let most = most.min(places);
        for visit in 0..most {
            let (from, to) = (visit * places / most, (visit + 1) * places / most);
            let cut =
                if visit + 1 == most { ops.len() } else { from + self.rng().below(to - from) };
            let mut disks = before.clone();
            for (file, op) in &ops[..cut] {
                disks[place(*file)].apply(op.clone());
            }
            let rng = &mut self.run.rng;
            let left = disks.map(|mut disk| disk.crash(rng));
            self.restart_on(left)?;
            check(self, cut == ops.len())?;
        }
        Ok(())
    }
}

fn place(file: File) -> usize {
    match file {
        File::Kv => 0,
        File::Log => 1,
    }
}

/// What this client was told, if it was told something.
pub fn told(all: &[(u32, Told)], number: u32) -> Option<&Told> {
    all.iter().find(|(of, _)| *of == number).map(|(_, told)| told)
}

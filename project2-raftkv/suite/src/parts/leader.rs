//! A peer that leads, and everything round it done at once.

use proto::eraftpb::MessageType;
use serde_bytes::ByteBuf;
use sim::failure::Outcome;

use super::bench::{Bench, INIT, Tester, must};
use super::letters::{accept, of_kind, vote};
use super::protocol::{Entry, Input, Round, Told};

/// What came of a peer's Readys, when all was done that they wanted.
#[derive(Debug, Default)]
pub struct Settled {
    /// What was sent, at once or later.
    pub sent: Vec<ByteBuf>,
    /// What was handed out to be applied.
    pub apply: Vec<Entry>,
    /// Who was told what.
    pub told: Vec<(u32, Told)>,
    /// The last round.
    pub last: Round,
}

impl<'w, 'a> Bench<'w, 'a> {
    /// Peer 1 of a region with these members, on a first start.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn peer(run: &'w mut Tester<'a>, members: u64) -> Outcome<Self> {
        let mut bench = Bench::region(run, members)?;
        bench.open()?;
        bench.done(Input::StartPeer { me: 1, max_uncommitted: u64::MAX })?;
        Ok(bench)
    }

    /// Peer 1, which leads term 6 and has done nothing yet: the mark of its term is in its log, not on its disk.
    ///
    /// # Errors
    /// As [`Bench::new`], and when it does not lead.
    pub fn elected(run: &'w mut Tester<'a>, members: u64) -> Outcome<Self> {
        let mut bench = Bench::peer(run, members)?;
        bench.done(Input::Campaign)?;
        for voter in 2..=members / 2 + 1 {
            bench.done(vote(voter, INIT.1 + 1))?;
        }
        Ok(bench)
    }

    /// Takes Readys, makes each durable, and goes on until there is none; applies nothing.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn persist_all(&mut self) -> Outcome<Settled> {
        let mut settled = Settled::default();
        for _ in 0..100 {
            let round = self.round(Input::Ready)?;
            let more = round.more;
            let ready = round.ready;
            settled.add(round);
            if let Some(number) = ready {
                self.done(Input::CommitRound)?;
                let after = self.round(Input::Persisted(number))?;
                settled.add(after);
            }
            if !more {
                return Ok(settled);
            }
        }
        must(
            false,
            "a peer does not come to rest",
            "nothing more has happened to it",
            "after a hundred Readys it has another",
        )?;
        Ok(settled)
    }

    /// The same, and applies what is handed out: the mark of a term, or puts.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn settle(&mut self) -> Outcome<Settled> {
        let mut settled = Settled::default();
        loop {
            let step = self.persist_all()?;
            let entries = step.apply.clone();
            settled.merge(step);
            if entries.is_empty() {
                return Ok(settled);
            }
            let places = entries.iter().map(|entry| (entry.index, entry.term)).collect();
            self.apply(entries)?;
            let after = self.round(Input::Applied(places))?;
            settled.add(after);
        }
    }

    /// Peer 1, which leads term 6; the mark of its term, entry 6, is committed and applied.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn leader(run: &'w mut Tester<'a>, members: u64) -> Outcome<Self> {
        let mut bench = Bench::elected(run, members)?;
        bench.settle()?;
        bench.acknowledged(members, 6)?;
        Ok(bench)
    }

    /// All others have everything up to this index; what follows from that is done.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn acknowledged(&mut self, members: u64, index: u64) -> Outcome<Settled> {
        for follower in 2..=members {
            self.done(accept(follower, INIT.1 + 1, index))?;
        }
        self.settle()
    }

    /// The contexts of heartbeats in these messages, each once.
    pub fn contexts(sent: &[ByteBuf]) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = of_kind(sent, MessageType::MsgHeartbeat)
            .into_iter()
            .map(|message| message.context.to_vec())
            .filter(|context| !context.is_empty())
            .collect();
        found.dedup();
        found
    }
}

impl Settled {
    fn add(&mut self, round: Round) {
        self.sent.extend(round.sent.iter().cloned());
        self.apply.extend(round.apply.iter().cloned());
        self.told.extend(round.told.iter().cloned());
        self.last = round;
    }

    fn merge(&mut self, later: Settled) {
        self.sent.extend(later.sent);
        self.apply.extend(later.apply);
        self.told.extend(later.told);
        self.last = later.last;
    }
}

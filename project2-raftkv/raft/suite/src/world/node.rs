//! One node that can be asked, crashed and restarted.
//!
//! By hand: [`Node::ready`] (or [`Node::take`] and [`Node::advance`]), [`Node::persisted`] and
//! [`Node::applied`] one at a time, to see what a node does in between. Or in one go: [`Node::settle`] takes every Ready, makes it durable, applies it, and
//! returns what left the node; [`Node::tell`], [`Node::ticks`] and the like end with it.
//!
//! What one node must keep by itself is checked on every answer; see [`Discipline`].

mod discipline;

use std::collections::VecDeque;

use proto::eraftpb::{ConfState, Entry, EntryType, HardState, Message, Snapshot};
use serde_bytes::ByteBuf;
use sim::failure::{Failure, Outcome};
use sim::link::Link;

pub use discipline::Discipline;

use crate::mail::{Mail, decode};
use crate::members::{self, Change};
use crate::notation;
use crate::protocol::{Config, Effect, Input, RaftNode, ReadyOut, Role, Status};
use crate::world::disk::Write;
use crate::world::{Disk, Lab, Setup};

/// A Ready, decoded.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Its number.
    pub number: u64,
    /// Whether it must be synced.
    pub must_sync: bool,
    /// The hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries to append.
    pub entries: Vec<Entry>,
    /// A snapshot to install.
    pub snapshot: Option<Snapshot>,
    /// What may leave at once.
    pub messages: Vec<Mail>,
    /// What may leave when this Ready is durable.
    pub persisted_messages: Vec<Mail>,
    /// What to apply.
    pub committed: Vec<Entry>,
    /// Which reads may be served at which index.
    pub reads: Vec<(u64, Vec<u8>)>,
}

/// A node under test.
pub struct Node<'l> {
    lab: &'l Lab<'l>,
    // None: it is down.
    link: Option<Box<dyn Link<RaftNode>>>,
    config: Config,
    /// Which node it is.
    pub id: u64,
    /// What it was told to keep.
    pub disk: Disk,
    /// What it must keep by itself.
    pub discipline: Discipline,
    /// The Ready that was taken last, until it is stored.
    taken: Option<Taken>,
    /// Messages that wait for their Ready to be durable.
    held: Vec<(u64, Vec<Mail>)>,
    /// Everything that was applied in this life, in order; snapshots are not in it.
    pub executed: Vec<Entry>,
    /// The reads that were released in this life: index, context.
    pub reads: Vec<(u64, Vec<u8>)>,
    /// Changes of members that were handed out, and are not applied yet.
    changes: VecDeque<Entry>,
    /// The members after each change that was applied in this life, and its index.
    pub confs: Vec<(u64, ConfState)>,
}

/// So many Ready rounds after one input are too many.
const ROUNDS: usize = 50;

impl<'l> Node<'l> {
    pub(super) fn start(lab: &'l Lab<'l>, setup: Setup) -> Outcome<Self> {
        let Setup { mut config, image } = setup;
        if config.seed == 0 {
            config.seed = lab.seed().wrapping_mul(1000).wrapping_add(config.id);
        }
        config.level = lab.level();
        let mut node = Node {
            lab,
            link: None,
            id: config.id,
            discipline: Discipline::new(config.id, 0),
            config,
            disk: Disk::new(image),
            taken: None,
            held: Vec::new(),
            executed: Vec::new(),
            reads: Vec::new(),
            changes: VecDeque::new(),
            confs: Vec::new(),
        };
        lab.tell(|to, now| to.starts(now, node.id));
        node.begin(node.config.applied)?;
        Ok(node)
    }

    /// Starts it on what is durable, with everything up to `applied` applied before, or up to the last change of
    /// members, if that is more.
    ///
    /// # Errors
    /// When it does not start; the same holds for everything below, for a node that is gone, or that
    /// breaks its own rules.
    pub fn boot(&mut self, applied: u64) -> Outcome {
        self.lab.tell(|to, now| to.boots(now, self.id));
        self.begin(applied)
    }

    fn begin(&mut self, applied: u64) -> Outcome {
        self.link = Some(self.lab.launch()?);
        let applied = applied.max(self.disk.durable().conf_index);
        self.config.applied = applied;
        self.discipline = Discipline::new(self.id, applied);
        self.taken = None;
        self.held.clear();
        self.executed.clear();
        self.reads.clear();
        self.changes.clear();
        self.confs.clear();
        let start = Input::Start(self.config.clone(), self.disk.durable().to_durable());
        self.done(start)?.map_err(|refusal| {
            Failure::broke(
                format!("n{} does not start", self.id),
                format!("its disk holds {}", self.show_disk()),
                format!("it refuses: {refusal}"),
            )
        })?;
        self.show();
        Ok(())
    }

    /// Kills it. Of the Readys that waited for the disk, the first `lucky` are there nevertheless.
    pub fn kill(&mut self, lucky: usize) {
        let waiting = self.disk.waiting().saturating_sub(lucky);
        self.lab.tell(|to, now| to.dies(now, self.id, waiting));
        self.link = None;
        self.taken = None;
        self.held.clear();
        self.disk.crash(lucky);
    }

    /// A power cut that loses everything which was not durable, and a restart with an empty state
    /// machine on top of the last snapshot.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn crash(&mut self) -> Outcome {
        self.kill(0);
        self.boot(self.disk.durable().truncated.0)
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.link.is_some()
    }

    /// The voters that the suite knows it to have on disk.
    pub fn voters(&self) -> &[u64] {
        &self.conf().voters
    }

    /// The members that the suite knows it to have on disk.
    pub fn conf(&self) -> &ConfState {
        &self.disk.written().conf
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn say(&mut self, input: Input) -> Outcome<Effect> {
        self.lab.count_input();
        let link = self.link.as_mut().ok_or_else(|| Failure::Undecided {
            why: "the test spoke to a node that is down".into(),
        })?;
        let mut effects = link.exchange(input)?;
        match (effects.pop(), effects.is_empty()) {
            (Some(effect), true) => Ok(effect),
            (effect, _) => Err(nonsense(effect.as_ref())),
        }
    }

    fn done(&mut self, input: Input) -> Outcome<Result<(), String>> {
        match self.say(input)? {
            Effect::Done(result) => Ok(result),
            other => Err(nonsense(Some(&other))),
        }
    }

    /// Says something that is answered with `Done`; the result is what it says to that.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn order(&mut self, input: Input) -> Outcome<Result<(), String>> {
        self.lab.note(self.id);
        let done = self.done(input)?;
        self.show();
        Ok(done)
    }

    // For the trace alone: no input of the test, and whatever is wrong with the answer is found where it matters.
    fn show(&mut self) {
        if !self.lab.recording() {
            return;
        }
        let Some(link) = &mut self.link else { return };
        if let Ok(effects) = link.exchange(Input::Status)
            && let Some(Effect::Status(status)) = effects.first()
        {
            self.lab.shows(self.id, status, &self.disk);
        }
    }

    /// Delivers a message, exactly as it was sent. A message may be refused, that is no failure.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn deliver(&mut self, mail: &Mail) -> Outcome {
        self.lab.note_bytes(&mail.bytes);
        self.lab.tell(|to, now| to.arrives(now, self.id, mail));
        self.done(Input::Step(mail.bytes.clone()))?.ok();
        self.show();
        Ok(())
    }

    /// Takes a Ready, if there is one, and puts it into the disk's queue.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn ready(&mut self) -> Outcome<Option<Taken>> {
        let taken = self.take()?;
        self.advance()?;
        Ok(taken)
    }

    /// Takes a Ready, if there is one, and does nothing about it yet. If the next thing is not
    /// [`Node::advance`], it was dropped.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn take(&mut self) -> Outcome<Option<Taken>> {
        let out = match self.say(Input::Ready)? {
            Effect::Idle => return Ok(None),
            Effect::Ready(out) => *out,
            other => return Err(nonsense(Some(&other))),
        };
        let mut taken = self.decoded(out)?;
        self.lab.leave(&mut taken.messages);
        self.discipline.on_ready(&self.disk, &taken)?;
        self.taken = Some(taken.clone());
        Ok(Some(taken))
    }

    /// Puts the Ready that was taken into the disk's queue, and tells the node.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn advance(&mut self) -> Outcome {
        let Some(taken) = self.taken.take() else { return Ok(()) };
        let restored = taken.snapshot.is_some();
        let write = Write {
            hard_state: taken.hard_state,
            entries: taken.entries,
            snapshot: taken.snapshot,
        };
        self.disk.write(taken.number, write);
        self.held.push((taken.number, taken.persisted_messages));
        self.executed.extend_from_slice(&taken.committed);
        if restored {
            // It holds them already.
            self.changes.clear();
        }
        let change = |entry: &&Entry| entry.entry_type != i32::from(EntryType::EntryNormal);
        self.changes.extend(taken.committed.iter().filter(change).cloned());
        self.reads.extend_from_slice(&taken.reads);
        self.done(Input::Advance)?.map_err(refused("Advance"))?;
        self.show();
        Ok(())
    }

    fn decoded(&self, out: ReadyOut) -> Outcome<Taken> {
        let mails = |all: Vec<ByteBuf>| -> Outcome<Vec<Mail>> {
            all.into_iter()
                .map(|bytes| {
                    self.lab.note_bytes(&bytes);
                    Mail::decode(bytes)
                })
                .collect()
        };
        let entries = |all: Vec<ByteBuf>| -> Outcome<Vec<Entry>> {
            all.iter().map(|bytes| decode(bytes)).collect()
        };
        Ok(Taken {
            number: out.number,
            must_sync: out.must_sync,
            hard_state: out.hard_state.map(|bytes| decode(&bytes)).transpose()?,
            entries: entries(out.entries)?,
            snapshot: out.snapshot.map(|bytes| decode(&bytes)).transpose()?,
            messages: mails(out.messages)?,
            persisted_messages: mails(out.persisted_messages)?,
            committed: entries(out.committed)?,
            reads: out.read_states.into_iter().map(|(i, ctx)| (i, ctx.into_vec())).collect(),
        })
    }

    /// Makes Ready `number` and all before it durable, tells the node, and returns the messages that
    /// waited for that.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn persisted(&mut self, number: u64) -> Outcome<Vec<Mail>> {
        self.lab.note(number);
        self.disk.persist(number);
        self.lab.tell(|to, now| to.synced(now, self.id));
        self.order(Input::Persisted(number))?.map_err(refused("Persisted"))?;
        let later = self.held.iter().position(|(n, _)| *n > number).unwrap_or(self.held.len());
        let mut mails: Vec<Mail> = self.held.drain(..later).flat_map(|(_, mails)| mails).collect();
        self.lab.leave(&mut mails);
        Ok(mails)
    }

    /// Applies the changes of members up to `index`, and tells the node that everything up to there is applied.
    ///
    /// # Errors
    /// As [`Node::boot`], and when it changes its members in another way than the entries say.
    pub fn applied(&mut self, index: u64) -> Outcome {
        while self.has_change(index)
            && let Some(entry) = self.changes.pop_front()
        {
            if let Ok(conf) = self.apply_change(Change::of(&entry)?)? {
                self.disk.change(entry.index, &conf);
                self.confs.push((entry.index, conf));
            }
        }
        self.order(Input::Applied(index))?.map_err(refused("Applied"))
    }

    /// Whether a change of members is among what it was given to apply, up to `index`, and has not applied.
    pub fn has_change(&self, index: u64) -> bool {
        self.changes.front().is_some_and(|entry| entry.index <= index)
    }

    /// Tells the node that this change is applied. Its answer, the members from now on, must be what the change says.
    ///
    /// # Errors
    /// As [`Node::boot`], and when it is not.
    pub fn apply_change(
        &mut self,
        change: impl Into<Change>,
    ) -> Outcome<Result<ConfState, String>> {
        let change = change.into();
        let wanted = change.made_of(self.conf());
        let answer = match self.say(change.applied())? {
            Effect::Conf(answer) => answer,
            other => return Err(nonsense(Some(&other))),
        };
        let before = format!(
            "the members of n{} were {}, and it applied: {}",
            self.id,
            members::show(self.conf()),
            change.show()
        );
        match (answer, wanted) {
            (Err(why), None) => Ok(Err(why)),
            (Err(why), Some(wanted)) => Err(Failure::broke(
                "a change of members is refused when it is applied",
                before,
                format!("it refuses: {why}; they should be {}", members::show(&wanted)),
            )),
            (Ok(bytes), wanted) => {
                let conf = members::sorted(decode(&bytes)?);
                // Whoever refuses may say so by changing nothing.
                if conf != wanted.unwrap_or_else(|| members::sorted(self.conf().clone())) {
                    let seen = format!("now it says that they are {}", members::show(&conf));
                    return Err(Failure::broke(
                        "a change of members makes the wrong group",
                        before,
                        seen,
                    ));
                }
                Ok(Ok(conf))
            }
        }
    }

    /// A change of members that the test makes up: it counts from now on, as if it had been in the log.
    ///
    /// # Errors
    /// As [`Node::boot`], and when the node refuses it.
    pub fn impose(&mut self, change: impl Into<Change>) -> Outcome {
        let conf = self.apply_change(change)?.map_err(refused("ApplyConfChange"))?;
        self.disk.change(self.discipline.applied(), &conf);
        Ok(())
    }

    /// Proposes a change of members, without settling; the result is the node's own.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn propose_change(&mut self, change: impl Into<Change>) -> Outcome<Result<(), String>> {
        self.order(change.into().proposed())
    }

    /// Asks it to hand over, and settles. What it answers shows in what it does.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn transfer(&mut self, to: u64) -> Outcome<Vec<Mail>> {
        let _ = self.order(Input::TransferLeader(to))?;
        self.settle()
    }

    /// Takes every Ready, makes each durable and applied, and returns what left the node.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn settle(&mut self) -> Outcome<Vec<Mail>> {
        let mut sent = Vec::new();
        for _ in 0..ROUNDS {
            let Some(taken) = self.ready()? else { return Ok(sent) };
            sent.extend(taken.messages);
            sent.extend(self.persisted(taken.number)?);
            let restored = taken.snapshot.and_then(|s| s.metadata).map(|m| m.index);
            if let Some(index) = taken.committed.last().map(|e| e.index).or(restored) {
                self.applied(index)?;
            }
        }
        Err(self.restless())
    }

    /// The failure of a node that has a Ready however many are taken.
    pub fn restless(&self) -> Failure {
        Failure::broke(
            "a node never runs out of Readys",
            format!("n{} got one input, and {ROUNDS} Readys were taken since", self.id),
            "each was made durable and applied, and still there is another one",
        )
    }

    /// Delivers a message and settles.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn tell(&mut self, message: Message) -> Outcome<Vec<Mail>> {
        self.deliver(&message.into())?;
        self.settle()
    }

    /// Lets `count` ticks go by, settling after each.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn ticks(&mut self, count: u64) -> Outcome<Vec<Mail>> {
        let mut sent = Vec::new();
        for _ in 0..count {
            self.order(Input::Tick)?.map_err(refused("Tick"))?;
            sent.extend(self.settle()?);
        }
        Ok(sent)
    }

    /// Makes it campaign, and settles.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn campaign(&mut self) -> Outcome<Vec<Mail>> {
        // A refusal shows in what it does next.
        let _ = self.order(Input::Campaign)?;
        self.settle()
    }

    /// Proposes, without settling; the result is the node's own.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn propose(&mut self, data: &[u8]) -> Outcome<Result<(), String>> {
        self.lab.note_bytes(data);
        self.order(Input::Propose(data.to_vec().into()))
    }

    /// Proposes what must be taken, and settles.
    ///
    /// # Errors
    /// As [`Node::boot`], and when the proposal is refused.
    pub fn offer(&mut self, data: &[u8]) -> Outcome<Vec<Mail>> {
        self.propose(data)?.map_err(|refusal| {
            Failure::broke(
                "a leader refuses a proposal",
                format!("n{} leads, and was given {}", self.id, sim::failure::show(data)),
                format!("it refuses: {refusal}"),
            )
        })?;
        self.settle()
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn status(&mut self) -> Outcome<Status> {
        let status = match self.say(Input::Status)? {
            Effect::Status(status) => *status,
            other => return Err(nonsense(Some(&other))),
        };
        self.lab.note(status.term << 32 | status.committed);
        self.discipline.on_status(&status)?;
        Ok(status)
    }

    /// Its log from `first` to `end` (exclusive), as it shows it.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn log(&mut self, first: u64, end: u64) -> Outcome<Result<Vec<Entry>, String>> {
        match self.say(Input::Log(first, end))? {
            Effect::Log(Ok(entries)) => {
                entries.iter().map(|bytes| decode(bytes)).collect::<Outcome<_>>().map(Ok)
            }
            Effect::Log(Err(why)) => Ok(Err(why)),
            other => Err(nonsense(Some(&other))),
        }
    }

    /// Whether it leads.
    ///
    /// # Errors
    /// As [`Node::boot`].
    pub fn leads(&mut self) -> Outcome<bool> {
        Ok(self.status()?.role == Role::Leader)
    }

    fn show_disk(&self) -> String {
        let image = self.disk.durable();
        let hard = notation::hard_state(&image.hard);
        let (index, term) = image.truncated;
        format!("{hard}, {} after {}", notation::entries(&image.entries), notation::at(index, term))
    }
}

fn refused(what: &'static str) -> impl Fn(String) -> Failure {
    move |why| Failure::Ended { how: format!("the subject refuses {what}: {why}") }
}

fn nonsense(effect: Option<&Effect>) -> Failure {
    Failure::Ended { how: format!("the subject answered something that was not asked: {effect:?}") }
}

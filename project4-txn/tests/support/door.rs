//! A door: a node that runs the coordinators of stage 4D for the world's clients.
//!
//! It is a driver like any other: it carries what a [`Client`] wants to whom it concerns, and tells it when no answer came. Of
//! transactions it knows as much as a user does.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use sim::cluster::protocol::{Channel, Effect, Event, Micros, NodeId};
use sim::history::{Bytes, Micro};
use txn::client::{Answer, Client, Config, Effect as Wanted, Outcome, Response};
use txn_suite::stage4d::config::DoorConfig;
use txn_suite::stage4d::talk::{
    FromOracle, FromStore, ORACLE, ToOracle, ToStore, Told, decode, encode,
};

/// A transaction of the world's.
struct Job {
    /// The world's number for it.
    id: u64,
    steps: VecDeque<Micro>,
    deadline: Micros,
    /// What its steps left so far.
    values: Vec<Option<Bytes>>,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    New,
    Working,
    Committing,
}

impl Job {
    /// Asks for what the next step needs: one key; or all that is left, if that is only read.
    fn next(&mut self, client: &mut Client, now: Micros) {
        let only_reads = self.steps.iter().all(|step| matches!(step, Micro::Read(_)));
        let wanted = if only_reads { self.steps.len() } else { 1 };
        let keys: Vec<Bytes> =
            self.steps.iter().take(wanted).map(|step| step.key().to_vec()).collect();
        if keys.is_empty() {
            self.stage = Stage::Committing;
            client.commit(now / 1_000);
        } else {
            client.get(&keys, now / 1_000);
        }
    }

    /// Does what can be done with what was found: reads, or one step that writes.
    fn take(&mut self, client: &mut Client, found: &BTreeMap<Bytes, Option<Bytes>>) {
        while let Some(step) = self.steps.front()
            && let Some(seen) = found.get(step.key())
        {
            let key = step.key().to_vec();
            let new = step.write(seen.as_deref());
            self.steps.pop_front();
            match new {
                None => self.values.push(seen.clone()),
                Some(value) => {
                    self.values.push(Some(value.clone()));
                    return client.put(key, value);
                }
            }
        }
    }
}

/// A coordinator, and what it works on.
struct Session {
    client: Client,
    job: Option<Job>,
}

/// A question that is on its way.
struct Asked {
    session: usize,
    /// The coordinator's number for it.
    id: u64,
    to: NodeId,
    until: Micros,
}

/// A door's life.
pub struct Door {
    config: DoorConfig,
    sessions: Vec<Session>,
    asked: BTreeMap<u64, Asked>,
    next_id: u64,
    effects: Vec<Effect>,
}

impl Door {
    pub fn new(config: DoorConfig) -> Self {
        Door {
            config,
            sessions: Vec::new(),
            asked: BTreeMap::new(),
            next_id: 0,
            effects: Vec::new(),
        }
    }

    pub fn handle(&mut self, event: Event, now: Micros) -> Vec<Effect> {
        match event {
            Event::Request { id, bytes, deadline, .. } => {
                let steps: Vec<Micro> = decode(&bytes).expect("the suite's own bytes");
                self.begin(Job {
                    id,
                    steps: steps.into(),
                    deadline,
                    values: Vec::new(),
                    stage: Stage::New,
                });
                self.go_on(now);
            }
            Event::Message { from: ORACLE, bytes, .. } => match decode(&bytes) {
                Some(FromOracle::Timestamp(id, ts)) => {
                    self.answer(id, Answer::Timestamp(ts.into()), now);
                }
                Some(FromOracle::Region(id, found)) => {
                    let found = found.and_then(|(region, leader)| {
                        let region = Box::new(proto::metapb::Region::decode(&region[..]).ok()?);
                        let leader = proto::metapb::Peer::decode(&leader[..]).ok()?;
                        Some(Answer::Region(region, Some(leader)))
                    });
                    self.answer(id, found.unwrap_or(Answer::Nothing), now);
                }
                _ => {}
            },
            Event::Message { bytes, channel: Channel::Client, .. } => {
                if let Some(FromStore { id, method, response }) = decode(&bytes) {
                    let response = response.and_then(|bytes| Response::decode(&method, &bytes));
                    let answer = response.map(|response| Answer::Response(Box::new(response)));
                    self.answer(id, answer.unwrap_or(Answer::Nothing), now);
                }
            }
            Event::Unreachable { to, .. } => {
                self.lose(now, |asked| asked.to == to);
            }
            Event::Tick => {
                self.lose(now, |asked| asked.until <= now);
                for session in &mut self.sessions {
                    session.client.tick(now / 1_000);
                }
                self.go_on(now);
                self.give_up(now);
            }
            _ => {}
        }
        std::mem::take(&mut self.effects)
    }

    fn begin(&mut self, job: Job) {
        let free = self.sessions.iter().position(|s| s.job.is_none() && !s.client.is_busy());
        let config = Config {
            lock_ttl: self.config.lock_ttl,
            one_pc: self.config.one_pc,
            tries: self.config.tries,
            ..Config::default()
        };
        if let Some(free) = free {
            self.sessions[free].job = Some(job);
        } else {
            self.sessions.push(Session { client: Client::new(config), job: Some(job) });
        }
    }

    fn answer(&mut self, id: u64, answer: Answer, now: Micros) {
        // It may come twice, or too late.
        let Some(asked) = self.asked.remove(&id) else { return };
        self.sessions[asked.session].client.answered(asked.id, answer, now / 1_000);
        self.go_on(now);
    }

    fn lose(&mut self, now: Micros, lost: impl Fn(&Asked) -> bool) {
        let ids: Vec<u64> =
            self.asked.iter().filter(|(_, asked)| lost(asked)).map(|(id, _)| *id).collect();
        for id in ids {
            self.answer(id, Answer::Nothing, now);
        }
    }

    /// Carries out what coordinators want, until they want nothing more.
    fn go_on(&mut self, now: Micros) {
        for n in 0..self.sessions.len() {
            let Session { client, job } = &mut self.sessions[n];
            if let Some(job) = job.as_mut().filter(|job| job.stage == Stage::New) {
                job.stage = Stage::Working;
                client.begin(now / 1_000);
            }
            loop {
                let wanted = self.sessions[n].client.take_effects();
                if wanted.is_empty() {
                    break;
                }
                for wanted in wanted {
                    self.carry_out(n, wanted, now);
                }
            }
        }
    }

    fn carry_out(&mut self, session: usize, wanted: Wanted, now: Micros) {
        self.next_id += 1;
        let number = self.next_id;
        let (id, to, channel, bytes) = match wanted {
            Wanted::AskTimestamp { id } => {
                (id, ORACLE, Channel::Scheduler, encode(&ToOracle::Timestamp(number)))
            }
            Wanted::AskRegion { id, position } => {
                (id, ORACLE, Channel::Scheduler, encode(&ToOracle::Region(number, position)))
            }
            Wanted::Send { id, store, request } => {
                let (method, bytes) = (request.method().to_owned(), request.encode().into());
                (id, store, Channel::Client, encode(&ToStore { id: number, method, bytes }))
            }
            Wanted::Done(outcome) => return self.done(session, outcome, now),
        };
        let until = now + self.config.patience * 1_000;
        self.asked.insert(number, Asked { session, id, to, until });
        self.effects.push(Effect::Send { to, channel, bytes });
    }

    /// A call is over: the next step, or the end.
    fn done(&mut self, session: usize, outcome: Outcome, now: Micros) {
        let Session { client, job: place } = &mut self.sessions[session];
        let Some(job) = place else { return };
        match outcome {
            Outcome::Began(_) => job.next(client, now),
            Outcome::Read(found) => {
                job.take(client, &found);
                job.next(client, now);
            }
            Outcome::Committed(_) => {
                let told = Told::Committed(std::mem::take(&mut job.values));
                self.tell(session, &told);
            }
            Outcome::Unknown(why) => self.tell(session, &Told::Unknown(why)),
            Outcome::Aborted(why) => self.tell(session, &Told::Aborted(why)),
            Outcome::Failed(why) => {
                client.forget();
                self.tell(session, &Told::Aborted(why));
            }
        }
    }

    fn tell(&mut self, session: usize, told: &Told) {
        if let Some(job) = self.sessions[session].job.take() {
            self.effects.push(Effect::Reply { id: job.id, result: Ok(encode(told)) });
        }
    }

    /// Users whose patience is over are told so. A commit that is under way goes on.
    fn give_up(&mut self, now: Micros) {
        for n in 0..self.sessions.len() {
            let Session { client, job } = &mut self.sessions[n];
            let Some(job) = job.as_ref().filter(|job| job.deadline <= now) else { continue };
            let told = if job.stage == Stage::Committing {
                Told::Unknown("the commit takes too long".into())
            } else {
                client.forget();
                Told::Aborted("it takes too long".into())
            };
            self.tell(n, &told);
        }
    }
}

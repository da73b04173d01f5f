//! Clients: sessions with a list of operations, and what each attempt came to.
//!
//! The rules are the official clients', made simple: a hint is followed at once, "not leader" without a hint and
//! "try again" cost a pause that doubles, and after ten attempts the client gives up. An attempt of which nobody
//! knows the end stays open in the history; if the client tries again, that is a second attempt, and both may
//! take effect.

use std::collections::VecDeque;

use serde_bytes::ByteBuf;

use super::{Due, World};
use crate::cluster::dialect::Answer;
use crate::cluster::plan::PlannedOp;
use crate::cluster::protocol::{Micros, NodeId, Status};
use crate::coverage;
use crate::failure::{Failure, Outcome};
use crate::history::{Op, UNSENT, at, plain};
use crate::rng::Draw;
use crate::trace::Event as Traced;

/// Names an attempt: its request's id.
pub type CallId = u64;

/// How an attempt ended, as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// The store responded.
    Answered(Answer),
    /// The store gave a status instead of a response.
    Status(Status),
    /// The store was down: the request never got there.
    Unsent,
    /// The connection broke while the client waited.
    Reset,
    /// The client waited long enough.
    TimedOut,
    /// Bytes that the dialect has not looked at yet.
    Raw(Vec<u8>),
}

impl CallEnd {
    pub(super) fn of(result: Result<ByteBuf, Status>) -> Self {
        match result {
            Ok(bytes) => CallEnd::Raw(bytes.into_vec()),
            Err(status) => CallEnd::Status(status),
        }
    }

    /// The result, if there is one.
    pub fn result(&self) -> Option<&crate::history::OpResult> {
        match self {
            CallEnd::Answered(Answer::Result(result)) => Some(result),
            _ => None,
        }
    }

    /// Whether it is certain that nothing was done.
    pub fn never_happened(&self) -> bool {
        match self {
            CallEnd::Answered(answer) => {
                matches!(answer, Answer::NotLeader(_) | Answer::Retry(_) | Answer::Refused(_))
            }
            CallEnd::Status(status) => status.definite,
            CallEnd::Unsent => true,
            _ => false,
        }
    }

    fn text(&self) -> String {
        match self {
            CallEnd::Answered(Answer::Result(result)) => result.to_string(),
            CallEnd::Answered(Answer::NotLeader(Some(hint))) => format!("not leader, ask n{hint}"),
            CallEnd::Answered(Answer::NotLeader(None)) => "not leader".into(),
            CallEnd::Answered(
                Answer::Retry(why)
                | Answer::Refused(why)
                | Answer::Unknown(why)
                | Answer::Nonsense(why),
            ) => why.clone(),
            CallEnd::Status(status) => status.text.clone(),
            CallEnd::Unsent => UNSENT.into(),
            CallEnd::Reset => "the connection broke".into(),
            CallEnd::TimedOut => "no answer in time".into(),
            CallEnd::Raw(_) => "a response".into(),
        }
    }
}

/// An attempt.
#[derive(Debug)]
pub(super) struct Call {
    pub client: u64,
    pub node: NodeId,
    pub op: Op,
    pub history: usize,
    pub since: Micros,
    request: Option<(String, Vec<u8>)>,
    session: bool,
    pub end: Option<CallEnd>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Client {
    ops: VecDeque<PlannedOp>,
    /// The operation under way, and how often it was tried.
    current: Option<(Op, u32)>,
    pub call: Option<CallId>,
    target: NodeId,
    pause: Micros,
    /// Gives up on nothing: for the reads at the end.
    pub patient: bool,
}

impl Client {
    pub fn done(&self) -> bool {
        self.ops.is_empty() && self.current.is_none()
    }
}

impl World<'_, '_> {
    /// Adds operations to their clients' sessions, which begin now.
    pub(super) fn begin_sessions(&mut self, ops: &[PlannedOp], patient: bool) {
        let mut fresh = Vec::new();
        for planned in ops {
            let id = planned.client;
            if !self.clients.contains_key(&id) {
                let ids = self.setup.doors();
                let first = Draw::of(self.run.seed, "first store", &[id])
                    .between((0, ids.len() as u64 - 1));
                let target = ids[usize::try_from(first).unwrap_or_default()];
                let client = Client {
                    ops: VecDeque::new(),
                    current: None,
                    call: None,
                    target,
                    pause: 0,
                    patient,
                };
                self.clients.insert(id, client);
                fresh.push((id, planned.think));
            }
            if let Some(client) = self.clients.get_mut(&id) {
                client.ops.push_back(planned.clone());
            }
        }
        for (id, think) in fresh {
            self.later(self.now + think, Due::Wakes(id));
        }
    }

    /// A client goes on: with the next attempt of its operation, or with the next operation.
    pub(super) fn wakes(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id).filter(|client| client.call.is_none()) else {
            return;
        };
        if client.current.is_none() {
            let Some(next) = client.ops.pop_front() else { return };
            client.current = Some((next.op, 0));
            client.pause = self.setup.clients.backoff.0;
        }
        let Some((op, attempts)) = &mut client.current else { return };
        *attempts += 1;
        let (op, target) = (op.clone(), client.target);
        let call = self.ask(id, op, target, true);
        if let Some(client) = self.clients.get_mut(&id) {
            client.call = Some(call);
        }
    }

    pub(super) fn ask(&mut self, client: u64, op: Op, node: NodeId, session: bool) -> CallId {
        let now = self.now;
        let history = self.history.begin(client, node, op.clone(), now);
        let id = history as u64 + 1;
        let request = Some(self.dialect.request(client, &op, node));
        self.trace.line(now, || Traced::Call {
            op: history,
            client,
            n: node,
            txn: None,
            text: op.to_string(),
            key: op.key().map(plain).unwrap_or_default(),
        });
        self.calls.insert(
            id,
            Call { client, node, op, history, since: now, request, session, end: None },
        );
        let rules = self.setup.clients;
        self.later(now + rules.timeout, Due::TimesOut(id));
        let mut draw = Draw::of(self.run.seed, "request", &[client, now]);
        if !draw.chance(rules.loss) || self.calm {
            let arrives = now + draw.between(rules.latency);
            self.later(arrives, Due::Ask(id));
        }
        id
    }

    /// A request gets to its store.
    pub(super) fn arrives(&mut self, id: CallId) -> Outcome {
        let up = |world: &Self, node| world.is_up(node);
        let Some(call) = self.calls.get_mut(&id) else { return Ok(()) };
        let (node, what) = (call.node, call.op.to_string());
        let Some(request) = call.request.take() else { return Ok(()) };
        if !up(self, node) {
            self.answer_leaves(id, CallEnd::Unsent);
            return Ok(());
        }
        let patience = self.setup.clients.deadline;
        self.asked(node, id, request, what, patience)
    }

    /// An answer leaves its store.
    pub(super) fn answer_leaves(&mut self, id: CallId, end: CallEnd) {
        let rules = self.setup.clients;
        let Some(call) = self.calls.get(&id) else { return };
        let mut draw = Draw::of(self.run.seed, "answer", &[call.client, self.now]);
        if matches!(end, CallEnd::Raw(_)) && draw.chance(rules.loss) && !self.calm {
            return;
        }
        let arrives = self.now + draw.between(rules.latency);
        self.later(arrives, Due::Told(id, end));
    }

    /// A client knows what to think of an attempt.
    pub(super) fn told(&mut self, id: CallId, end: CallEnd) -> Outcome {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.end.is_none()) else {
            return Ok(()); // too late
        };
        let end = match end {
            CallEnd::Raw(bytes) => {
                CallEnd::Answered(self.dialect.answer(call.client, &call.op, call.node, &bytes))
            }
            end => end,
        };
        if let CallEnd::Answered(Answer::Nonsense(why)) = &end {
            return Err(Failure::broke(
                "an answer that no correct store gives",
                format!(
                    "client {} asked n{} to {} at {}",
                    call.client,
                    call.node,
                    call.op,
                    at(call.since)
                ),
                format!("the answer at {}: {why}", at(now)),
            ));
        }
        call.end = Some(end.clone());
        let (client, history, session) = (call.client, call.history, call.session);
        let how = if let Some(result) = end.result() {
            self.coverage.hit(coverage::ACKED);
            self.history.returned(history, now, result.clone());
            "ok"
        } else if end.never_happened() {
            self.coverage.hit(coverage::REFUSED);
            self.history.never_happened(history, now, end.text());
            "never"
        } else {
            self.coverage.hit(coverage::INDEFINITE);
            "unknown"
        };
        self.trace.mix(&[10, now, id], how.as_bytes());
        self.trace.line(now, || Traced::Return { op: history, how: how.into(), text: end.text() });
        if session {
            self.goes_on(client, &end);
            // Only sessions' calls are many, and nobody asks for them again.
            self.calls.remove(&id);
        }
        Ok(())
    }

    fn goes_on(&mut self, id: u64, end: &CallEnd) {
        let rules = self.setup.clients;
        let ids = self.setup.doors();
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.call = None;
        let mut luck = Draw::of(self.run.seed, "retry", &[id, self.now]);
        let attempts = client.current.as_ref().map_or(0, |(_, attempts)| *attempts);
        let may_retry = client.patient || self.calm || attempts < rules.attempts;
        let elsewhere = |client: &mut Client| {
            let place = ids.iter().position(|n| *n == client.target).unwrap_or_default();
            client.target = ids[(place + 1) % ids.len()];
        };
        let wait = match end {
            CallEnd::Answered(Answer::NotLeader(Some(hint))) if may_retry => {
                client.target = *hint;
                // At once, as T6 says; a circle of hints ends with the attempts.
                Some(if self.calm || client.patient { rules.backoff.0 } else { 0 })
            }
            CallEnd::Answered(Answer::NotLeader(None) | Answer::Retry(_)) | CallEnd::Unsent
                if may_retry =>
            {
                elsewhere(client);
                Some(client.back_off(rules.backoff.1, &mut luck))
            }
            CallEnd::Status(status) if status.definite && may_retry => {
                elsewhere(client);
                Some(client.back_off(rules.backoff.1, &mut luck))
            }
            _ if end.result().is_some() || end.never_happened() => None,
            // Indefinite.
            _ => {
                elsewhere(client);
                let again = may_retry && (client.patient || luck.chance(rules.retry_unknown));
                again.then(|| client.back_off(rules.backoff.1, &mut luck))
            }
        };
        let wait = wait.unwrap_or_else(|| {
            client.current = None;
            client.ops.front().map(|next| next.think).unwrap_or_default()
        });
        self.later(self.now + wait, Due::Wakes(id));
    }
}

impl Client {
    fn back_off(&mut self, most: Micros, luck: &mut Draw) -> Micros {
        let pause = self.pause.min(most);
        self.pause = (self.pause * 2).min(most);
        pause + luck.between((0, 1_000))
    }
}

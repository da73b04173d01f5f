//! The dialect of these worlds: whole transactions for doors; and the scheduler and the oracle, which the judge plays.

use std::cell::RefCell;
use std::rc::Rc;

use multiraft_suite::stage3b::dialect::ManyRegions;
use multiraft_suite::stage3b::pd::Pd;
use multiraft_suite::stage3b::talk::SCHEDULER;
use prost::Message as _;
use sim::cluster::dialect::{Answer, Dialect, MessageInfo};
use sim::cluster::protocol::{Channel, Micros, NodeId};
use sim::cluster::setup::SECOND;
use sim::history::{Op, OpResult};
use sim::trace::Event;

use super::config::{DOOR, PATIENCE};
use super::spans::Spans;
use super::talk::{FromOracle, FromStore, ORACLE, ToOracle, ToStore, Told, decode, encode};
use crate::parts4d::desk::position;

/// The client whose operations are commands: see [`Order`].
pub const COMMANDER: u64 = 999;

/// A command that goes to a store as it is, and what came back.
#[derive(Debug, Default)]
pub struct Order {
    /// The RPC, and the encoded request.
    pub command: Option<(String, Vec<u8>)>,
    /// The encoded response.
    pub answered: Option<Vec<u8>>,
}

/// Transactions, many regions, and time.
pub struct Oracle {
    regions: ManyRegions,
    last_ts: u64,
    /// Whether garbage is collected.
    collects: bool,
    order: Rc<RefCell<Order>>,
    spans: Spans,
}

impl Oracle {
    /// Beside this scheduler.
    pub fn new(pd: Pd) -> Self {
        Self::beside(Rc::new(RefCell::new(pd)))
    }

    /// Beside a scheduler that the test keeps.
    pub fn beside(pd: Rc<RefCell<Pd>>) -> Self {
        let order = Rc::default();
        Oracle {
            regions: ManyRegions { pd },
            last_ts: 0,
            collects: false,
            order,
            spans: Spans::default(),
        }
    }

    /// The commander's operations are what is put there.
    #[must_use]
    pub fn commanded_by(self, order: Rc<RefCell<Order>>) -> Self {
        Oracle { order, ..self }
    }

    /// Everything that no transaction can see any more is collected.
    #[must_use]
    pub fn collecting(self) -> Self {
        Oracle { collects: true, ..self }
    }

    fn answer_to(&mut self, now: Micros, question: ToOracle) -> FromOracle {
        match question {
            ToOracle::Timestamp(id) => {
                self.last_ts = ((now / 1_000) << 18).max(self.last_ts + 1);
                FromOracle::Timestamp(id, self.last_ts)
            }
            ToOracle::Region(id, position) => {
                let pd = self.regions.pd.borrow();
                let found = pd.find(&position).map(|(region, leader)| {
                    (region.encode_to_vec().into(), leader.encode_to_vec().into())
                });
                FromOracle::Region(id, found)
            }
            // Whatever began earlier has been given up by its user, or by the door at its next tick.
            ToOracle::SafePoint => {
                let over = if self.collects { now.saturating_sub(PATIENCE + SECOND) } else { 0 };
                FromOracle::SafePoint((over / 1_000) << 18)
            }
        }
    }
}

impl Dialect for Oracle {
    fn request(&mut self, client: u64, op: &Op, _: NodeId) -> (String, Vec<u8>) {
        match op {
            _ if client == COMMANDER => self.order.borrow_mut().command.take().unwrap_or_default(),
            Op::Txn(steps) => ("Txn".into(), encode(steps).into_vec()),
            _ => ("nothing".into(), Vec::new()),
        }
    }

    fn answer(&mut self, client: u64, _: &Op, _: NodeId, response: &[u8]) -> Answer {
        if client == COMMANDER {
            self.order.borrow_mut().answered = Some(response.to_vec());
            return Answer::Refused("answered".into());
        }
        match decode(response) {
            Some(Told::Committed(values)) => Answer::Result(OpResult::Txn(values)),
            Some(Told::Aborted(why)) => Answer::Refused(why),
            Some(Told::Unknown(why)) => Answer::Unknown(why),
            None => Answer::Nonsense("a door's answer does not decode".into()),
        }
    }

    fn hears(
        &mut self,
        now: Micros,
        from: NodeId,
        to: NodeId,
        bytes: &[u8],
    ) -> Vec<(NodeId, Vec<u8>)> {
        match to {
            SCHEDULER => self.regions.hears(now, from, to, bytes),
            ORACLE => {
                let question = decode::<ToOracle>(bytes);
                let answer = question.map(|question| self.answer_to(now, question));
                answer.iter().map(|answer| (from, encode(answer).into_vec())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn message(&mut self, from: NodeId, to: NodeId, channel: Channel, bytes: &[u8]) -> MessageInfo {
        let said = |kind: &str, text: String| MessageInfo {
            kind: kind.to_owned(),
            text,
            ..MessageInfo::default()
        };
        match channel {
            Channel::Client if from >= DOOR => match decode::<ToStore>(bytes) {
                Some(asked) => said(&asked.method, format!("question {}", asked.id)),
                None => said("nonsense", String::new()),
            },
            Channel::Client => match decode::<FromStore>(bytes) {
                Some(given) => said(&given.method, format!("answer {}", given.id)),
                None => said("nonsense", String::new()),
            },
            Channel::Scheduler if to == ORACLE => {
                said("Oracle", format!("{:?}", decode::<ToOracle>(bytes)))
            }
            _ => self.regions.message(from, to, channel, bytes),
        }
    }

    fn traced(
        &mut self,
        (from, to, channel): (NodeId, NodeId, Channel),
        bytes: &[u8],
        info: &mut MessageInfo,
    ) -> Vec<Event> {
        if channel != Channel::Client {
            return Vec::new();
        }
        if from >= DOOR {
            if let Some(question) = decode::<ToStore>(bytes) {
                info.text = self.spans.asks(from, question);
            }
            return Vec::new();
        }
        let Some(answer) = decode::<FromStore>(bytes) else { return Vec::new() };
        let pd = self.regions.pd.borrow();
        self.spans.answers(from, to, &answer, |region, key| {
            pd.find(&position(key)).is_some_and(|(found, _)| found.id == region)
        })
    }
}

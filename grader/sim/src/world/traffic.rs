//! Messages between stores: sent, lost, doubled, delivered.

use serde_bytes::ByteBuf;

use super::network::Fate;
use super::{Due, Node, World};
use crate::cluster::protocol::{Channel, Event, NodeId};
use crate::coverage;
use crate::failure::{Failure, Outcome};
use crate::history::at;
use crate::trace::Event as Traced;

impl World<'_, '_> {
    pub(super) fn send(
        &mut self,
        from: NodeId,
        to: NodeId,
        channel: Channel,
        bytes: ByteBuf,
    ) -> Outcome {
        let now = self.now;
        self.trace.mix(&[6, now, from, to], &bytes);
        if let Some(node) = self.nodes.get_mut(&from) {
            let (second, count) = &mut node.sent_in_second;
            if now / 1_000_000 != *second {
                (*second, *count) = (now / 1_000_000, 0);
            }
            *count += 1;
            if *count > self.setup.limits.messages_per_second {
                return Err(Failure::broke(
                    "a store floods the network",
                    format!("no store needs {count} messages a second"),
                    format!("n{from} sent as many in the second before {}", at(now)),
                ));
            }
        }
        let mut info = self.dialect.message(from, to, channel, &bytes);
        let mut told = Vec::new();
        if self.trace.recording() {
            told = self.dialect.traced((from, to, channel), &bytes, &mut info);
        }
        self.messages += 1;
        let id = self.messages;
        let size = bytes.len();
        self.trace.line(now, || Traced::Send {
            n: from,
            to,
            id,
            ch: channel,
            kind: info.kind.clone(),
            text: info.text.clone(),
            region: info.region,
            bytes: size,
        });
        for event in told {
            self.trace.line(now, || event);
        }
        self.monitors.sent(from, now, &info)?;
        if !self.nodes.contains_key(&to) {
            self.heard_by_helper(id, from, to, channel, &bytes);
            return Ok(());
        }
        if to == from {
            self.dropped(id, "nobody there");
            return Ok(());
        }
        match self.network.send(from, to, channel, now) {
            Fate::Lost(why) => {
                self.dropped(id, why);
                if why == "partition" {
                    self.undelivered(from, to, channel);
                }
            }
            Fate::Arrives(times) => {
                if times.len() > 1 {
                    self.coverage.hit(coverage::DUPLICATED);
                    self.trace.line(now, || Traced::Duplicate { id });
                }
                for time in times {
                    let bytes = bytes.clone();
                    self.later(
                        time,
                        Due::Deliver { message: id, from, to, channel, bytes, order: id },
                    );
                }
            }
        }
        Ok(())
    }

    // Who is no store may be somebody whom the suite plays. It answers at once; its answers take their time.
    fn heard_by_helper(
        &mut self,
        id: u64,
        from: NodeId,
        to: NodeId,
        channel: Channel,
        bytes: &[u8],
    ) {
        let now = self.now;
        let answers = self.dialect.hears(now, from, to, bytes);
        if answers.is_empty() {
            self.dropped(id, "nobody there");
        }
        for (node, bytes) in answers {
            self.messages += 1;
            let message = self.messages;
            if let Fate::Arrives(times) = self.network.send(to, node, channel, now) {
                for time in times {
                    let bytes = ByteBuf::from(bytes.clone());
                    let due = Due::Deliver {
                        message,
                        from: to,
                        to: node,
                        channel,
                        bytes,
                        order: message,
                    };
                    self.later(time, due);
                }
            }
        }
    }

    fn dropped(&mut self, id: u64, why: &str) {
        self.coverage.hit(coverage::DROPPED);
        self.trace.line(self.now, || Traced::Drop { id, why: why.to_owned() });
    }

    // A connection that breaks is noticed, often.
    fn undelivered(&mut self, from: NodeId, to: NodeId, channel: Channel) {
        let Some(node) = self.nodes.get(&from) else { return };
        let mut luck = node.luck("unreachable", self.now);
        if luck.chance(50) {
            let at = self.now + luck.between((1_000, 100_000));
            let life = node.life;
            self.later(at, Due::Unreachable { node: from, life, to, channel });
        }
    }

    pub(super) fn unreachable(
        &mut self,
        id: NodeId,
        life: u64,
        to: NodeId,
        channel: Channel,
    ) -> Outcome {
        match self.nodes.get(&id) {
            Some(node) if node.life == life => self.happens(id, Event::Unreachable { to, channel }),
            _ => Ok(()),
        }
    }

    pub(super) fn deliver(
        &mut self,
        id: u64,
        (from, to, channel): (NodeId, NodeId, Channel),
        bytes: ByteBuf,
        order: u64,
    ) -> Outcome {
        if self.network.is_cut(from, to) {
            self.dropped(id, "partition");
            return Ok(());
        }
        if !self.nodes.get(&to).is_some_and(Node::up) {
            self.dropped(id, "down");
            self.undelivered(from, to, channel);
            return Ok(());
        }
        let latest = self.arrived.entry((from, to, channel)).or_default();
        if *latest > order {
            self.coverage.hit(coverage::REORDERED);
        }
        *latest = order.max(*latest);
        self.coverage.hit(coverage::DELIVERED);
        self.trace.line(self.now, || Traced::Deliver { n: to, id });
        self.happens(to, Event::Message { from, channel, bytes })
    }
}

//! What goes wrong: the network, the disks, the nodes.

use sim::failure::Outcome;

use super::{Chaos, Event, TICK};
use crate::mail::Mail;
use crate::protocol::Input;
use crate::world::recorder::Recorder;

impl Chaos<'_> {
    /// A message sets out: it may be lost, delayed, doubled.
    pub(super) fn travel(&mut self, mail: Mail) {
        if self.healed {
            let delay = 1 + self.draw(20);
            self.at(delay, Event::Deliver(Box::new(mail)));
            return;
        }
        let copies = if self.rng.chance(self.plan.loss) {
            self.coverage.lost += 1;
            self.lab.tell(|to, now| to.lost(now, &mail, "loss"));
            // A transport tells the leader that its snapshot is lost, sooner or later.
            if mail.kind() == proto::eraftpb::MessageType::MsgSnapshot {
                let (node, to) = (mail.msg.from, mail.msg.to);
                let life = self.lives[&node];
                let delay = TICK + self.draw(5 * TICK);
                self.at(delay, Event::Report { node, life, to, arrived: false });
            }
            0
        } else if self.rng.chance(self.plan.duplicate) {
            self.coverage.duplicated += 1;
            self.lab.tell(|to, now| to.doubled(now, &mail));
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut delay = 1 + self.draw(self.plan.delay);
            if self.rng.chance(self.plan.straggle) {
                self.coverage.reordered += 1;
                delay += self.draw(30 * TICK);
            }
            self.at(delay, Event::Deliver(Box::new(mail.clone())));
        }
    }

    /// Something goes wrong; it comes right again some time later. Returns what it is.
    pub(super) fn fault(&mut self) -> String {
        let ids = self.ids();
        if self.rng.chance(self.plan.crashes) {
            // Leaders die more often than others: that is where it hurts.
            let id = match self.leader() {
                Some(leader) if self.rng.chance(50) => leader,
                _ => *self.rng.pick(&ids),
            };
            if self.nodes[&id].is_up() {
                let waiting = self.nodes[&id].disk.waiting();
                self.coverage.crashes_before_persist += u64::from(waiting > 0);
                let lucky = self.rng.below(waiting + 1);
                self.kill(id, lucky);
                return format!(
                    "n{id} dies, with {} of its writes not on the disk",
                    waiting - lucky
                );
            }
            return format!("n{id} would die, and is down already");
        }
        self.cut.clear();
        let kind = 1 + self.rng.below(4);
        self.coverage.partitions += 1;
        let pause = 5 * TICK + self.draw(30 * TICK);
        self.at(pause, Event::Mend);
        let victim = match self.leader() {
            Some(leader) if kind < 4 => leader,
            _ => *self.rng.pick(&ids),
        };
        for &a in &ids {
            for &b in &ids {
                let cut = match kind {
                    // A leader, or somebody, is alone.
                    1 | 4 => (a == victim) != (b == victim),
                    // A leader that is heard and hears nothing, or hears and is not heard.
                    2 => b == victim,
                    // Single links, each for itself.
                    _ => self.rng.chance(40),
                };
                if cut && a != b {
                    self.cut.insert((a, b));
                }
            }
        }
        self.lab.tell(|to, now| to.cuts(now, &self.cut));
        match kind {
            1 | 4 => format!("n{victim} is alone for {} ticks", pause / TICK),
            2 => format!("nothing arrives at n{victim} for {} ticks", pause / TICK),
            _ => {
                let dead: Vec<String> =
                    self.cut.iter().map(|(from, to)| format!("n{from} -> n{to}")).collect();
                format!("dead links for {} ticks: {}", pause / TICK, dead.join(", "))
            }
        }
    }

    /// A node dies; it comes back some time later.
    pub(super) fn kill(&mut self, id: u64, lucky: usize) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.kill(lucky);
        self.statuses.remove(&id);
        self.monitors.on_crash(&self.nodes[&id]);
        *self.lives.entry(id).or_default() += 1;
        self.coverage.crashes += 1;
        let delay = 1 + self.draw(25 * TICK);
        self.at(delay, Event::Restart(id));
    }

    /// A node comes back with what is durable.
    pub(super) fn restart(&mut self, id: u64) -> Outcome {
        if self.nodes[&id].is_up() || self.gone.contains(&id) {
            return Ok(());
        }
        self.disk_free.remove(&id);
        self.apply_free.remove(&id);
        self.flushed_by_snapshot(id);
        let flushed = self.flushed.get(&id).copied().unwrap_or(0);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.disk.know_committed(flushed);
        node.boot(flushed)?;
        self.after(id)?;
        // What can be sent to others is made from the state machine at once.
        if flushed > 0 {
            let data = format!("state at {flushed}").into_bytes();
            self.order(id, Input::MakeSnapshot(flushed, data.into()))?;
        }
        Ok(())
    }

    /// The bad time is over: everybody comes back, every link works, every disk is fast.
    pub(super) fn heal(&mut self) -> Outcome {
        self.healed = true;
        self.cut.clear();
        self.lab.tell(Recorder::heals);
        let bad = |event: &Event| {
            matches!(event, Event::Fault | Event::Restart(_) | Event::Change | Event::Transfer)
        };
        self.events.retain(|_, event| !bad(event));
        for id in self.ids() {
            self.restart(id)?;
            self.after(id)?;
        }
        Ok(())
    }
}

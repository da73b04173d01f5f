//! Begins what a schedule says, and mends it.

use super::node::Trap;
use super::{Due, World};
use crate::cluster::faults::{Fault, TimedFault};
use crate::cluster::protocol::{Micros, NodeId};
use crate::coverage;
use crate::failure::Outcome;
use crate::trace::Event as Traced;

/// What mends a fault.
#[derive(Debug, Default)]
pub(super) struct Undo {
    cuts: Vec<(NodeId, NodeId)>,
    slow_links: Vec<(NodeId, NodeId)>,
    start: Option<NodeId>,
    paused: Option<NodeId>,
    slow_disk: Option<NodeId>,
    drifted: Option<NodeId>,
    disk: Option<NodeId>,
    weather: bool,
}

impl World<'_, '_> {
    /// Puts a schedule into the queue.
    pub(super) fn schedule_all(&mut self, faults: &[TimedFault]) {
        for fault in faults {
            let at = fault.at;
            let number = self.schedule(fault.clone());
            self.later(at, Due::FaultBegins(number));
        }
    }

    pub(super) fn schedule(&mut self, fault: TimedFault) -> usize {
        let number = self.next_fault;
        self.next_fault += 1;
        self.faults.insert(number, fault);
        number
    }

    pub(super) fn fault_begins(&mut self, number: usize) -> Outcome {
        if self.calm {
            return Ok(());
        }
        let Some(timed) = self.faults.get(&number).cloned() else { return Ok(()) };
        let until = self.now.saturating_add(timed.lasts);
        let mut undo = Undo::default();
        let mut struck = Vec::new();
        let mut crash = None;
        let others = |world: &Self, node| -> Vec<NodeId> {
            world.setup.ids().into_iter().filter(|id| *id != node).collect()
        };
        let who = match &timed.fault {
            Fault::Crash(who, _)
            | Fault::CrashAt(who, ..)
            | Fault::Isolate(who)
            | Fault::Half(who, _)
            | Fault::SlowDisk(who, _)
            | Fault::DiskError(who, ..)
            | Fault::Pause(who)
            | Fault::Drift(who, _) => self.who(*who),
            _ => None,
        };
        struck.extend(who);
        match &timed.fault {
            Fault::Partition(groups) => {
                let side = |n: NodeId| groups.iter().position(|group| group.contains(&n));
                for from in self.setup.ids() {
                    let cut = others(self, from).into_iter().filter(|to| side(from) != side(*to));
                    undo.cuts.extend(cut.map(|to| (from, to)));
                }
                struck.extend(groups.concat());
            }
            Fault::OneWay(from, to) => {
                undo.cuts.push((*from, *to));
                struck.extend([*from, *to]);
            }
            Fault::SlowLink(from, to, extra) => {
                self.network.slow(*from, *to, *extra);
                undo.slow_links.push((*from, *to));
                struck.extend([*from, *to]);
            }
            Fault::DropNext(from, to, channel, count) => {
                self.network.drop_next(*from, *to, *channel, *count);
                struck.extend([*from, *to]);
            }
            Fault::Weather(weather) => {
                self.network.weather = *weather;
                undo.weather = true;
            }
            one => {
                let Some(id) = who else { return Ok(()) };
                let to_others = others(self, id).into_iter();
                let now = self.now;
                let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
                match one {
                    Fault::Crash(_, cut) => {
                        crash = Some((id, *cut));
                        node.held_down += 1;
                        undo.start = Some(id);
                    }
                    Fault::CrashAt(_, point, nth, cut) => {
                        let (left, down_for) = ((*nth).max(1), timed.lasts);
                        node.traps.push(Trap { point: *point, left, cut: *cut, down_for });
                    }
                    Fault::Isolate(_) => {
                        undo.cuts.extend(to_others.flat_map(|to| [(id, to), (to, id)]));
                    }
                    Fault::Half(_, mute) => {
                        let link = |to| if *mute { (id, to) } else { (to, id) };
                        undo.cuts.extend(to_others.map(link));
                    }
                    Fault::SlowDisk(_, times) => {
                        node.slow = u64::from(*times).max(1);
                        undo.slow_disk = Some(id);
                    }
                    Fault::Pause(_) => {
                        node.paused += 1;
                        undo.paused = Some(id);
                        self.coverage.hit(coverage::PAUSES);
                    }
                    Fault::Drift(_, ppm) => {
                        node.clock.set(now, *ppm);
                        undo.drifted = Some(id);
                    }
                    _ => undo.disk = Some(id),
                }
            }
        }
        for (from, to) in &undo.cuts {
            self.network.cut(*from, *to, 1);
            self.coverage.hit(coverage::PARTITIONS);
        }
        let (text, cuts) = (timed.fault.to_string(), undo.cuts.clone());
        self.trace.mix(&[11, self.now, number as u64], &[]);
        self.trace.line(self.now, || Traced::Fault { fault: number, text, nodes: struck, cuts });
        self.struck.insert(number, undo);
        if until != Micros::MAX {
            self.later(until, Due::FaultEnds(number));
        }
        if let Some((id, cut)) = crash {
            self.crash(id, cut, Micros::MAX);
        }
        match (&timed.fault, who) {
            (Fault::DiskError(_, file, call, nth), Some(id)) => {
                self.disk_error(id, file, *call, *nth)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fault_ends(&mut self, number: usize) -> Outcome {
        let Some(undo) = self.struck.remove(&number) else { return Ok(()) };
        self.trace.mix(&[12, self.now, number as u64], &[]);
        self.trace.line(self.now, || Traced::Heal { fault: number });
        for (from, to) in undo.cuts {
            self.network.cut(from, to, -1);
        }
        for (from, to) in undo.slow_links {
            self.network.slow(from, to, 0);
        }
        if undo.weather {
            self.network.weather = self.setup.weather;
        }
        let now = self.now;
        if let Some(node) = undo.slow_disk.and_then(|id| self.nodes.get_mut(&id)) {
            node.slow = 1;
        }
        if let Some(node) = undo.drifted.and_then(|id| self.nodes.get_mut(&id)) {
            node.clock.set(now, 0);
        }
        if let Some(id) = undo.paused {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.paused = node.paused.saturating_sub(1);
            }
            let life = self.nodes.get(&id).map_or(0, |node| node.life);
            // What was ready before the pause comes first.
            self.release(id, life)?;
        }
        if let (Some(id), Some(timed)) = (undo.disk, self.faults.get(&number).cloned())
            && let Fault::DiskError(_, file, call, _) = timed.fault
        {
            self.disk_error(id, &file, call, u64::MAX)?;
        }
        if let Some(id) = undo.start {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.held_down = node.held_down.saturating_sub(1);
            }
            let down = self.nodes.get(&id).is_some_and(|node| !node.up() && node.held_down == 0);
            if down {
                self.start(id)?;
            }
        }
        Ok(())
    }

    /// Mends everything at once, for good.
    pub(super) fn calm_down(&mut self) -> Outcome {
        self.calm = true;
        let open: Vec<usize> = self.struck.keys().copied().collect();
        for fault in open {
            self.fault_ends(fault)?;
        }
        self.network.heal(crate::cluster::setup::Weather::CALM);
        for id in self.setup.ids() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.traps.clear();
            (node.paused, node.slow, node.held_down) = (0, 1, 0);
            if !node.up() {
                self.start(id)?;
            }
        }
        Ok(())
    }
}

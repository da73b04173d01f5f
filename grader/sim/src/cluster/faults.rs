//! What goes wrong, as data: a list of timed faults that can be replayed, printed and made shorter.
//!
//! A [`TimedFault`] holds its own end (the restart, the heal), so that leaving one out of the list leaves the
//! others whole; that is what shrinking needs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::protocol::{Channel, Micros, NodeId};
use super::setup::{MS, SECOND, Weather};
use crate::disk::DiskCall;
use crate::history::at;
use crate::rng::Rng;

/// Whom a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// This store.
    Node(NodeId),
    /// Who leads region 1 (or the lowest region there is) when the fault begins; the lowest living store if nobody does.
    Leader,
}

/// What a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// The process is gone, the machine is not: all that was written is there.
    Kill,
    /// The power is gone: all that was synced is there, and any part of the rest.
    Power,
}

/// A place among the effects of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Point {
    /// Before a sync takes effect.
    BeforeSync,
    /// After a sync, before what follows it.
    AfterSync,
    /// Before a message leaves.
    BeforeSend,
    /// After a message has left, before what follows it.
    AfterSend,
    /// Before an answer leaves.
    BeforeReply,
    /// After an answer has left.
    AfterReply,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The store is down, until the fault ends.
    Crash(Who, Cut),
    /// The same, but at the `nth` time (from 1) that it passes this point, whenever that is; then it is down for
    /// as long as the fault lasts.
    CrashAt(Who, Point, u64, Cut),
    /// Stores in different groups cannot talk; who is in no group is in a last one of its own.
    Partition(Vec<Vec<NodeId>>),
    /// The store cannot talk to any other, nor they to it.
    Isolate(Who),
    /// One direction of one link is dead.
    OneWay(NodeId, NodeId),
    /// The store hears others, but is not heard (true), or is heard and does not hear (false).
    Half(Who, bool),
    /// The network is so.
    Weather(Weather),
    /// What goes from the first store to the second takes so much longer.
    SlowLink(NodeId, NodeId, Micros),
    /// The next so many messages from the first store to the second on this channel are lost.
    DropNext(NodeId, NodeId, Channel, u32),
    /// The store's disks and threads take so many times as long.
    SlowDisk(Who, u32),
    /// The `nth` call of this kind fails on this file (empty: on each). The store must stop; a second later it is
    /// started again, on a new disk with what was synced. At its end an error that did not come is called off.
    DiskError(Who, String, DiskCall, u64),
    /// The store gets no processor time.
    Pause(Who),
    /// The store's clock runs fast (or slow) by so many millionths.
    Drift(Who, i32),
}

/// A fault with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedFault {
    /// When it begins.
    pub at: Micros,
    /// How long it lasts; then it is mended.
    pub lasts: Micros,
    /// What it is.
    pub fault: Fault,
}

/// How often each kind of fault comes, against the others; 0: never. Random schedules are drawn from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chaos {
    /// Crashes, half of them of the leader.
    pub crashes: u32,
    /// Crashes at a point between two effects.
    pub crash_points: u32,
    /// Partitions, in groups or of one store.
    pub partitions: u32,
    /// Links and stores that are cut in one direction.
    pub one_way: u32,
    /// Storms.
    pub storms: u32,
    /// Slow links and slow disks.
    pub slow: u32,
    /// Stores without processor time.
    pub pauses: u32,
    /// Clocks that run fast or slow, by at most `drift_ppm`.
    pub drifts: u32,
    /// Disks that fail.
    pub disk_errors: u32,
    /// See `drifts`.
    pub drift_ppm: i32,
    /// Between the beginnings of two faults, on average.
    pub every: Micros,
    /// The longest that one lasts.
    pub lasts: Micros,
}

impl Chaos {
    /// Nothing goes wrong.
    pub const NONE: Chaos = Chaos {
        crashes: 0,
        crash_points: 0,
        partitions: 0,
        one_way: 0,
        storms: 0,
        slow: 0,
        pauses: 0,
        drifts: 0,
        disk_errors: 0,
        drift_ppm: 0,
        every: SECOND,
        lasts: 3 * SECOND,
    };
    /// Only the network.
    pub const NETWORK: Chaos =
        Chaos { partitions: 4, one_way: 2, storms: 2, slow: 1, ..Chaos::NONE };
    /// Only crashes.
    pub const CRASHES: Chaos = Chaos { crashes: 3, crash_points: 3, ..Chaos::NONE };
    /// Everything, clocks within 500 ppm.
    pub const ALL: Chaos = Chaos {
        crashes: 4,
        crash_points: 4,
        partitions: 4,
        one_way: 2,
        storms: 2,
        slow: 2,
        pauses: 1,
        drifts: 1,
        disk_errors: 1,
        drift_ppm: 500,
        every: SECOND,
        lasts: 3 * SECOND,
    };

    /// A schedule for these stores from `from` to `until`.
    pub fn schedule(
        &self,
        rng: &mut Rng,
        nodes: &[NodeId],
        from: Micros,
        until: Micros,
    ) -> Vec<TimedFault> {
        let weights = [
            self.crashes,
            self.crash_points,
            self.partitions,
            self.one_way,
            self.storms,
            self.slow,
            self.pauses,
            self.drifts,
            self.disk_errors,
        ];
        let total: u32 = weights.iter().sum();
        let mut faults = Vec::new();
        let mut at = from;
        while total > 0 && !nodes.is_empty() {
            at += between(rng, (self.every / 4, self.every * 7 / 4));
            if at >= until {
                break;
            }
            let mut draw = u32::try_from(rng.below(total as usize)).unwrap_or_default();
            let kind = weights.iter().position(|weight| {
                let here = draw < *weight;
                draw = draw.saturating_sub(*weight);
                here
            });
            let fault = self.draw(rng, nodes, kind.unwrap_or_default());
            let lasts = between(rng, (100 * MS, self.lasts.max(200 * MS)));
            faults.push(TimedFault { at, lasts, fault });
        }
        faults
    }

    fn draw(&self, rng: &mut Rng, nodes: &[NodeId], kind: usize) -> Fault {
        let who = if rng.chance(50) { Who::Leader } else { Who::Node(*rng.pick(nodes)) };
        let cut = if rng.chance(70) { Cut::Power } else { Cut::Kill };
        let (a, b) = (*rng.pick(nodes), *rng.pick(nodes));
        match kind {
            0 => Fault::Crash(who, cut),
            1 => {
                let point = *rng.pick(&[
                    Point::BeforeSync,
                    Point::AfterSync,
                    Point::BeforeSend,
                    Point::AfterSend,
                    Point::BeforeReply,
                    Point::AfterReply,
                ]);
                Fault::CrashAt(who, point, 1 + rng.below(8) as u64, cut)
            }
            2 if rng.chance(50) => Fault::Isolate(who),
            2 => {
                let mut sides = [Vec::new(), Vec::new()];
                for node in nodes {
                    sides[rng.below(2)].push(*node);
                }
                Fault::Partition(sides.to_vec())
            }
            3 if rng.chance(50) => Fault::Half(who, rng.chance(50)),
            3 => Fault::OneWay(a, b),
            4 => Fault::Weather(Weather::STORM),
            5 if rng.chance(50) => Fault::SlowLink(a, b, between(rng, (10 * MS, SECOND))),
            5 => Fault::SlowDisk(who, 10 + u32::try_from(rng.below(90)).unwrap_or_default()),
            6 => Fault::Pause(who),
            7 => {
                let most = self.drift_ppm.unsigned_abs() as usize;
                let ppm = i32::try_from(rng.below(2 * most + 1)).unwrap_or_default();
                Fault::Drift(who, ppm - self.drift_ppm.abs())
            }
            _ => {
                let call = if rng.chance(50) { DiskCall::Sync } else { DiskCall::Write };
                Fault::DiskError(who, String::new(), call, 1 + rng.below(20) as u64)
            }
        }
    }
}

/// A time drawn between two, both included.
pub(crate) fn between(rng: &mut Rng, (low, high): (Micros, Micros)) -> Micros {
    let span = high.saturating_sub(low);
    low + rng.below(usize::try_from(span).unwrap_or(usize::MAX - 1) + 1) as u64
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Node(node) => write!(f, "n{node}"),
            Who::Leader => f.write_str("the leader"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cut::Kill => "kill",
            Cut::Power => "power cut",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Crash(who, cut) => write!(f, "{cut} of {who}"),
            Fault::CrashAt(who, point, nth, cut) => {
                let point = match point {
                    Point::BeforeSync => "before its sync",
                    Point::AfterSync => "after its sync",
                    Point::BeforeSend => "before its message",
                    Point::AfterSend => "after its message",
                    Point::BeforeReply => "before its answer",
                    Point::AfterReply => "after its answer",
                };
                write!(f, "{cut} of {who} {point} number {nth}")
            }
            Fault::Partition(groups) => {
                let names = |group: &Vec<NodeId>| {
                    let names: Vec<String> = group.iter().map(|n| format!("n{n}")).collect();
                    names.join(" ")
                };
                let groups: Vec<String> = groups.iter().map(names).collect();
                write!(f, "partition {}", groups.join(" | "))
            }
            Fault::Isolate(who) => write!(f, "{who} is isolated"),
            Fault::OneWay(from, to) => write!(f, "n{from} -> n{to} is cut"),
            Fault::Half(who, true) => write!(f, "{who} is not heard"),
            Fault::Half(who, false) => write!(f, "{who} does not hear"),
            Fault::Weather(w) => write!(
                f,
                "weather: {}% lost, {}% twice, {}% up to {} ms late",
                w.loss,
                w.duplicate,
                w.reorder,
                w.late / MS
            ),
            Fault::SlowLink(from, to, extra) => {
                write!(f, "n{from} -> n{to} takes {} ms longer", extra / MS)
            }
            Fault::DropNext(from, to, channel, count) => {
                write!(f, "the next {count} {channel} messages n{from} -> n{to} are lost")
            }
            Fault::SlowDisk(who, times) => write!(f, "the disk of {who} is {times} times slower"),
            Fault::DiskError(who, file, call, nth) => {
                let call = if *call == DiskCall::Sync { "sync" } else { "write" };
                let file = if file.is_empty() { "any file" } else { file };
                write!(f, "EIO for {who} on {call} number {nth} of {file}")
            }
            Fault::Pause(who) => write!(f, "{who} is paused"),
            Fault::Drift(who, ppm) => write!(f, "the clock of {who} is off by {ppm} ppm"),
        }
    }
}

impl fmt::Display for TimedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, for {} ms", at(self.at), self.fault, self.lasts / MS)
    }
}

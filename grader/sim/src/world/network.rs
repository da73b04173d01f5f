//! The network between stores: what becomes of each message. A message's luck hangs on its link and its time, not
//! on what was sent before: a shorter plan leaves the luck of the others as it was.

use std::collections::BTreeMap;

use crate::cluster::protocol::{Channel, Micros, NodeId};
use crate::cluster::setup::Weather;
use crate::rng::Draw;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is lost, for this reason.
    Lost(&'static str),
    /// It arrives at these times.
    Arrives(Vec<Micros>),
}

#[derive(Default)]
struct Link {
    cuts: u32,
    extra: Micros,
    drops: BTreeMap<Channel, u32>,
    // The latest arrival so far: what follows does not overtake, unless it is drawn to.
    last: BTreeMap<Channel, Micros>,
}

/// All links.
pub(super) struct Network {
    seed: u64,
    pub weather: Weather,
    links: BTreeMap<(NodeId, NodeId), Link>,
}

impl Network {
    pub fn new(seed: u64, weather: Weather) -> Self {
        Network { seed, weather, links: BTreeMap::new() }
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        self.links.entry((from, to)).or_default()
    }

    /// Cuts one direction of a link once more (or, `by` -1, once less).
    pub fn cut(&mut self, from: NodeId, to: NodeId, by: i32) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_add_signed(by);
    }

    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| link.cuts > 0)
    }

    pub fn slow(&mut self, from: NodeId, to: NodeId, extra: Micros) {
        self.link(from, to).extra = extra;
    }

    pub fn drop_next(&mut self, from: NodeId, to: NodeId, channel: Channel, count: u32) {
        self.link(from, to).drops.insert(channel, count);
    }

    /// Everything as on the first day.
    pub fn heal(&mut self, weather: Weather) {
        self.weather = weather;
        for link in self.links.values_mut() {
            (link.cuts, link.extra) = (0, 0);
            link.drops.clear();
        }
    }

    pub fn send(&mut self, from: NodeId, to: NodeId, channel: Channel, now: Micros) -> Fate {
        let weather = self.weather;
        let mut draw = Draw::of(self.seed, "message", &[from, to, channel as u64, now]);
        let link = self.link(from, to);
        let lost = draw.chance(weather.loss);
        let twice = draw.chance(weather.duplicate);
        let late = draw.chance(weather.reorder);
        let mut take = || draw.between(weather.latency) + link.extra;
        let (first, second) = (now + take(), now + take());
        let delay = draw.between((0, weather.late));
        if let Some(left) = link.drops.get_mut(&channel).filter(|left| **left > 0) {
            *left -= 1;
            return Fate::Lost("on order");
        }
        if link.cuts > 0 {
            return Fate::Lost("partition");
        }
        if lost {
            return Fate::Lost("loss");
        }
        let first = if late {
            first + delay
        } else {
            let last = link.last.entry(channel).or_default();
            *last = first.max(*last + 1);
            *last
        };
        Fate::Arrives(if twice { vec![first, second + delay] } else { vec![first] })
    }
}

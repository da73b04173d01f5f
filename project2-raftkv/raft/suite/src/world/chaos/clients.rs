//! Who uses the group: proposals, reads, and the housekeeping that compacts logs.

use sim::failure::Outcome;

use super::Chaos;
use crate::protocol::{Input, Role};

impl Chaos<'_> {
    pub(super) fn propose(&mut self) -> Outcome {
        // Where somebody thinks that he leads; a follower may pass a proposal on, and the network would
        // double it.
        let leaders: Vec<u64> = self
            .statuses
            .iter()
            .filter(|(id, status)| status.role == Role::Leader && self.nodes[id].is_up())
            .map(|(id, _)| *id)
            .collect();
        if leaders.is_empty() {
            return Ok(());
        }
        let id = *self.rng.pick(&leaders);
        self.say(format!("n{id} is asked to propose p{}", self.proposed + 1));
        let data = format!("p{}", self.proposed + 1).into_bytes();
        if let Some(Ok(())) = self.order(id, Input::Propose(data.into()))? {
            self.proposed += 1;
            self.coverage.proposals += 1;
        }
        Ok(())
    }

    pub(super) fn read(&mut self) -> Outcome {
        let ids = self.ids();
        let id = *self.rng.pick(&ids);
        self.coverage.reads += 1;
        self.say(format!("n{id} is asked to read (r{})", self.coverage.reads));
        let context = format!("r{}", self.coverage.reads).into_bytes();
        self.monitors.reads.ask(id, &context, self.monitors.commits.highest());
        self.order(id, Input::ReadIndex(context.into())).map(drop)
    }

    /// Each node that has applied enough makes a snapshot and forgets entries before it.
    pub(super) fn compact(&mut self) -> Outcome {
        for id in self.ids() {
            let node = &self.nodes[&id];
            let (base, flushed) = (node.disk.durable().truncated.0, self.flushed.get(&id).copied());
            let flushed = flushed.unwrap_or(0).min(self.statuses.get(&id).map_or(0, |s| s.applied));
            if !node.is_up() || flushed < base + self.plan.keep || !self.rng.chance(50) {
                continue;
            }
            let data = format!("state at {flushed}").into_bytes();
            let index = base + 1 + self.draw(flushed - base);
            self.order(id, Input::MakeSnapshot(flushed, data.clone().into()))?;
            self.order(id, Input::Compact(index))?;
            let data = format!("state at {index}").into_bytes();
            if let Some(node) = self.nodes.get_mut(&id) {
                node.disk.compact(index, &data);
            }
            self.coverage.compactions += 1;
        }
        Ok(())
    }
}

//! Where a store's life begins and ends: start, crash, stop, and the disk error that leads to one.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::clients::CallEnd;
use super::node::{Asked, lost};
use super::{Due, World};
use crate::cluster::faults::Cut;
use crate::cluster::protocol::{Effect, Event, Micros, NodeId, Open};
use crate::coverage;
use crate::disk::DiskCall;
use crate::failure::{Failure, Outcome};
use crate::history::at;
use crate::rng::Draw;
use crate::trace::Event as Traced;

// Somebody changes the disk and starts the store again.
const RESTART_AFTER_STOP: Micros = 1_000_000;

impl World<'_, '_> {
    /// A life begins.
    pub(super) fn start(&mut self, id: NodeId) -> Outcome {
        let link = self.run.start()?;
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.life += 1;
        node.link = Some(link);
        let (life, files) = (node.life, node.disk());
        let config = ByteBuf::from(node.config.clone());
        let mut draw = Draw::of(node.seed, "life", &[id, life]);
        let seed = draw.number();
        let first = node.clock.world(self.setup.tick);
        self.trace.line(now, || Traced::Open { n: id, life });
        self.trace.mix(&[1, now, id, life], &[]);
        self.monitors.opened(id);
        if life > 1 {
            self.coverage.hit(coverage::RESTARTS);
        }
        let open = Open { node: id, seed, tick: self.setup.tick, files, config };
        // Ticks of the stores do not fall together.
        let first = first + draw.between((0, first));
        self.later(now + first, Due::Tick { node: id, life });
        self.input(id, Event::Open(Box::new(open)))
    }

    pub(super) fn start_again(&mut self, id: NodeId, life: u64) -> Outcome {
        match self.nodes.get(&id) {
            Some(node) if !node.up() && node.life == life && node.held_down == 0 => self.start(id),
            _ => Ok(()),
        }
    }

    pub(super) fn stopped(&mut self, id: NodeId, why: String) -> Outcome {
        self.trace.line(self.now, || Traced::Stop { n: id, why: why.clone() });
        self.coverage.hit(coverage::STOPS);
        let Some(node) = self.nodes.get(&id) else { return Ok(()) };
        if !node.doomed && node.failing.is_none() {
            return Err(Failure::broke(
                format!("n{id} stopped by itself"),
                format!("at {} it says: {why}", at(self.now)),
                "no disk error was ordered for it",
            ));
        }
        let life = node.life;
        self.ends(id, Cut::Power);
        self.later(self.now + RESTART_AFTER_STOP, Due::Start { node: id, life });
        Ok(())
    }

    /// A store dies now, and is started again at `until`.
    pub(super) fn crash(&mut self, id: NodeId, cut: Cut, until: Micros) {
        let Some(node) = self.nodes.get(&id).filter(|node| node.up()) else { return };
        let coverage = &mut self.coverage;
        coverage.hit(coverage::CRASHES);
        if !node.effects.is_empty() {
            coverage.hit(coverage::CRASHES_BUSY);
        }
        if node.unsynced() {
            coverage.hit(coverage::CRASHES_UNSYNCED);
        }
        let promise = |e: &Effect| matches!(e, Effect::Send { .. } | Effect::Reply { .. });
        if node.input.synced && node.effects.iter().any(promise) {
            coverage.hit(coverage::CRASHES_BEFORE_SEND);
        }
        let missed: Vec<String> = node.effects.iter().filter_map(lost).take(8).collect();
        let life = node.life;
        self.trace.mix(&[9, self.now, id, life], &[]);
        self.trace.line(self.now, || Traced::Crash { n: id, how: cut.to_string(), lost: missed });
        self.ends(id, cut);
        if until != Micros::MAX {
            self.later(until, Due::Start { node: id, life });
        }
    }

    fn ends(&mut self, id: NodeId, cut: Cut) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let open: BTreeMap<u64, Asked> = std::mem::take(&mut node.requests);
        node.cut(cut);
        self.monitors.crashed(id);
        for request in open.into_keys() {
            self.answer_leaves(request, CallEnd::Reset);
        }
    }

    /// Orders a disk error; the highest number calls it off.
    pub(super) fn disk_error(
        &mut self,
        id: NodeId,
        file: &str,
        call: DiskCall,
        nth: u64,
    ) -> Outcome {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up()) else { return Ok(()) };
        let called_off = nth == u64::MAX;
        if node.failing.is_none() {
            node.doomed = !called_off;
        }
        let files: Vec<String> = if file.is_empty() {
            node.files.keys().cloned().collect()
        } else {
            vec![file.to_owned()]
        };
        for file in files {
            self.happens(id, Event::FailDisk { file, call, nth })?;
        }
        Ok(())
    }
}

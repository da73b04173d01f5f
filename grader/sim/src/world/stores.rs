//! Inputs to stores, and their effects.

use serde_bytes::ByteBuf;

use super::clients::CallEnd;
use super::node::{Asked, Current, points};
use super::{Due, World};
use crate::cluster::protocol::{
    Effect, Event, Input, Inspected, Lane, Look, Micros, NodeId, Status,
};
use crate::coverage;
use crate::disk::DiskOp;
use crate::failure::{Failure, Outcome};
use crate::history::at;
use crate::trace::Event as Traced;

// More than any store does in one input, and less than would fill the judge's memory.
const MAX_EFFECTS: usize = 200_000;

impl World<'_, '_> {
    /// Something happens to a store: now, or when it has time.
    pub(super) fn happens(&mut self, id: NodeId, event: Event) -> Outcome {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up()) else { return Ok(()) };
        if node.busy() || !node.inbox.is_empty() {
            let pointless =
                matches!(event, Event::Tick) && node.inbox.iter().any(|e| matches!(e, Event::Tick));
            if !pointless {
                node.inbox.push_back(event);
            }
            return Ok(());
        }
        self.input(id, event)?;
        self.drain(id)
    }

    /// Hands over what waits, as long as the store has time.
    pub(super) fn drain(&mut self, id: NodeId) -> Outcome {
        while let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up() && !node.busy()) {
            let Some(event) = node.inbox.pop_front() else { return Ok(()) };
            self.input(id, event)?;
        }
        Ok(())
    }

    pub(super) fn input(&mut self, id: NodeId, event: Event) -> Outcome {
        let look = self.monitors.want(id);
        let request = match &event {
            Event::Request { id, deadline, .. } => Some((*id, *deadline)),
            _ => None,
        };
        let (job, tick) = (matches!(event, Event::RunJob { .. }), matches!(event, Event::Tick));
        let effects = self.exchange(id, event, look.clone())?;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.input = Current { asked: look, in_job: job, ..Current::default() };
        if effects.len() > MAX_EFFECTS {
            return Err(Failure::broke(
                format!("n{id} does not come to an end"),
                "a store does what can be done now, and returns",
                format!("one input led to {} effects", effects.len()),
            ));
        }
        if let Some((asked, deadline)) =
            request.and_then(|(id, at)| Some((node.requests.get_mut(&id)?, at)))
        {
            asked.due = Some(deadline.max(node.told));
        }
        node.effects.extend(effects);
        let life = node.life;
        self.release(id, life)?;
        if tick { self.keeps_its_word(id) } else { Ok(()) }
    }

    fn exchange(&mut self, id: NodeId, event: Event, look: Look) -> Outcome<Vec<Effect>> {
        self.inputs += 1;
        self.run.count_input();
        if self.inputs > self.setup.limits.inputs {
            return Err(Failure::broke(
                "the stores do far more than the work needs",
                format!("a run of this size needs less than {} inputs", self.setup.limits.inputs),
                format!("they were used up at {}", at(self.now)),
            ));
        }
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(Vec::new()) };
        node.told = node.told.max(node.clock.at(now));
        let input = Input { now: node.told, event, look: Some(look) };
        match &mut node.link {
            Some(link) => link.exchange(input),
            None => Ok(Vec::new()),
        }
    }

    /// Lets effects happen, one by one, until a sync takes time.
    pub(super) fn release(&mut self, id: NodeId, life: u64) -> Outcome {
        while let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life && node.up())
        {
            let Some(effect) = node.effects.front() else {
                return self.drain(id);
            };
            let is_sync = matches!(effect, Effect::Disk { op: DiskOp::Sync, .. });
            let points = points(effect);
            if !node.input.syncing
                && let Some((before, _)) = points
                && let Some(trap) = node.passes(before)
            {
                let until = self.now.saturating_add(trap.down_for);
                self.crash(id, trap.cut, until);
                return Ok(());
            }
            if is_sync && !node.input.syncing && !node.input.in_job {
                node.input.syncing = true;
                let takes = node.luck("sync", self.now).between(self.setup.times.sync) * node.slow;
                self.later(self.now + takes, Due::Release { node: id, life });
                return Ok(());
            }
            node.input.syncing = false;
            let Some(effect) = node.effects.pop_front() else { return Ok(()) };
            self.effect(id, effect)?;
            if let Some((_, after)) = points
                && let Some(trap) = self.nodes.get_mut(&id).and_then(|node| node.passes(after))
            {
                let until = self.now.saturating_add(trap.down_for);
                self.crash(id, trap.cut, until);
                return Ok(());
            }
        }
        Ok(())
    }

    fn effect(&mut self, id: NodeId, effect: Effect) -> Outcome {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        match effect {
            Effect::Disk { file, op } => {
                if matches!(op, DiskOp::Failed(_)) {
                    self.coverage.hit(coverage::DISK_ERRORS);
                    node.failing.get_or_insert(0);
                    self.trace.line(now, || Traced::DiskError { n: id, file: file.clone() });
                }
                let on = node.files.entry(file.clone()).or_default();
                let (writes, bytes) = (on.writes, on.bytes);
                if let Some(sum) = on.apply(op) {
                    node.input.synced = true;
                    self.coverage.hit(coverage::SYNCS);
                    self.trace.mix(&[2, now, id, sum], file.as_bytes());
                    self.trace.line(now, || Traced::Sync { n: id, file, writes, bytes });
                }
                Ok(())
            }
            Effect::Remove { file } => {
                self.trace.mix(&[3, now, id], file.as_bytes());
                node.files.remove(&file);
                Ok(())
            }
            Effect::Send { to, channel, bytes } => self.send(id, to, channel, bytes),
            Effect::Reply { id: request, result } => self.reply(id, request, result),
            Effect::Job { id: job, lane } => {
                self.job(id, job, lane);
                Ok(())
            }
            Effect::Inspected(shown) => {
                let asked = std::mem::take(&mut node.input.asked);
                self.inspected(id, &asked, &shown)
            }
            Effect::Stopped { why } => self.stopped(id, why),
        }
    }

    fn inspected(&mut self, id: NodeId, asked: &Look, shown: &Inspected) -> Outcome {
        for region in &shown.removed {
            self.trace.line(self.now, || Traced::Gone { n: id, region: *region });
        }
        let mut seen = self.monitors.observe(id, self.now, asked, shown, &mut self.coverage)?;
        self.changed(id, &seen);
        if seen.again {
            let look = self.monitors.whole();
            seen = self.look(id, look)?;
        }
        if seen.digest {
            let look = Look { digest: true, ..self.monitors.want(id) };
            self.look(id, look)?;
        }
        Ok(())
    }

    /// Looks at a store without anything happening to it.
    pub(super) fn look(&mut self, id: NodeId, look: Look) -> Outcome<crate::monitors::Seen> {
        for effect in self.exchange(id, Event::Look, look.clone())? {
            if let Effect::Inspected(shown) = effect {
                let seen =
                    self.monitors.observe(id, self.now, &look, &shown, &mut self.coverage)?;
                self.changed(id, &seen);
                return Ok(seen);
            }
        }
        Ok(crate::monitors::Seen::default())
    }

    fn changed(&mut self, id: NodeId, seen: &crate::monitors::Seen) {
        for change in &seen.changes {
            let view = &change.view;
            let numbers =
                [4, id, view.region, view.term, view.vote, view.commit, view.applied, view.last];
            self.trace.mix(&numbers, &[]);
            self.trace.line(self.now, || Traced::of_state(id, change));
        }
    }

    fn job(&mut self, id: NodeId, job: u64, lane: Lane) {
        let times = &self.setup.times;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let range = match lane {
            Lane::LogWrite => times.log_write,
            Lane::Apply => times.apply,
            Lane::Region => times.region,
        };
        let takes = node.luck("job", self.now).between(range) * node.slow;
        let free = node.lanes.entry(lane).or_default();
        *free = self.now.max(*free) + takes;
        let (done, life) = (*free, node.life);
        node.jobs.insert(job, lane);
        self.trace.mix(&[5, self.now, id, job], &[]);
        self.trace.line(self.now, || Traced::Job { n: id, life, job, lane });
        self.later(done, Due::RunJob { node: id, life, job });
    }

    pub(super) fn run_job(&mut self, id: NodeId, life: u64, job: u64) -> Outcome {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else {
            return Ok(());
        };
        if node.jobs.remove(&job).is_none() {
            return Ok(());
        }
        self.trace.line(self.now, || Traced::Run { n: id, life, job });
        self.happens(id, Event::RunJob { id: job })
    }

    pub(super) fn tick(&mut self, id: NodeId, life: u64) -> Outcome {
        let Some(node) = self.nodes.get(&id).filter(|node| node.life == life && node.up()) else {
            return Ok(());
        };
        let next = self.now + node.clock.world(self.setup.tick);
        self.later(next, Due::Tick { node: id, life });
        self.happens(id, Event::Tick)
    }

    // After a tick: what it promised for this time is done.
    fn keeps_its_word(&mut self, id: NodeId) -> Outcome {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up()) else { return Ok(()) };
        if let Some(ticks) = &mut node.failing {
            *ticks += 1;
            if *ticks > 1 {
                return Err(Failure::broke(
                    "a store goes on although its disk failed: it cannot know any more what is durable",
                    format!("a write or a sync of n{id} returned EIO"),
                    format!("at {}, after a whole tick, it has not stopped", at(self.now)),
                ));
            }
        }
        let Some(grace) = self.setup.limits.answer_grace else { return Ok(()) };
        let late = node
            .requests
            .iter()
            .find(|(_, asked)| asked.due.is_some_and(|due| due + grace < node.told));
        if let Some((request, asked)) = late {
            return Err(Failure::broke(
                "a request is never answered: each is answered exactly once, by its deadline at the latest",
                format!("n{id} got request {request} ({}) at {}", asked.what, at(asked.at)),
                format!(
                    "at {} it is up, its deadline is long over, and no answer came",
                    at(self.now)
                ),
            ));
        }
        Ok(())
    }

    fn reply(&mut self, id: NodeId, request: u64, result: Result<ByteBuf, Status>) -> Outcome {
        let now = self.now;
        let text = result.as_ref().err().map(|status| status.text.clone()).unwrap_or_default();
        let bytes = result.as_ref().map_or(text.as_bytes(), |bytes| &bytes[..]);
        self.trace.mix(&[7, now, id, request], bytes);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if node.requests.remove(&request).is_none() {
            let twice = node.answered.contains(&request);
            let fact =
                if twice { "it has answered it before" } else { "nobody asked it in this life" };
            return Err(Failure::broke(
                "a request is answered exactly once",
                format!("n{id} answers request {request} at {}", at(now)),
                fact,
            ));
        }
        node.answered.insert(request);
        self.answer_leaves(request, CallEnd::of(result));
        Ok(())
    }

    /// A client's request is at the store.
    pub(super) fn asked(
        &mut self,
        id: NodeId,
        request: u64,
        (method, bytes): (String, Vec<u8>),
        what: String,
        patience: Micros,
    ) -> Outcome {
        let now = self.now;
        self.trace.mix(&[8, now, id, request], &bytes);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let deadline = node.clock.at(now).saturating_add(patience);
        node.requests.insert(request, Asked { at: now, due: None, what });
        self.happens(id, Event::Request { id: request, method, bytes: bytes.into(), deadline })
    }
}

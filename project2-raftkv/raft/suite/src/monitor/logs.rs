//! Leader Append-Only and Log Matching (figure 3), and what an acknowledgement promises: the entries are
//! durable, they are the leader's, and only a leader of a higher term can take them away.

use std::collections::BTreeMap;

use proto::eraftpb::{Entry, MessageType};
use sim::failure::{Failure, Outcome, show};

use crate::mail::Mail;
use crate::notation::{self, at};
use crate::protocol::{Role, Status};
use crate::world::{Node, Taken, When};

/// What the logs of all nodes hold and held.
#[derive(Debug, Default)]
pub struct Logs {
    // (index, term) -> the one entry that may be there, the term before it, who had it first.
    known: BTreeMap<(u64, u64), (Entry, u64, u64)>,
    // Each node's log as last written: its base, then the terms.
    views: BTreeMap<u64, View>,
    // The leader's log in each term.
    leaders: BTreeMap<u64, (u64, View)>,
    // What a node acknowledged last: (term, index).
    acked: BTreeMap<u64, (u64, u64)>,
    /// How often a node dropped entries that were not committed.
    pub truncations: u64,
}

#[derive(Debug, Default, Clone)]
struct View {
    base: (u64, u64),
    terms: Vec<u64>,
}

impl View {
    fn of(image: &crate::world::disk::Image) -> Self {
        View { base: image.truncated, terms: image.terms() }
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let offset = index.checked_sub(self.base.0 + 1)?;
        self.terms.get(usize::try_from(offset).ok()?).copied()
    }

    fn last(&self) -> u64 {
        self.base.0 + self.terms.len() as u64
    }
}

impl Logs {
    pub(super) fn start(&mut self, node: &Node<'_>) -> Outcome {
        let image = node.disk.durable();
        self.views.insert(node.id, View::of(image));
        let mut before = image.truncated.1;
        for entry in &image.entries {
            self.matches(When::default(), node.id, entry, before)?;
            before = entry.term;
        }
        Ok(())
    }

    pub(super) fn on_crash(&mut self, node: &Node<'_>) {
        self.views.insert(node.id, View::of(node.disk.durable()));
    }

    // Log Matching: the same index and term means the same entry, and the same entry before it; by
    // induction, the same prefix.
    fn matches(&mut self, when: When, id: u64, entry: &Entry, before: u64) -> Outcome {
        let key = (entry.index, entry.term);
        let (known, known_before, who) =
            self.known.entry(key).or_insert_with(|| (entry.clone(), before, id));
        if known == entry && *known_before == before {
            return Ok(());
        }
        let tell = |who: u64, e: &Entry, before: u64| {
            let base = at(e.index.saturating_sub(1), before);
            format!("on n{who}: {} after {base}, data {}", at(e.index, e.term), show(&e.data))
        };
        Err(Failure::broke(
            "two logs disagree although index and term are the same: Log Matching is broken",
            tell(*who, known, *known_before),
            format!("{when}{}", tell(id, entry, before)),
        ))
    }

    pub(super) fn on_ready(
        &mut self,
        when: When,
        id: u64,
        status: &Status,
        taken: &Taken,
    ) -> Outcome {
        let mut view = self.views.remove(&id).unwrap_or_default();
        if let Some(place) = taken.snapshot.as_ref().and_then(|s| s.metadata.as_ref()) {
            view = View { base: (place.index, place.term), terms: Vec::new() };
        }
        for entry in &taken.entries {
            let old = view.term(entry.index);
            if status.role == Role::Leader
                && let Some(old) = old
                && let Some((mine, _, _)) = self.known.get(&(entry.index, old))
                && mine != entry
            {
                self.overwrites(when, id, status, &view, entry)?;
            }
            if old.is_some_and(|old| old != entry.term)
                || (old.is_none() && entry.index <= view.last())
            {
                self.overwrites(when, id, status, &view, entry)?;
                self.truncations += 1;
                let keep = entry.index.saturating_sub(view.base.0 + 1);
                view.terms.truncate(usize::try_from(keep).unwrap_or(0));
            }
            let before = view.term(entry.index.saturating_sub(1)).unwrap_or(0);
            self.matches(when, id, entry, before)?;
            if entry.index > view.last() {
                view.terms.push(entry.term);
            }
        }
        // The Ready's entries are the end of the log; a longer old tail of the same terms is gone, too.
        if let Some(last) = taken.entries.last()
            && view.last() > last.index
        {
            let next = Entry { index: last.index + 1, ..Entry::default() };
            self.overwrites(when, id, status, &view, &next)?;
            let keep = last.index.saturating_sub(view.base.0);
            view.terms.truncate(usize::try_from(keep).unwrap_or(0));
        }
        self.views.insert(id, view);
        Ok(())
    }

    fn overwrites(
        &self,
        when: When,
        id: u64,
        status: &Status,
        view: &View,
        entry: &Entry,
    ) -> Outcome {
        let was = at(entry.index, view.term(entry.index).unwrap_or(0));
        let now = format!("{when}its log is cut there: {}", notation::status(id, status));
        if status.role == Role::Leader {
            return Err(Failure::broke(
                "a leader overwrites or deletes entries of its own log: Leader Append-Only is broken",
                format!("n{id} leads term {}, and its log had {was}", status.term),
                now,
            ));
        }
        match self.acked.get(&id) {
            Some(&(term, index)) if index >= entry.index && term == status.term => {
                Err(Failure::broke(
                    "an acknowledged entry is dropped within the term of its acknowledgement",
                    format!(
                        "n{id} told the leader of term {term} that it has everything up to {index}"
                    ),
                    format!("{now}; its log had {was}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Remembers the log of a leader: what an acknowledgement in its term is about.
    pub(super) fn on_leader(&mut self, node: &Node<'_>, term: u64) {
        let Some(view) = self.views.get(&node.id) else { return };
        match self.leaders.get_mut(&term) {
            // A leader only appends.
            Some((_, known)) if known.base == view.base => {
                let from = known.terms.len().min(view.terms.len());
                known.terms.extend_from_slice(&view.terms[from..]);
            }
            _ => {
                self.leaders.insert(term, (node.id, view.clone()));
            }
        }
    }

    pub(super) fn on_leave(&mut self, when: When, node: &Node<'_>, mail: &Mail) -> Outcome {
        let m = &mail.msg;
        if m.msg_type() != MessageType::MsgAppendResponse || m.reject || m.index == 0 {
            return Ok(());
        }
        let disk = node.disk.durable();
        let sent = format!("{when}sent: {}", mail.show());
        let there = disk.term(m.index);
        if m.index > disk.last().0 {
            return Err(Failure::broke(
                "an acknowledgement leaves a node before the entries are durable there",
                sent,
                format!("the log on n{}'s disk ends, for certain, at {}", node.id, disk.last().0),
            ));
        }
        if let (Some((leader, view)), Some(there)) = (self.leaders.get(&m.term), there)
            && let Some(meant) = view.term(m.index)
            && meant != there
            // Else it had the entry when it accepted it, in that term, and a later leader's has replaced it since, perhaps before
            // either was written: what waited for the disk leaves all the same. It is harmless. Who accepted and then voted in
            // the later term voted for nobody that lacks the entry.
            && there <= m.term
        {
            return Err(Failure::broke(
                "an acknowledgement is not about what is on the disk",
                format!("{sent}; the leader n{leader} has {} there", at(m.index, meant)),
                format!("n{}'s disk holds, for certain, {}", node.id, at(m.index, there)),
            ));
        }
        let acked = self.acked.entry(node.id).or_default();
        *acked = (*acked).max((m.term, m.index));
        Ok(())
    }
}

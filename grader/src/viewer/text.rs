//! The viewer without a browser: the story, who led when, what clients saw, the logs at a moment, the events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sim::cluster::protocol::Role;
use sim::trace::{Event, Line, moment, render};

use super::{Shown, cause};

/// What of a trace is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The event (its number, from 1) at which logs are shown; the violation, or the end, if absent.
    pub at: Option<usize>,
    /// Only events of this node.
    pub node: Option<u64>,
    /// Only events of this region.
    pub region: Option<u64>,
    /// Only events whose text holds all these words.
    pub find: Vec<String>,
    /// So many events before `at`, and none after; all if absent.
    pub last: Option<usize>,
}

/// The trace as text.
pub fn twin(shown: &Shown, wanted: &Wanted) -> String {
    let told = render(&shown.lines);
    let points = cause::find(&shown.lines);
    let end = shown.lines.len().saturating_sub(1);
    let at = wanted.at.map_or(shown.violation().unwrap_or(end), |n| n.saturating_sub(1).min(end));
    let mut out = String::new();
    story(&mut out, shown, &points, &told);
    leaders(&mut out, &shown.lines, &told);
    clients(&mut out, &shown.lines);
    logs(&mut out, &shown.lines, at);
    let _ = writeln!(out, "Events");
    let mut events: Vec<usize> =
        (0..told.len()).filter(|i| passes(&shown.lines[*i], &told[*i], wanted)).collect();
    if let Some(last) = wanted.last {
        events.retain(|i| *i <= at);
        events.drain(..events.len().saturating_sub(last));
    }
    for i in events {
        let _ = writeln!(out, "{} {:>6}  {}", mark(i, at, &points), i + 1, told[i]);
    }
    out
}

fn mark(i: usize, at: usize, points: &cause::Points) -> char {
    match () {
        () if points.facts.first() == Some(&Some(i)) => 'A',
        () if points.facts.get(1) == Some(&Some(i)) => 'B',
        () if points.cause == Some(i) => 'C',
        () if i == at => '>',
        () => ' ',
    }
}

fn passes(line: &Line, told: &str, wanted: &Wanted) -> bool {
    let node = wanted.node.is_none_or(|n| line.event.node() == Some(n));
    let region = wanted.region.is_none_or(|r| match &line.event {
        Event::Send { region, .. } | Event::State { region, .. } | Event::Gone { region, .. } => {
            *region == r
        }
        _ => false,
    });
    let told = told.to_lowercase();
    node && region && wanted.find.iter().all(|word| told.contains(&word.to_lowercase()))
}

fn story(out: &mut String, shown: &Shown, points: &cause::Points, told: &[String]) {
    let _ = writeln!(out, "{}, {} events", shown.title, shown.lines.len());
    if !shown.about.is_empty() {
        let _ = writeln!(out, "  {}", shown.about);
    }
    if let Some(Event::Violation { what, facts, .. }) =
        shown.violation().map(|i| &shown.lines[i].event)
    {
        let _ = writeln!(out, "  broke   {what}");
        for (at, fact) in facts.iter().enumerate() {
            let place = points.facts.get(at).copied().flatten();
            let place = place.map_or_else(String::new, |i| format!(" (event {})", i + 1));
            let _ = writeln!(out, "  {}       {fact}{place}", if at == 0 { 'A' } else { 'B' });
        }
        if let Some(i) = points.cause {
            let _ = writeln!(out, "  C       both depend on event {}: {}", i + 1, told[i].trim());
        }
    }
    out.push('\n');
}

/// Who began to lead, who stopped, who went down: the lanes.
fn leaders(out: &mut String, lines: &[Line], told: &[String]) {
    let mut roles: BTreeMap<(u64, u64), (Role, u64)> = BTreeMap::new();
    let mut text = String::new();
    for (i, line) in lines.iter().enumerate() {
        let tell = match &line.event {
            Event::State { n, region, role, term, .. } => {
                let before = roles.insert((*n, *region), (*role, *term));
                let led = before.is_some_and(|(role, _)| role == Role::Leader);
                before != Some((*role, *term)) && (*role == Role::Leader || led)
            }
            Event::Crash { .. }
            | Event::Stop { .. }
            | Event::Fault { .. }
            | Event::Heal { .. }
            | Event::Gone { .. }
            | Event::Phase { .. } => true,
            Event::Open { life, .. } => *life > 1,
            _ => false,
        };
        if tell {
            let _ = writeln!(text, "  {:>6}  {}", i + 1, told[i]);
        }
    }
    if !text.is_empty() {
        let _ = writeln!(out, "Leaders, faults\n{text}");
    }
}

/// What clients asked, when, and what they were told.
fn clients(out: &mut String, lines: &[Line]) {
    let blamed = lines.iter().rev().find_map(|line| match &line.event {
        Event::Violation { ops, .. } => Some(ops.clone()),
        _ => None,
    });
    let blamed = blamed.unwrap_or_default();
    let clock = match lines.first().map(|line| &line.event) {
        Some(Event::Start { clock, .. }) => clock.as_deref(),
        _ => None,
    };
    let mut calls: BTreeMap<usize, (u64, String, String)> = BTreeMap::new();
    for line in lines {
        match &line.event {
            Event::Call { op, client, n, text, .. } => {
                calls.insert(
                    *op,
                    (line.t, format!("client {client} -> n{n} {text}"), "no answer".into()),
                );
            }
            Event::Return { op, text, .. } => {
                if let Some(call) = calls.get_mut(op) {
                    call.2 = format!("{text} at {}", moment(clock, line.t));
                }
            }
            _ => {}
        }
    }
    if calls.is_empty() {
        return;
    }
    let _ = writeln!(out, "Clients");
    for (op, (begun, asked, end)) in &calls {
        let star = if blamed.contains(op) { '*' } else { ' ' };
        let _ = writeln!(out, "{star} {:<12} {asked} => {end}", moment(clock, *begun));
    }
    out.push('\n');
}

/// A peer, as its state lines tell it.
#[derive(Default, Clone)]
struct Peer {
    role: Role,
    term: u64,
    commit: u64,
    applied: u64,
    persisted: u64,
    truncated: u64,
    log: BTreeMap<u64, u64>,
}

fn logs(out: &mut String, lines: &[Line], at: usize) {
    const COLUMNS: u64 = 20;
    let mut peers: BTreeMap<(u64, u64), Peer> = BTreeMap::new();
    for line in lines.iter().take(at + 1) {
        match &line.event {
            Event::State {
                n,
                region,
                role,
                term,
                commit,
                applied,
                persisted,
                truncated,
                kept,
                log,
                ..
            } => {
                let peer = peers.entry((*region, *n)).or_default();
                peer.log.retain(|index, _| *index <= *kept && *index > truncated.0);
                peer.log.extend(log.iter().copied());
                *peer = Peer {
                    role: *role,
                    term: *term,
                    commit: *commit,
                    applied: *applied,
                    persisted: *persisted,
                    truncated: truncated.0,
                    log: std::mem::take(&mut peer.log),
                };
            }
            Event::Gone { n, region } => drop(peers.remove(&(*region, *n))),
            _ => {}
        }
    }
    let regions: std::collections::BTreeSet<u64> =
        peers.keys().map(|(region, _)| *region).collect();
    for region in regions {
        let of: Vec<(u64, &Peer)> =
            peers.iter().filter(|((r, _), _)| *r == region).map(|((_, n), p)| (*n, p)).collect();
        let last = of.iter().filter_map(|(_, p)| p.log.keys().next_back()).max().copied();
        let last = last.unwrap_or(1);
        let first = (last + 1).saturating_sub(COLUMNS).max(1);
        let _ = writeln!(
            out,
            "Logs of region {region} after event {} (term of each entry; . committed, ~ not durable, | in a snapshot)",
            at + 1
        );
        let head: String = (first..=last).map(|index| format!("{index:>4}")).collect();
        let _ = writeln!(out, "  {:<18}{head}", "index");
        for (n, peer) in of {
            let cell = |index| match peer.log.get(&index) {
                Some(term) if index > peer.persisted => format!("{term:>3}~"),
                Some(term) if index <= peer.commit => format!("{term:>3}."),
                Some(term) => format!("{term:>3} "),
                None if index <= peer.truncated => "  | ".to_owned(),
                None => "  - ".to_owned(),
            };
            let row: String = (first..=last).map(cell).collect();
            let name = format!("n{n}@{} {}", peer.term, peer.role);
            let _ = writeln!(
                out,
                "  {name:<18}{row}  commit={} applied={} durable={}",
                peer.commit, peer.applied, peer.persisted
            );
        }
        out.push('\n');
    }
}

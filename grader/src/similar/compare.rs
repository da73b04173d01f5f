//! What two works share, and how much that says.
//!
//! A shared fingerprint weighs little where everybody has it, because the course forces it: its weight falls with the
//! number of works of the class that have it. And it weighs little in a short function, which has few ways to be
//! written. The *share* of a work in another is the weight of its shared fingerprints over the weight of all of its own,
//! so that a copy of one file in a large work shows less than a copy of everything; the *spans* show where.

use std::collections::{BTreeMap, BTreeSet};

use super::corpus::{Corpus, Kind, Source, Work, frequency};
use super::winnow::RUN;

/// A function of so many tokens weighs in full.
const LONG: usize = 120;

/// Lines that stand in both.
#[derive(Debug, Clone)]
pub struct Span {
    /// Index into the sources of the first work, and its first and last line.
    pub left: (usize, usize, usize),
    /// The same of the second work.
    pub right: (usize, usize, usize),
    /// How many tokens.
    pub tokens: usize,
    /// How much that weighs.
    pub weight: f64,
}

/// Two works that share something.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Indices into the works of the corpus. The left one is of the class.
    pub left: usize,
    /// The other.
    pub right: usize,
    /// How much of the left one stands in the right one, 0 to 1.
    pub share: f64,
    /// What they share, the weightiest first.
    pub spans: Vec<Span>,
}

/// A work that has what only a bug of the zoo has.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// Index into the works.
    pub work: usize,
    /// The bug.
    pub bug: String,
    /// What it does wrong.
    pub what: String,
    /// How much of what is the bug's own, 0 to 1.
    pub share: f64,
}

/// A pair below this is not worth a person's minute.
const WORTH: f64 = 0.05;

/// So much of a bug's own runs make a carrier.
const CARRIES: f64 = 0.5;

/// All pairs of the corpus that share something: those with the reference first, then the others, each by share.
pub fn pairs(corpus: &Corpus) -> Vec<Pair> {
    let common = frequency(&corpus.works);
    let class = corpus.works.iter().filter(|w| w.kind == Kind::Submission).count();
    let indexed: Vec<Indexed<'_>> =
        corpus.works.iter().map(|w| Indexed::of(w, &common, class)).collect();
    let mut found = Vec::new();
    for left in 0..class {
        for right in left + 1..corpus.works.len() {
            let share = indexed[left].share_in(&indexed[right]);
            let back = indexed[right].share_in(&indexed[left]);
            // Whoever took half of a long work has all of a short one: the larger of the two tells.
            let of_class = corpus.works[right].kind == Kind::Submission;
            let share = if of_class { share.max(back) } else { share };
            if share >= WORTH {
                let spans = spans(&indexed[left], &indexed[right]);
                found.push(Pair { left, right, share, spans });
            }
        }
    }
    let rank = |pair: &Pair| corpus.works[pair.right].kind;
    found.sort_by(|a, b| rank(a).cmp(&rank(b)).then(b.share.total_cmp(&a.share)));
    found
}

/// Who carries which mistake of the zoo.
pub fn carriers(corpus: &Corpus) -> Vec<Carrier> {
    let mut found = Vec::new();
    for (work, of) in corpus.works.iter().enumerate().filter(|(_, w)| w.kind != Kind::Reference) {
        let own: BTreeSet<u64> =
            of.sources.iter().flat_map(|s| super::winnow::runs(&s.tokens)).collect();
        for bug in &corpus.mistakes {
            let both = bug.runs.intersection(&own).count();
            #[expect(clippy::cast_precision_loss)] // a patch has few tokens
            let share = both as f64 / bug.runs.len() as f64;
            if share >= CARRIES {
                found.push(Carrier { work, bug: bug.id.clone(), what: bug.what.clone(), share });
            }
        }
    }
    found
}

/// A work's fingerprints with their places and weights.
struct Indexed<'a> {
    work: &'a Work,
    places: BTreeMap<u64, Vec<(usize, usize)>>,
    weights: BTreeMap<u64, f64>,
}

impl<'a> Indexed<'a> {
    fn of(work: &'a Work, common: &BTreeMap<u64, usize>, class: usize) -> Self {
        let mut places: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
        let mut weights: BTreeMap<u64, f64> = BTreeMap::new();
        for (file, source) in work.sources.iter().enumerate() {
            let lengths = function_lengths(source);
            for print in &source.prints {
                places.entry(print.hash).or_default().push((file, print.at));
                let rare = rarity(common.get(&print.hash).copied().unwrap_or(1), class);
                #[expect(clippy::cast_precision_loss)] // tokens of a function
                let long = (lengths[print.at] as f64 / LONG as f64).min(1.0);
                let weight = weights.entry(print.hash).or_default();
                *weight = weight.max(rare * long);
            }
        }
        Indexed { work, places, weights }
    }

    fn share_in(&self, other: &Indexed<'_>) -> f64 {
        let all: f64 = self.weights.values().sum();
        let both: f64 =
            self.weights.iter().filter(|(h, _)| other.places.contains_key(h)).map(|(_, w)| w).sum();
        if all > 0.0 { both / all } else { 0.0 }
    }
}

/// 1 for what one or two have, towards 0 for what all of a large class have.
fn rarity(having: usize, class: usize) -> f64 {
    #[expect(clippy::cast_precision_loss)] // people of a class
    let others = having.saturating_sub(2) as f64 / class.max(1) as f64;
    (1.0 - others).max(0.02)
}

/// For each token the length of the outermost function round it, in tokens; 0 outside of functions.
fn function_lengths(source: &Source) -> Vec<usize> {
    let tokens = &source.tokens;
    let mut lengths = vec![0; tokens.len()];
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text != "fn" {
            at += 1;
            continue;
        }
        let Some(end) = end_of_function(source, at) else { break };
        lengths[at..end].fill(end - at);
        at = end;
    }
    lengths
}

/// The index behind the body of the function that begins at `at`; behind `;` if it has none.
fn end_of_function(source: &Source, at: usize) -> Option<usize> {
    let (mut round, mut braces) = (0_usize, 0_usize);
    for (index, token) in source.tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" => round += 1,
            ")" | "]" => round = round.saturating_sub(1),
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(index + 1);
                }
            }
            ";" if braces == 0 && round == 0 => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// A token: the index of its file, and its own.
type At = (usize, usize);

/// A common stretch of tokens: where it begins in both works, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    left: At,
    right: At,
    tokens: usize,
}

impl Stretch {
    /// A common fingerprint, made as long as it goes in both directions.
    fn round(left: &Work, right: &Work, (file, at): At, (there, to): At) -> Self {
        let (l, r) = (&left.sources[file].tokens, &right.sources[there].tokens);
        let mut back = 0;
        while back < at.min(to) && l[at - back - 1].text == r[to - back - 1].text {
            back += 1;
        }
        let mut on = RUN;
        while at + on < l.len() && to + on < r.len() && l[at + on].text == r[to + on].text {
            on += 1;
        }
        Stretch { left: (file, at - back), right: (there, to - back), tokens: back + on }
    }
}

/// The longest common stretches, each token in one at most.
fn spans(left: &Indexed<'_>, right: &Indexed<'_>) -> Vec<Span> {
    let mut all = BTreeSet::new();
    for (hash, here) in &left.places {
        for there in right.places.get(hash).into_iter().flatten() {
            all.extend(
                here.iter().map(|here| Stretch::round(left.work, right.work, *here, *there)),
            );
        }
    }
    let mut longest: Vec<Stretch> = all.into_iter().collect();
    longest.sort_by_key(|stretch| std::cmp::Reverse(stretch.tokens));
    let (mut taken_left, mut taken_right) = (BTreeSet::<At>::new(), BTreeSet::<At>::new());
    let mut spans = Vec::new();
    for stretch in longest {
        let of = |(file, at): At| (at..at + stretch.tokens).map(move |at| (file, at));
        if of(stretch.left).any(|t| taken_left.contains(&t))
            || of(stretch.right).any(|t| taken_right.contains(&t))
        {
            continue;
        }
        taken_left.extend(of(stretch.left));
        taken_right.extend(of(stretch.right));
        let lines = |work: &Work, (file, at): At| {
            let tokens = &work.sources[file].tokens;
            (file, tokens[at].line, tokens[at + stretch.tokens - 1].line)
        };
        let (file, at) = stretch.left;
        let prints = left.work.sources[file].prints.iter();
        let inside = prints.filter(|p| (at..at + stretch.tokens).contains(&p.at));
        spans.push(Span {
            left: lines(left.work, stretch.left),
            right: lines(right.work, stretch.right),
            tokens: stretch.tokens,
            weight: inside.filter_map(|p| left.weights.get(&p.hash)).sum(),
        });
    }
    spans.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.left.cmp(&b.left)));
    spans
}

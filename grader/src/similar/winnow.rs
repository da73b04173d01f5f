//! Winnowing: few fingerprints for a long text, such that no long common part goes unseen.
//!
//! Every run of [`RUN`] tokens has a hash. Of each [`WINDOW`] hashes in a row the smallest one is kept, the last of them
//! if there are several (Schleimer, Wilkerson, Aiken: *Winnowing*, 2003). Two texts that share `RUN + WINDOW - 1` tokens
//! in a row share a whole window, hence a fingerprint; what is shorter than `RUN` is never found, and so is no accident.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::tokens::Token;

/// How many tokens a fingerprint covers: about four lines.
pub const RUN: usize = 20;

/// Of so many fingerprints in a row one is kept.
pub const WINDOW: usize = 8;

/// A fingerprint, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print {
    /// The hash of the run.
    pub hash: u64,
    /// The index of its first token.
    pub at: usize,
}

/// The hashes of all runs, in order.
pub fn runs(tokens: &[Token]) -> Vec<u64> {
    let hash = |run: &[Token]| {
        let mut hasher = DefaultHasher::new();
        for token in run {
            token.text.hash(&mut hasher);
        }
        hasher.finish()
    };
    tokens.windows(RUN).map(hash).collect()
}

/// The fingerprints that are kept, but for those of the starter.
pub fn prints(tokens: &[Token], starter: &BTreeSet<u64>) -> Vec<Print> {
    let runs = runs(tokens);
    let mut kept: Vec<Print> = Vec::new();
    for begin in 0..runs.len().saturating_sub(WINDOW - 1) {
        let window = &runs[begin..begin + WINDOW];
        // `<=`: the last of the smallest, so that a new one is kept as rarely as possible.
        let mut smallest = 0;
        for (at, hash) in window.iter().enumerate() {
            if *hash <= window[smallest] {
                smallest = at;
            }
        }
        let print = Print { hash: window[smallest], at: begin + smallest };
        if kept.last() != Some(&print) && !starter.contains(&print.hash) {
            kept.push(print);
        }
    }
    kept
}

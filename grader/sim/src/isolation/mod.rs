//! Is there a snapshot for every transaction that explains what its client was told?
//!
//! Under *snapshot isolation* a transaction reads one moment of the database, its start, and takes effect at another, its
//! commit; of two that write the same key, one has committed before the other starts. So a history is fine if every
//! transaction can be given these two moments such that all answers come out. A list that is only ever appended to, with
//! elements that are written once, shows almost everything about them: whoever reads `[1,2]` has seen the writers of 1 and 2,
//! in this order, and nobody else's (Kingsbury and Alvaro: "Elle", 2020). Four kinds of facts follow, each "this moment before
//! that":
//!
//! | | what was seen | so |
//! |---|---|---|
//! | wr | B read an element of A's | A committed before B started |
//! | ww | B's element stands behind A's | A committed before B started |
//! | rw | A did not read an element of B's | A started before B committed |
//! | rt | A was answered before B was asked for | A committed before B started |
//!
//! together with: each starts before it commits. If these facts go round in a circle, no moments exist; if they do not, any
//! order of them is an answer. Adya's names for the circles ("Weak Consistency", 1999) follow from what they are made of. A
//! circle of two rw and nothing else, each over other keys, does not close here: that is *write skew*, and allowed.
//!
//! Appends that no later read has seen have no place in their list yet. They come behind all that was seen; among themselves
//! both orders are tried. That search is bounded: beyond its budget the verdict is *unknown*, which is no pass.
//!
//! Left out: predicates and ranges (a phantom is not seen), and lists that shrink.

mod explain;
mod graph;
mod lists;

use crate::failure::{Failure, Outcome};
use crate::history::History;
use crate::linear::Violation;
use graph::Graph;
use lists::{Lists, Txn};

/// Orders that one check may try.
pub const BUDGET: u64 = 10_000;

/// Checks the transactions of a history, as far as they read lists and append to them; numbers are passed over.
///
/// # Errors
/// A [`Violation`] that names the transactions; its failure is [`Failure::Undecided`] when the budget ran out.
pub fn check(history: &History, budget: u64) -> Result<(), Violation> {
    let txns = Txn::all(history);
    let lists = Lists::of(&txns)?;
    let (mut graph, undecided) = Graph::of(&txns, &lists);
    if let Some(circle) = graph.circle() {
        return Err(explain::circle(&txns, &circle));
    }
    let mut left = budget;
    match graph.orient(&undecided, &mut left) {
        Some(true) => Ok(()),
        Some(false) => Err(explain::no_order(&txns, &undecided)),
        None => {
            let why = format!("the checker of snapshot isolation gave up after {budget} orders");
            Err(Violation { failure: Failure::Undecided { why }, ops: Vec::new() })
        }
    }
}

/// The same as an [`Outcome`], for suites.
///
/// # Errors
/// As [`check`].
pub fn expect_snapshot_isolation(history: &History) -> Outcome {
    check(history, BUDGET).map_err(|violation| violation.failure)
}

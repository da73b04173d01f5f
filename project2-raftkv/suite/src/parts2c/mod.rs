//! Stage 2C, one part at a time.

mod build;
mod compact;
mod gc;
mod install;

use sim::harness::Test;

use crate::parts::protocol::Parts;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Parts>> {
    [compact::tests(), gc::tests(), build::tests(), install::tests()]
        .into_iter()
        .flatten()
        .collect()
}

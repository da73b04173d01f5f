//! The tests of stage 0. They link no code of the student's.
//!
//! Small as it is, this suite is built like all others of the course: [`protocol`] is the vocabulary, the tests send
//! plain values and compare plain values, and the same tests run in the student's own process and in a judge's.

pub mod protocol;
pub mod stage0;

use protocol::NoticeBoard;
use sim::harness::Test;

/// All tests of stage 0.
pub fn tests() -> Vec<Test<NoticeBoard>> {
    stage0::tests()
}

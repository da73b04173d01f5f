//! The graded tests of project 1. They link no code of the student's.
//!
//! A test here drives a standalone store through the seam of [`sim::seam`]: it sends an
//! [`Input`](protocol::Input), gets [`Effect`](protocol::Effect)s back, and compares plain values. The
//! same tests run in two programs: the test program of crate `standalone`, where the store lives in the
//! same process, and `standalone-judge`, where it lives behind a pipe.
//!
//! - [`protocol`]: the vocabulary.
//! - [`world`]: what the tests hold in their hands: a store that can be asked, crashed and restarted,
//!   and the bytes of its disk.
//! - [`stage1`]: the tests, a module per subject. Each one's doc comment is the long form of its failure
//!   text.
//!
//! Two storages are tried. The tests of `Storage` and everything about crashes run on
//! the student's `StandaloneStorage` and a simulated disk. The tests of the raw handlers run on the
//! given `MemStorage`, so that a mistake in one hole is not blamed on another; the data they read is put
//! there behind the handlers' back.

pub mod protocol;
pub mod stage1;
pub mod world;

use protocol::Standalone;
use sim::harness::Test;

/// All graded tests of project 1.
pub fn tests() -> Vec<Test<Standalone>> {
    stage1::tests()
}

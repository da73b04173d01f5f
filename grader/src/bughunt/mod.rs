//! `cargo grade bughunt [STAGE]`: a workspace in which everything is written and one thing is wrong.
//!
//! Reading code for a mistake is another skill than writing it, and the one that is needed later. A hunt takes a bug
//! from the zoo, by a number that is the student's own, plants it in the reference, and shows what a failing run
//! looks like: what broke, the two facts, the plan of faults. Find it, mend it, say which rule it broke:
//! `cargo grade bughunt check --rule TEST`.
//!
//! Nothing in the workspace marks the place: the solutions' markers are gone, the zoo is not there, and there is no
//! history. What `check` has to know lies in `grader/bughunt.json`, made unreadable for the eye but not secret: the
//! reference is public, and who compares the two has cheated nobody else.

mod check;
mod plant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

pub use check::{Checked, check};
pub use plant::{Hunt, plant};

/// Where a hunt's workspace keeps what it is about.
pub const FILE: &str = "grader/bughunt.json";

/// What stands in that file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The stage.
    pub stage: String,
    /// The student's number.
    pub seed: u64,
    /// The answer, as hexadecimal digits.
    answer: String,
}

/// What was planted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The bug.
    pub bug: String,
    /// What the code does wrong.
    pub mistake: String,
    /// What goes wrong for others.
    pub users: String,
    /// The files that it is in.
    pub files: Vec<String>,
    /// Every test that it turns red.
    pub red: Vec<String>,
}

impl Sealed {
    fn new(stage: &str, seed: u64, answer: &Answer) -> Self {
        let text = serde_json::to_vec(answer).unwrap_or_default();
        let hex: String = veil(seed, &text).iter().map(|byte| format!("{byte:02x}")).collect();
        Sealed { stage: stage.to_owned(), seed, answer: hex }
    }

    /// Reads a workspace's own.
    ///
    /// # Errors
    /// It is none of a hunt, or the file is damaged.
    pub fn read(workspace: &Workspace) -> Result<(Self, Answer)> {
        let text = workspace
            .read(FILE)
            .context("this is no workspace of a bug hunt; `cargo grade bughunt` makes one")?;
        let sealed: Sealed =
            serde_json::from_str(&text).with_context(|| format!("{FILE} is damaged"))?;
        let bytes = (0..sealed.answer.len() / 2).map(|at| {
            sealed.answer.get(at * 2..at * 2 + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok())
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        let answer =
            bytes.and_then(|bytes| serde_json::from_slice(&veil(sealed.seed, &bytes)).ok());
        Ok((sealed, answer.with_context(|| format!("{FILE} is damaged"))?))
    }
}

/// Its own inverse. Against a glance, not against an adversary.
fn veil(seed: u64, bytes: &[u8]) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()[0]
    };
    bytes.iter().map(|byte| byte ^ next()).collect()
}

//! How a test ends: three verdicts, and a failure that explains itself.
//!
//! A test returns [`Outcome`]. A failure is not a stack trace but two facts that cannot both be
//! true, and one sentence that says which rule they break; whoever prints it adds seed, replay
//! command and chapter.

use std::fmt;

/// Why a test did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The subject did something that the rule forbids. A fail.
    Broke {
        /// What broke, in plain words.
        what: String,
        /// The two facts that contradict each other.
        facts: [String; 2],
    },
    /// The subject's code panicked. A fail; [`Failure::hole`] tells whether it is an unwritten hole.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line`, or empty.
        at: String,
    },
    /// The subject's process ended, or spoke nonsense, before the judge said stop. A fail.
    Ended {
        /// How it ended, in plain words.
        how: String,
    },
    /// No verdict can be given: a wall-clock backstop was hit, or the fault is the grader's own.
    Undecided {
        /// What stood in the way.
        why: String,
    },
}

/// What a test returns: nothing, or why it did not pass.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A broken rule, told by two facts.
    pub fn broke(
        what: impl Into<String>,
        fact: impl Into<String>,
        contradiction: impl Into<String>,
    ) -> Self {
        Failure::Broke { what: what.into(), facts: [fact.into(), contradiction.into()] }
    }

    /// The id of the hole that was reached before it was written, if that is what happened.
    pub fn hole(&self) -> Option<&str> {
        match self {
            Failure::Panicked { message, .. } => {
                message.strip_prefix("hole ")?.split_once(" is not written yet").map(|(id, _)| id)
            }
            _ => None,
        }
    }

    /// One sentence: what broke.
    pub fn what(&self) -> String {
        match self {
            Failure::Broke { what, .. } => what.clone(),
            Failure::Panicked { message, at } if at.is_empty() => {
                format!("your code panicked: {message}")
            }
            Failure::Panicked { message, at } => format!("your code panicked at {at}: {message}"),
            Failure::Ended { how } => how.clone(),
            Failure::Undecided { why } => format!("no verdict: {why}"),
        }
    }

    /// The facts behind it; empty unless a rule broke.
    pub fn facts(&self) -> &[String] {
        match self {
            Failure::Broke { facts, .. } => facts,
            _ => &[],
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        for fact in self.facts() {
            write!(f, "\n  - {fact}")?;
        }
        Ok(())
    }
}

/// Bytes as people write them: `"key\x00\xff"`, cut in the middle when long.
pub fn show(bytes: &[u8]) -> String {
    const HEAD: usize = 40;
    let escaped = |part: &[u8]| part.escape_ascii().to_string();
    if bytes.len() <= 2 * HEAD {
        format!("\"{}\"", escaped(bytes))
    } else {
        format!(
            "\"{}\"... ({} bytes, the last are \"{}\")",
            escaped(&bytes[..HEAD]),
            bytes.len(),
            escaped(&bytes[bytes.len() - 8..])
        )
    }
}

/// Passes when `seen` is what was `expected`; else the failure names both.
///
/// # Errors
/// [`Failure::Broke`] with `what` and the two values.
pub fn expect_eq<T: PartialEq + fmt::Debug>(
    what: impl FnOnce() -> String,
    expected: &T,
    seen: &T,
) -> Outcome {
    if expected == seen {
        return Ok(());
    }
    Err(Failure::broke(what(), format!("expected: {expected:?}"), format!("seen:     {seen:?}")))
}

//! Colours: only on a terminal, never the only sign.

use std::fmt::Display;
use std::io::{IsTerminal, stdout};

/// Paints, or does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paint {
    colours: bool,
}

impl Paint {
    /// Paints nothing.
    pub const PLAIN: Paint = Paint { colours: false };

    /// Paints if standard output is a terminal that wants it (`NO_COLOR`, `TERM=dumb`).
    pub fn detect(plain: bool) -> Self {
        let unwanted = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint { colours: !plain && stdout().is_terminal() && !unwanted("NO_COLOR") && !dumb }
    }

    /// Whether it paints.
    pub fn colours(self) -> bool {
        self.colours
    }

    fn style(self, code: &str, text: impl Display) -> String {
        let text = text.to_string();
        let inner = text.trim_matches('\n');
        if !self.colours || inner.is_empty() {
            return text;
        }
        // Line breaks stay outside, so that no colour runs on into what somebody else prints.
        text.replacen(inner, &format!("\x1b[{code}m{inner}\x1b[0m"), 1)
    }

    /// What passed.
    pub fn good(self, text: impl Display) -> String {
        self.style("32", text)
    }

    /// What is broken.
    pub fn bad(self, text: impl Display) -> String {
        self.style("1;31", text)
    }

    /// What is open: unwritten, undecided.
    pub fn open(self, text: impl Display) -> String {
        self.style("33", text)
    }

    /// What may be overlooked.
    pub fn dim(self, text: impl Display) -> String {
        self.style("2", text)
    }

    /// What should not be.
    pub fn strong(self, text: impl Display) -> String {
        self.style("1", text)
    }
}

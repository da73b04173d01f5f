//! The markers of the reference: `// BEGIN SOLUTION 1.raw_get` and `// END SOLUTION`.
//!
//! This module reads lines and nothing else; what a marked block means in the language is
//! [`cut`](crate::cut)'s business. The two are apart on purpose: the handout's last check compares
//! what was written with what these lines say, without the machinery that did the cutting.

/// A marked block. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The hole.
    pub id: String,
    /// The line of the opening marker.
    pub begin: usize,
    /// The line of the closing marker.
    pub end: usize,
}

/// A marker that does not pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpaired {
    /// Its line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// The id that an opening marker names.
pub fn begin(line: &str) -> Option<&str> {
    comment(line)?.strip_prefix("BEGIN SOLUTION").map(str::trim)
}

/// Whether a line is a closing marker.
pub fn end(line: &str) -> bool {
    comment(line).is_some_and(|text| text.starts_with("END SOLUTION"))
}

fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//").map(str::trim)
}

/// The blocks of a file, in order.
///
/// # Errors
/// All markers that do not pair.
pub fn blocks(text: &str) -> Result<Vec<Block>, Vec<Unpaired>> {
    let (mut blocks, mut wrong) = (Vec::new(), Vec::new());
    let mut open: Option<(String, usize)> = None;
    for (line, content) in (1..).zip(text.lines()) {
        if let Some(id) = begin(content) {
            if let Some((before, at)) = open.replace((id.to_owned(), line)) {
                wrong
                    .push(Unpaired { line: at, what: format!("the block of {before} has no end") });
            }
            if id.is_empty() || id.contains(char::is_whitespace) {
                wrong.push(Unpaired { line, what: "the marker names no hole".into() });
            }
        } else if end(content) {
            match open.take() {
                Some((id, begin)) => blocks.push(Block { id, begin, end: line }),
                None => wrong.push(Unpaired { line, what: "an end without a beginning".into() }),
            }
        }
    }
    if let Some((id, line)) = open {
        wrong.push(Unpaired { line, what: format!("the block of {id} has no end") });
    }
    if wrong.is_empty() { Ok(blocks) } else { Err(wrong) }
}

/// The lines inside blocks of `secret` holes (first) and all others (second), trimmed; markers belong to neither.
/// Never fails: what an unpaired marker opens counts as inside to the end of the file.
pub fn inside_and_outside<'a>(
    text: &'a str,
    secret: &dyn Fn(&str) -> bool,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let mut hidden = false;
    for line in text.lines() {
        if let Some(id) = begin(line) {
            hidden = secret(id);
        } else if end(line) {
            hidden = false;
        } else if hidden {
            inside.push(line.trim());
        } else {
            outside.push(line.trim());
        }
    }
    (inside, outside)
}

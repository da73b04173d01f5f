//! Unified diffs, read and applied in memory, so that nothing has to be installed and a check costs nothing.
//!
//! A hunk fits where all its old lines stand in a row; of several such places the one nearest to the line
//! that it names is taken. Nothing is guessed beyond that: a patch that nearly fits is one that rots.

use std::fmt;

use crate::tree::Files;

/// Changes of some files.
#[derive(Debug, Clone)]
pub struct Patch {
    files: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    path: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Clone)]
struct Hunk {
    /// Its line in the patch's own file.
    line: usize,
    /// The line of the old file that it names.
    at: usize,
    old: Vec<String>,
    new: Vec<String>,
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line of the patch's file.
    pub line: usize,
    /// In plain words.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

fn wrong(line: usize, what: impl Into<String>) -> Wrong {
    Wrong { line, what: what.into() }
}

impl Patch {
    /// Reads a diff whose first line is line `first` of its file.
    ///
    /// # Errors
    /// What cannot be read, with its line.
    pub fn parse(text: &str, first: usize) -> Result<Self, Wrong> {
        let mut files: Vec<Change> = Vec::new();
        let mut in_hunk = false;
        let mut lines = (first..).zip(text.lines()).peekable();
        while let Some((number, line)) = lines.next() {
            let header = line.starts_with("--- ")
                && lines.peek().is_some_and(|(_, next)| next.starts_with("+++ "));
            if header {
                let (_, new) = lines.next().unwrap_or_default();
                if line.contains("/dev/null") || new.contains("/dev/null") {
                    return Err(wrong(number, "a patch changes files; it makes and removes none"));
                }
                let path = new.trim_start_matches("+++ ").split('\t').next().unwrap_or_default();
                let path = path.strip_prefix("b/").unwrap_or(path).to_owned();
                files.push(Change { path, hunks: Vec::new() });
                in_hunk = false;
            } else if let Some(place) = line.strip_prefix("@@") {
                let Some(file) = files.last_mut() else {
                    return Err(wrong(number, "a change without a file: `--- a/..` comes first"));
                };
                file.hunks.push(Hunk {
                    line: number,
                    at: old_line(place),
                    old: Vec::new(),
                    new: Vec::new(),
                });
                in_hunk = true;
            } else if line.starts_with("diff ") {
                in_hunk = false;
            } else if in_hunk && let Some(hunk) = files.last_mut().and_then(|f| f.hunks.last_mut())
            {
                hunk.take(number, line)?;
            }
        }
        for hunk in files.iter_mut().flat_map(|file| &mut file.hunks) {
            hunk.drop_blank_end();
        }
        match files.iter().any(|file| !file.hunks.is_empty()) {
            true => Ok(Patch { files }),
            false => Err(wrong(first, "there is no diff behind the header")),
        }
    }

    /// Which files it changes.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// The lines of a file that it changes, counted from 1 before the change; none where it does not fit any more.
    pub fn lines_in(&self, path: &str, text: &str) -> Vec<usize> {
        let lines: Vec<&str> = text.split('\n').collect();
        let hunks = self.files.iter().filter(|file| file.path == path).flat_map(|file| &file.hunks);
        hunks.flat_map(|hunk| hunk.find(&lines, 0).map(|at| hunk.changed(at))).flatten().collect()
    }

    /// The changed files, as they are afterwards.
    ///
    /// # Errors
    /// It does not fit any more, and where.
    pub fn apply(&self, to: &Files) -> Result<Files, Wrong> {
        let mut changed = Files::new();
        for file in &self.files {
            let first = file.hunks.first().map_or(1, |hunk| hunk.line);
            let text = to.get(&file.path).and_then(|content| std::str::from_utf8(content).ok());
            let Some(text) = text else {
                return Err(wrong(first, format!("there is no file {}", file.path)));
            };
            let mut lines: Vec<&str> = text.split('\n').collect();
            // Later hunks move by what earlier ones added or took.
            let mut drift = 0isize;
            for hunk in &file.hunks {
                let Some(at) = hunk.find(&lines, drift) else {
                    return Err(wrong(hunk.line, hunk.misfit(&lines, &file.path)));
                };
                drift += hunk.new.len().cast_signed() - hunk.old.len().cast_signed();
                lines.splice(at..at + hunk.old.len(), hunk.new.iter().map(String::as_str));
            }
            let new = lines.join("\n");
            if new == text {
                return Err(wrong(first, format!("it changes nothing in {}", file.path)));
            }
            changed.insert(file.path.clone(), new.into());
        }
        Ok(changed)
    }
}

impl Hunk {
    fn take(&mut self, number: usize, line: &str) -> Result<(), Wrong> {
        let (sign, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
        match sign {
            " " => {
                self.old.push(rest.to_owned());
                self.new.push(rest.to_owned());
            }
            "-" => self.old.push(rest.to_owned()),
            "+" => self.new.push(rest.to_owned()),
            "\\" => {}
            _ => return Err(wrong(number, "a line of a diff begins with a space, `-` or `+`")),
        }
        Ok(())
    }

    /// Empty lines at the end belong to whoever put the patch into a file.
    fn drop_blank_end(&mut self) {
        while self.old.last().is_some_and(String::is_empty)
            && self.new.last().is_some_and(String::is_empty)
        {
            self.old.pop();
            self.new.pop();
        }
    }

    /// The lines that differ, if it stands at `at` (from 0): without what is the same before and behind.
    fn changed(&self, at: usize) -> std::ops::Range<usize> {
        let same = |(old, new): &(&String, &String)| old == new;
        let before = self.old.iter().zip(&self.new).take_while(same).count();
        let behind = self.old.iter().rev().zip(self.new.iter().rev()).take_while(same).count();
        let end = self.old.len().saturating_sub(behind).max(before + 1);
        at + 1 + before..at + 1 + end
    }

    fn find(&self, lines: &[&str], drift: isize) -> Option<usize> {
        let wanted = self.at.saturating_sub(1).saturating_add_signed(drift);
        let fits = |at: &usize| lines[*at..*at + self.old.len()].iter().eq(self.old.iter());
        let last = lines.len().checked_sub(self.old.len())?;
        (0..=last).filter(fits).min_by_key(|at| at.abs_diff(wanted))
    }

    fn misfit(&self, lines: &[&str], path: &str) -> String {
        let gone = self.old.iter().find(|old| !lines.contains(&old.as_str()));
        match gone {
            Some(line) => format!("{path} has no line `{}` any more", line.trim()),
            None => format!("{path} has these lines, but not in a row any more"),
        }
    }
}

/// `@@ -12,3 +12,4 @@`: 12. Without a number, anywhere.
fn old_line(place: &str) -> usize {
    let digits = place.trim_start().trim_start_matches('-');
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(1)
}

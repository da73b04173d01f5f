//! The pictures of the book's gallery: famous disasters, each a real run of a test on the reference, with one mistake of
//! the zoo planted in it, or with none. Made by `cargo grade view --gallery DIR`, so that they can be made again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo_build;
use crate::course::Course;
use crate::grade::{Options, Programs, runner, wanted};
use crate::handout::leave_out_authors_parts;
use crate::report::progress::Progress;
use crate::tree;
use crate::verdict::Status;
use crate::view::{self, Recorded};
use crate::workspace::Workspace;
use crate::zoo;

use super::page;

/// A picture.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// The name of its files.
    pub name: &'static str,
    /// The mistake of the zoo; `None`: the reference as it is.
    pub bug: Option<&'static str>,
    /// The test.
    pub test: &'static str,
    /// The seed.
    pub seed: u64,
    /// What is to be seen, for somebody who knows nothing of it.
    pub about: &'static str,
    /// Where the page opens: the part of its address behind `#`; empty: at the violation.
    pub position: &'static str,
}

/// All of them, in the order of the book.
pub const PICTURES: [Picture; 9] = [
    Picture {
        name: "figure-8",
        bug: Some("2AB-01"),
        test: "stage2ab::figures::figure_8_an_old_entry_on_a_majority_is_not_committed",
        seed: 1,
        about: "A leader counts copies of an entry of an earlier term, and calls it committed (figure 8 of the paper).",
        position: "",
    },
    Picture {
        name: "short-append",
        bug: Some("2AB-03"),
        test: "stage2ab::append::a_late_short_append_takes_nothing_back",
        seed: 1,
        about: "A late append, shorter than the log, cuts off what was acknowledged since.",
        position: "",
    },
    Picture {
        name: "stale-vote",
        bug: Some("2AA-01"),
        test: "stage2aa::campaign::a_vote_answer_of_an_older_term_does_not_count",
        seed: 1,
        about: "A vote of an earlier term is counted in this one.",
        position: "",
    },
    Picture {
        name: "unsynced-append",
        bug: Some("2B-58"),
        test: "stage2b::cluster::what_was_acknowledged_survives_the_end_of_all_stores",
        seed: 1,
        about: "A follower acknowledges entries that its disk has not synced; then its power goes.",
        position: "find=n1@6%20-%3E%20n3%20AppendResponse&z=84,181",
    },
    Picture {
        name: "snapshot-over-a-sibling",
        bug: Some("3B-12"),
        test: "stage3b::behind::a_snapshot_waits_until_there_is_room",
        seed: 2,
        about: "A store that slept through a split is sent a snapshot that covers the other half, too.",
        position: "",
    },
    Picture {
        name: "two-node-removal",
        bug: Some("3A-59"),
        test: "stage3a::leave::one_of_two_hands_over_before_it_goes",
        seed: 1,
        about: "One of two members is removed: the other cannot know it.",
        position: "",
    },
    Picture {
        name: "split-under-partition",
        bug: None,
        test: "stage3b::split::a_split_while_the_network_is_in_two",
        seed: 1,
        about: "A leader is cut off with one follower of five just as it splits its region. The others elect a leader, and cut elsewhere: only one of the two splits may count.",
        position: "to=birth",
    },
    Picture {
        name: "dying-client",
        bug: None,
        test: "stage4c::bank::money_survives_clients_that_die",
        seed: 1,
        about: "Percolator's client dies between its primary and its secondary; whoever meets the lock asks at the primary, and finishes what was decided there.",
        position: "text=277&find=commit%20the%20locks%20of%20txn%20277",
    },
    Picture {
        name: "dying-coordinator",
        bug: Some("4D-51"),
        test: "stage4d::scenes::a_coordinator_may_die_after_any_message",
        seed: 1,
        about: "A coordinator commits both keys at once, and dies when only the second was told; whoever meets the first rolls it back.",
        position: "text=95944704&find=KvCommit&z=296,1362",
    },
];

/// Makes all pages in `folder`, and their pictures.
///
/// # Errors
/// A mistake is not in the zoo or does not apply, a program does not build, a test leaves no trace.
pub fn make(
    workspace: &Workspace,
    course: &Course,
    folder: &Path,
    progress: &Progress,
) -> Result<String> {
    let chromium = chromium();
    let mut told = String::new();
    for picture in &PICTURES {
        let (_, test) = course.test(picture.test)?;
        let command = match picture.bug {
            Some(bug) => {
                format!("cargo grade view {} --seed {} --bug {bug}", test.name, picture.seed)
            }
            None => format!("cargo grade view {} --seed {}", test.name, picture.seed),
        };
        let about = (picture.about, &*command);
        let mut recorded =
            planted(workspace, course, (picture.bug, &test.name, picture.seed), about, progress)?;
        picture.name.replace('-', " ").clone_into(&mut recorded.shown.title);
        let file = folder.join(format!("{}.html", picture.name));
        view::write(&file, &page(&recorded.shown))?;
        let ended = match recorded.outcome.status {
            Status::Fail => recorded.outcome.broke.as_str(),
            Status::Pass => "no rule is broken",
            _ => "no verdict",
        };
        let photo = match &chromium {
            Some(program) => photograph(program, &file, picture)?,
            None => " (no Chromium on the PATH, so no picture)".to_owned(),
        };
        told += &format!("{}: {ended}{photo}\n", file.display());
    }
    Ok(told)
}

/// Runs a test on the reference with a mistake of the zoo in it, or with none. `about`: what is to be seen, and the command
/// that shows it.
///
/// # Errors
/// As [`make`].
pub fn planted(
    workspace: &Workspace,
    course: &Course,
    (bug, test, seed): (Option<&str>, &str, u64),
    about: (&str, &str),
    progress: &Progress,
) -> Result<Recorded> {
    let (stage, test) = course.test(test)?;
    let mut files = tree::read_course(&workspace.root)?;
    leave_out_authors_parts(&mut files)?;
    if let Some(id) = bug {
        let (bugs, _) = zoo::load(workspace)?;
        let &[bug] = &zoo::select(&bugs, &[id.to_owned()])?[..] else {
            bail!("one mistake at a time: `{id}` means several");
        };
        let changed = bug.patch.apply(&files).map_err(|e| anyhow::anyhow!("{id}: {e}"))?;
        files.extend(changed);
    }
    let copy = workspace.copy("gallery", files)?;
    let built = cargo_build::build(&copy, &wanted(&[stage], false), false, progress)?;
    let at = copy.root.join(&workspace.student_folders(course)?[&stage.package]);
    let programs = Programs::of(stage, &at, &built, false).map_err(anyhow::Error::msg)?;
    progress.step(&test.name);
    let job = programs.job(&test.name, vec![seed]);
    let runner = runner(course, &Options::default())?;
    view::trace_of(&runner, job, about, &workspace.scratch().join("view"))
}

/// The page as a browser of 1280 by 860 pixels shows it.
fn photograph(program: &Path, page: &Path, picture: &Picture) -> Result<String> {
    let image = page.with_extension("png");
    let profile = page.with_extension("profile");
    let quiet = || Stdio::null();
    let status = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--window-size=1280,860", "--virtual-time-budget=5000"])
        .args(["--run-all-compositor-stages-before-draw"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--screenshot={}", image.display()))
        .arg(format!("file://{}#{}", page.display(), picture.position))
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status()
        .with_context(|| format!("{} does not start", program.display()))?;
    let _ = std::fs::remove_dir_all(&profile);
    if !status.success() || !image.is_file() {
        return Ok(format!(" (no picture: Chromium ended with {status})"));
    }
    Ok(format!(", {}", image.display()))
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

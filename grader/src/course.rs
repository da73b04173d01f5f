//! The course as `grader/course.toml` describes it: stages, their holes, their tests.
//!
//! The file is the only place that knows which tests exist, what they weigh and which hole a test
//! waits for. Order means something: stages and holes stand in the order in which a student meets
//! them, and the [ladder](crate::ladder) climbs in that order.
//!
//! Reading is strict about spelling (an unknown field is an error, with its line) and says nothing about
//! sense: whether a hint is empty or an anchor dead is [`check`](crate::check)'s business, so that
//! half a course can already be graded.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cli;
use crate::suggest::did_you_mean;

/// All stages, in course order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Version of the course; stands in every report.
    pub version: String,
    /// What a test may use.
    #[serde(default)]
    pub limits: Limits,
    /// The stages.
    #[serde(default, rename = "stage")]
    pub stages: Vec<Stage>,
}

/// What one test process may use. Memory decides (a fail); time does not (undecided).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Address space of each process, in MiB.
    pub memory_mib: u64,
    /// Wall-clock backstop of one test, in seconds: a multiple of what the reference needs.
    pub backstop_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // The address space holds thread stacks and allocator arenas that are never touched, so the
        // number is larger than the memory it stands for.
        Limits { memory_mib: 2048, backstop_seconds: 30 }
    }
}

/// One stage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// As the student types it (`2ab`, in any case).
    pub id: String,
    /// One line.
    pub title: String,
    /// The package whose holes these are; its test program `main` is built.
    pub package: String,
    /// The package of the suite.
    pub suite: String,
    /// The judge's binary, in the package of the suite.
    pub judge: String,
    /// What the stage is worth; nothing, if it is a warm-up.
    pub points: u32,
    /// Extra credit: its points stand outside the hundred, and whoever leaves it out is not held up. A warm-up is of
    /// this kind, too.
    #[serde(default)]
    pub extra: bool,
    /// The chapter, below `docs/src`.
    pub chapter: String,
    /// Files that are ours: a submission's version of them is not used.
    #[serde(default)]
    pub given: Vec<String>,
    /// The holes, in the order in which they are to be filled.
    #[serde(default, rename = "hole")]
    pub holes: Vec<Hole>,
    /// The tests, in the order in which they turn green.
    #[serde(default, rename = "test")]
    pub tests: Vec<Test>,
}

/// One part that the student writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hole {
    /// Unique in the course; stands in the markers.
    pub id: String,
    /// The file that has it in the reference; a student may move it.
    pub file: String,
    /// How long it takes, about.
    pub minutes: u32,
    /// A question, where to look, an outline.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// One graded test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// `stage1::raw_get::an_absent_key_is_not_found`.
    pub name: String,
    /// With this hole filled, and all before it in course order, the test is green.
    pub after: String,
    /// Its share of the stage's points.
    pub weight: u32,
    /// The rule it checks, in a sentence.
    #[serde(default)]
    pub rule: String,
    /// Where to read, below `docs/src`; the stage's chapter if absent.
    pub chapter: Option<String>,
    /// How many public seeds: 1 to this.
    #[serde(default = "one")]
    pub seeds: u64,
}

fn one() -> u64 {
    1
}

impl Course {
    /// Reads the text of a `course.toml`.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self> {
        toml_edit::de::from_str(text)
            .map_err(|e| anyhow::anyhow!("{}", e.to_string().trim_end()))
            .context("grader/course.toml cannot be read")
    }

    /// The stages that were asked for, in course order; all of them if none was. `2` means all whose
    /// name begins with 2.
    ///
    /// # Errors
    /// A name that fits no stage.
    pub fn select(&self, asked: &[String]) -> Result<Vec<&Stage>> {
        if self.stages.is_empty() {
            bail!("the course has no stages yet: grader/course.toml is where they go");
        }
        let mut wanted = vec![asked.is_empty(); self.stages.len()];
        for name in asked {
            for at in self.matching(name)? {
                wanted[at] = true;
            }
        }
        Ok(self.stages.iter().zip(wanted).filter_map(|(s, wanted)| wanted.then_some(s)).collect())
    }

    fn matching(&self, name: &str) -> Result<Vec<usize>> {
        let typed = name.to_lowercase();
        let find = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            let ids = self.stages.iter().enumerate();
            ids.filter(|(_, s)| fits(&s.id.to_lowercase())).map(|(at, _)| at).collect()
        };
        let mut found = find(&|id| id == typed);
        if found.is_empty() && !typed.is_empty() {
            found = find(&|id| id.starts_with(&typed));
        }
        if found.is_empty() {
            let ids: Vec<&str> = self.stages.iter().map(|s| s.id.as_str()).collect();
            let commands = cli::commands();
            let known = ids.iter().copied().chain(commands.iter().map(String::as_str));
            bail!(
                "there is no stage `{name}`{}\nStages are: {}. `cargo grade list` shows what is in them.",
                did_you_mean(name, known),
                ids.join(", ")
            );
        }
        Ok(found)
    }

    /// A test by its name, or by a part of it that fits only one.
    ///
    /// # Errors
    /// A name that fits none, or several.
    pub fn test(&self, name: &str) -> Result<(&Stage, &Test)> {
        let all = || self.stages.iter().flat_map(|s| s.tests.iter().map(move |t| (s, t)));
        if let Some(exact) = all().find(|(_, t)| t.name == name) {
            return Ok(exact);
        }
        let near: Vec<_> = all().filter(|(_, t)| t.name.contains(name)).collect();
        match near[..] {
            [only] => Ok(only),
            [] => bail!(
                "there is no test `{name}`{}\n`cargo grade list` shows all tests.",
                did_you_mean(name, all().map(|(_, t)| t.name.as_str()))
            ),
            [..] => bail!(
                "`{name}` fits {} tests:\n{}\nGive enough of the name to choose one.",
                near.len(),
                near.iter().map(|(_, t)| format!("  {}", t.name)).collect::<Vec<_>>().join("\n")
            ),
        }
    }

    /// A hole by its id, in any case.
    ///
    /// # Errors
    /// An id that fits none.
    pub fn hole(&self, id: &str) -> Result<(&Stage, &Hole)> {
        let fits = |hole: &Hole| hole.id.eq_ignore_ascii_case(id);
        self.holes().find(|(_, hole)| fits(hole)).with_context(|| {
            format!(
                "there is no hole `{id}`{}\n`cargo grade list` shows all holes.",
                did_you_mean(id, self.holes().map(|(_, h)| h.id.as_str()))
            )
        })
    }

    /// All holes, in course order.
    pub fn holes(&self) -> impl Iterator<Item = (&Stage, &Hole)> {
        self.stages.iter().flat_map(|s| s.holes.iter().map(move |h| (s, h)))
    }

    /// The packages that students write in, in course order, each once.
    pub fn packages(&self) -> Vec<&str> {
        let mut packages: Vec<&str> = Vec::new();
        for stage in &self.stages {
            if !packages.contains(&stage.package.as_str()) {
                packages.push(&stage.package);
            }
        }
        packages
    }
}

impl Stage {
    /// Where a test's rule is explained: `docs/src/chapter-1.md#anchor`.
    pub fn reading(&self, test: &Test) -> String {
        format!("docs/src/{}", test.chapter.as_ref().unwrap_or(&self.chapter))
    }

    /// `8 points`, `4 points of extra credit`, `no points`.
    pub fn worth(&self) -> String {
        match (self.points, self.extra) {
            (0, _) => "no points".into(),
            (points, true) => format!("{points} points of extra credit"),
            (points, false) => format!("{points} points"),
        }
    }

    /// The sum of all weights.
    pub fn weight(&self) -> u32 {
        self.tests.iter().map(|t| t.weight).sum()
    }
}

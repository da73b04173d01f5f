//! A class, from the first submission to the last: resumable, divisible, and the same whichever way it was done.
//!
//! The report folder is the state. A submission is done when its `score.json` stands there under today's conditions;
//! whoever starts the same command again goes on with the next. So a run that was killed ends with the same bytes as
//! one that was not, and shards are runs over every n-th submission whose folders are put together by `merge`.
//!
//! Before the first submission the sandbox is tried ([`selftest`]), and the reference is
//! graded in the same way as everybody. If it does not get every point, this machine cannot grade, and nobody is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use grader::report::progress::Progress;
use grader::tree::Files;
use grader::workspace::Workspace;

use crate::inbox::{self, Submission};
use crate::record::{self, Conditions, Fate, Score, Times};
use crate::sandbox::{Kind, Sandbox, selftest};
use crate::submission::Grading;
use crate::workshop::Workshop;
use crate::{place, seeds, unpack};

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The submissions.
    pub folder: PathBuf,
    /// The folder is itself the one submission.
    pub single: bool,
    /// Where reports go.
    pub out: PathBuf,
    /// The stages as typed; all if empty.
    pub stages: Vec<String>,
    /// The workshop's folder.
    pub place: PathBuf,
    /// Which sandbox; the best one if absent.
    pub sandbox: Option<Kind>,
    /// Grade although submissions can reach the network. For containers that hold one submission each.
    pub open_network: bool,
    /// The user inside.
    pub uid: u32,
    /// Further folders that builds may read.
    pub shown: Vec<PathBuf>,
    /// The hidden seeds.
    pub hidden: Vec<u64>,
    /// The file that holds the secret, which nobody inside must read.
    pub secret: Option<PathBuf>,
    /// Only this submission, whether it is done or not.
    pub only: Option<String>,
    /// Which part of the class: the first number of (1, 3) counts from 1.
    pub shard: (usize, usize),
    /// Start over.
    pub fresh: bool,
    /// How many tests at once; one a core if absent.
    pub jobs: Option<usize>,
    /// The wall-clock backstop in place of the course's.
    pub backstop: Option<u64>,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Done {
    /// Every record of the report folder, by name.
    pub scores: Vec<Score>,
    /// How many were graded now.
    pub graded: usize,
    /// What was left alone in the folder of submissions.
    pub ignored: Vec<String>,
    /// With [`Plan::only`]: whether the record that was there before is the same, byte for byte.
    pub same: Option<bool>,
}

/// The tests may take this many times what the reference takes here, before they count as hanging.
const PATIENCE: f64 = 20.0;

/// Grades.
///
/// # Errors
/// The sandbox can be broken, the reference does not get all points, or a folder cannot be used.
pub fn run(
    workspace: Workspace,
    plan: &Plan,
    progress: &Progress,
    say: &dyn Fn(&str),
) -> Result<Done> {
    let (all, ignored) = match plan.single {
        true => (vec![inbox::single(&plan.folder)?], Vec::new()),
        false => inbox::list(&plan.folder)?,
    };
    let mine = choose(&all, plan)?;
    fs::create_dir_all(&plan.place)
        .with_context(|| format!("{} cannot be made", plan.place.display()))?;
    open(&plan.place)?;
    let _lock = File::create(plan.place.join("lock"))
        .and_then(|file| file.lock().map(|()| file))
        .context("the workshop cannot be locked")?;
    let helper = own_copy(&plan.place)?;
    let sandbox = Sandbox::find(plan.sandbox, plan.uid, helper)?;
    let mut workshop = Workshop::new(workspace, sandbox, plan.place.clone(), plan.shown.clone())?;
    workshop.clean()?;
    try_walls(&workshop, plan, say)?;

    let course = workshop.course.clone();
    let stages = course.select(&plan.stages)?;
    workshop.make_judges(&stages, progress)?;
    let conditions = Conditions {
        course: course.version.clone(),
        rules: workshop.rules(),
        rustc: workshop.rustc.clone(),
        sandbox: workshop.sandbox.kind.word().to_owned()
            + if plan.open_network { ", open network" } else { "" },
        stages: stages.iter().map(|s| s.id.clone()).collect(),
        hidden_seeds: plan.hidden.clone(),
    };
    let options = grader::grade::Options {
        judge: true,
        jobs: plan.jobs,
        backstop: plan.backstop,
        ..Default::default()
    };
    let mut runner = grader::grade::runner(&course, &options)?;
    // A student who hangs a hundred tests hangs them again; two tries alone answer for all.
    runner.give_up = true;
    let mut grading = Grading {
        workshop: &workshop,
        stages,
        runner,
        conditions,
        tripwires: BTreeMap::new(),
        progress,
    };
    let packages = grading.packages();
    say("building what submissions stand on\n");
    workshop.warm(&packages, progress)?;
    control(&mut grading, plan, say)?;

    let (mut graded, mut same) = (0, None);
    for (at, submission) in mine.iter().enumerate() {
        let kept = score_file(&plan.out, &submission.id);
        let (files, refused) = match unpack::read(&submission.path, &workshop.source_folders()) {
            Ok(files) => (files, None),
            Err(why) => (Files::new(), Some(why)),
        };
        let before = fs::read(&kept).ok();
        if plan.only.is_none()
            && !plan.fresh
            && is_done(before.as_deref(), &grading, &files, refused.is_some())
        {
            continue;
        }
        let started = Instant::now();
        let (score, times) = match refused {
            Some(why) => {
                let times = Times { id: submission.id.clone(), ..Times::default() };
                (grading.blank(&submission.id, Fate::Refused { why }), times)
            }
            None => grading.grade(&submission.id, &files)?,
        };
        workshop.clean()?;
        let text = record::json(&score);
        if plan.only.is_some() {
            same = before.map(|before| before == text.as_bytes());
        }
        record::write(&kept, &text)?;
        record::write(&kept.with_file_name("times.json"), record::json(&times))?;
        graded += 1;
        say(&line(&score, at + 1, mine.len(), started.elapsed().as_secs_f64()));
    }
    let scores = load(&plan.out, |id| all.iter().any(|s| s.id == id))?;
    Ok(Done { scores, graded, ignored, same })
}

/// Where the record of a submission is.
pub fn score_file(out: &Path, id: &str) -> PathBuf {
    out.join("submissions").join(id).join("score.json")
}

/// The records in a report folder.
///
/// # Errors
/// One cannot be read.
pub fn load(out: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Score>> {
    let folder = out.join("submissions");
    let mut scores = Vec::new();
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(scores) };
    for entry in entries.flatten() {
        let Ok(id) = entry.file_name().into_string() else { continue };
        let path = score_file(out, &id);
        if !path.is_file() || !wanted(&id) {
            continue;
        }
        let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let score: Score = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no record of this version", path.display()))?;
        scores.push(score);
    }
    scores.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(scores)
}

/// How long the submissions in a report folder took.
pub fn load_times(out: &Path, scores: &[Score]) -> Vec<Times> {
    let of = |score: &Score| {
        let text = fs::read(score_file(out, &score.id).with_file_name("times.json")).ok()?;
        serde_json::from_slice(&text).ok()
    };
    scores.iter().filter_map(of).collect()
}

/// Puts the report folders of shards together.
///
/// # Errors
/// A folder holds no records, two hold the same student, or their conditions differ.
pub fn merge(out: &Path, shards: &[PathBuf]) -> Result<Vec<Score>> {
    let mut conditions: Option<Conditions> = None;
    for shard in shards {
        let scores = load(shard, |_| true)?;
        if scores.is_empty() {
            bail!("{} holds no records", shard.display());
        }
        for score in scores {
            let first = conditions.get_or_insert_with(|| score.conditions.clone());
            if *first != score.conditions {
                bail!(
                    "{} in {} was graded under other conditions than the rest, so the scores cannot be compared:\n{:?}\n{first:?}",
                    score.id,
                    shard.display(),
                    score.conditions
                );
            }
            let (from, to) = (score_file(shard, &score.id), score_file(out, &score.id));
            let text =
                fs::read(&from).with_context(|| format!("{} cannot be read", from.display()))?;
            if fs::read(&to).is_ok_and(|there| there != text) {
                bail!("{} stands in two shards, with different results", score.id);
            }
            record::write(&to, text)?;
            if let Ok(times) = fs::read(from.with_file_name("times.json")) {
                record::write(&to.with_file_name("times.json"), times)?;
            }
        }
    }
    load(out, |_| true)
}

fn choose(all: &[Submission], plan: &Plan) -> Result<Vec<Submission>> {
    if let Some(id) = &plan.only {
        let Some(one) = all.iter().find(|submission| submission.id == *id) else {
            bail!("there is no submission {id} in {}", plan.folder.display());
        };
        return Ok(vec![one.clone()]);
    }
    let (part, parts) = plan.shard;
    if part == 0 || part > parts {
        bail!("there is no shard {part} of {parts}");
    }
    Ok(all.iter().skip(part - 1).step_by(parts).cloned().collect())
}

fn is_done(before: Option<&[u8]>, grading: &Grading<'_>, files: &Files, refused: bool) -> bool {
    let Some(score) = before.and_then(|text| serde_json::from_slice::<Score>(text).ok()) else {
        return false;
    };
    let hash =
        seeds::hash(files.iter().flat_map(|(path, content)| [path.as_bytes(), content.as_slice()]));
    let same = if refused { score.sources.is_empty() } else { score.sources == hash };
    same && score.conditions == grading.conditions
}

/// The reference takes the same way as everybody, and has to get everything.
fn control(grading: &mut Grading<'_>, plan: &Plan, say: &dyn Fn(&str)) -> Result<()> {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Kept {
        conditions: Conditions,
        backstop: u64,
        tripwires: BTreeMap<String, String>,
    }
    let file = plan.place.join("control.json");
    let kept = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
    if let Some(kept) = kept.filter(|kept| kept.conditions == grading.conditions && !plan.fresh) {
        grading.tripwires = kept.tripwires;
        grading.runner.limits.backstop_seconds = plan.backstop.unwrap_or(kept.backstop);
        return Ok(());
    }
    say("grading the reference, as a control\n");
    let started = Instant::now();
    let files: Files = grading
        .workshop
        .reference()
        .values()
        .flatten()
        .map(|(p, c)| (p.clone(), c.clone()))
        .collect();
    let (score, times) = grading.grade("the reference", &files)?;
    for stage in &score.stages {
        for test in &stage.tests {
            for verdict in
                [Some(&test.ours), test.hidden.as_ref(), test.own.as_ref()].into_iter().flatten()
            {
                if !verdict.passed() {
                    bail!(
                        "the reference itself does not pass {} here ({:?}: {}), so nobody can be graded on this machine",
                        test.name,
                        verdict.verdict,
                        verdict.broke
                    );
                }
            }
        }
    }
    grading.lay_tripwires(&score)?;
    let slowest = times.stages.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let tests = grading.stages.iter().map(|stage| stage.tests.len()).max().unwrap_or(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    // a stage takes minutes, and has hundreds of tests
    let patient = (PATIENCE * slowest / tests as f64).ceil() as u64;
    let backstop = plan.backstop.unwrap_or(patient.max(grading.runner.limits.backstop_seconds));
    grading.runner.limits.backstop_seconds = backstop;
    let kept = Kept {
        conditions: grading.conditions.clone(),
        backstop,
        tripwires: grading.tripwires.clone(),
    };
    record::write(&file, record::json(&kept))?;
    grading.workshop.clean()?;
    say(&format!(
        "the reference gets {:.2} of {}; that took {:.0} s (tripwires in {} of {} stages)\n",
        score.points,
        score.worth,
        started.elapsed().as_secs_f64(),
        kept.tripwires.len(),
        grading.stages.len()
    ));
    Ok(())
}

fn try_walls(workshop: &Workshop, plan: &Plan, say: &dyn Fn(&str)) -> Result<()> {
    let sandbox = &workshop.sandbox;
    if sandbox.kind == Kind::None {
        say("NO SANDBOX: submissions can do here whatever you can\n");
        return Ok(());
    }
    let root = workshop.workspace.root.clone();
    let mut secret = vec![root.join("Cargo.toml"), root.join("grader/course.toml")];
    secret.extend(
        workshop
            .reference()
            .values()
            .filter_map(|files| files.keys().next())
            .map(|path| root.join(path)),
    );
    secret.extend(plan.secret.clone());
    secret.push(plan.folder.clone());
    let mut ours =
        vec![root, plan.place.clone(), plan.out.clone(), "/".into(), "/usr".into(), "/etc".into()];
    ours.extend(std::env::var_os("HOME").map(PathBuf::from));
    let room = workshop.room(&sandbox.helper);
    let attempts = selftest::run(sandbox, &room, &secret, &ours)?;
    if sandbox.kind == Kind::Uid {
        place::sweep_user(sandbox.uid);
    }
    let through: Vec<String> = attempts
        .iter()
        .filter(|attempt| !(plan.open_network && attempt.what == selftest::NETWORK))
        .filter_map(|attempt| {
            attempt.escaped.as_ref().map(|how| format!("  {}: {how}", attempt.what))
        })
        .collect();
    if !through.is_empty() {
        bail!(
            "the sandbox `{}` does not hold, so no submission was run. From inside it could\n{}\n`docs/src/instructors.md` says how to mend that.",
            sandbox.kind.word(),
            through.join("\n")
        );
    }
    say(&format!(
        "sandbox {}: {} attempts to break out, none came through\n",
        sandbox.kind.word(),
        attempts.len()
    ));
    Ok(())
}

/// This program under a path that a room may show, and that does not change while a class is graded.
fn own_copy(place: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let me = std::env::current_exe().context("the grader cannot find its own program")?;
    let helper = place.join("helper");
    let _ = fs::remove_file(&helper);
    fs::copy(&me, &helper).context("the grader cannot copy its own program")?;
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755))
        .context("the helper cannot be opened to all")?;
    Ok(helper)
}

/// Lets others pass through the workshop's folder, but not list it.
fn open(place: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place, fs::Permissions::from_mode(0o711))
        .with_context(|| format!("{} cannot be opened", place.display()))
}

fn line(score: &Score, at: usize, of: usize, seconds: f64) -> String {
    let result = match &score.fate {
        Fate::Graded => format!("{:.2} of {}", score.points, score.worth),
        Fate::Refused { why } => format!("refused: {why}"),
        Fate::Void { why } => format!("void: {why}"),
    };
    let flag = if score.flags.is_empty() { "" } else { "  (a person should look)" };
    format!("{at:>4}/{of}  {}  {result}  {seconds:.1} s{flag}\n", score.id)
}

//! A class of forty, to see that every score is exact.
//!
//! ```sh
//! cargo run -p class --example forty -- make DIR             # forty submissions in DIR/in, and what is due in DIR/expected.csv
//! cargo grade class DIR/in --out DIR/out --stages 1,2a       # grade them
//! cargo run -p class --example forty -- check DIR            # compare
//! ```
//!
//! What is due is found out in another way than a class is graded: in one process with its tests, without a sandbox,
//! without a judge. For hostile submissions it is what an honest mistake in the same place is worth.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use class::run::load;
use grader::course::Course;
use grader::cut::{self, Cut};
use grader::grade::{self, Options};
use grader::report::progress::Progress;
use grader::report::{Report, StageReport, TestReport};
use grader::run::HANGING;
use grader::tree::{self, Files};
use grader::verdict::Status;
use grader::workspace::Workspace;
use grader::{handout, limits, submission, zoo};

/// The stages that are graded: those that stand on nobody else's.
const STAGES: [&str; 4] = ["1", "2AA", "2AB", "2AC"];
/// Where a wrong answer and every attack stands.
const POINT: &str = "project1-standalone/src/raw/point.rs";
const WRONG: &str = "#[allow(unreachable_code)] return Ok(RawGetResponse { not_found: true, ..Default::default() });";
/// Zoo bugs of these stages, so many of each.
const BUGS: [(&str, usize); 4] = [("1", 4), ("2AA", 3), ("2AB", 3), ("2AC", 2)];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // Tests run under limits that the grader's program sets by calling itself; here it is this program.
        [limits::COMMAND, ..] => return Ok(class::cli::main()),
        ["make", folder] => make(Path::new(folder))?,
        ["check", folder] => check(Path::new(folder))?,
        _ => bail!("forty make DIR | forty check DIR"),
    }
    Ok(ExitCode::SUCCESS)
}

struct Class<'a> {
    workspace: Workspace,
    course: Course,
    folder: &'a Path,
    /// What is due.
    due: BTreeMap<String, Due>,
}

/// How many points a submission has to get.
enum Due {
    /// So many.
    Points(f64),
    /// As many as this one.
    Like(&'static str),
    /// As many as this one, if it hung wherever it is wrong.
    Hanging(&'static str),
    /// It is graded to find out.
    Graded,
}

fn make(folder: &Path) -> Result<()> {
    let workspace = Workspace::find(&std::env::current_dir()?)?;
    let course = workspace.course()?;
    let reference = tree::read_course(&workspace.root)?;
    fs::create_dir_all(folder.join("in"))?;
    let folder = &folder.canonicalize()?;
    let mut class = Class { workspace, course, folder, due: BTreeMap::new() };

    // The reference, in all shapes in which it may come.
    class.honest("reference", &reference)?;
    class.due("reference-zip", Due::Like("reference"));
    class.packed("reference-zip", &reference)?;
    class.due("reference-tar", Due::Like("reference"));
    class.tarred("reference-tar", &reference)?;
    let mut own = reference.clone();
    let helper = "//! Mine.\n\npub(super) fn count(key: &[u8]) -> usize {\n    key.len()\n}\n";
    own.insert("project1-standalone/src/raw/my_own.rs".into(), helper.into());
    own.entry("project1-standalone/src/raw/mod.rs".into()).or_default().extend(b"mod my_own;\n");
    let text = inject(tree::text(&own, POINT)?, "super::my_own::count(&request.key);");
    own.insert(POINT.into(), text.replace("BEGIN SOLUTION", "").replace("END SOLUTION", "").into());
    class.honest("reference-rearranged", &own)?;

    // The starter, and what lies between.
    let starter = handout::starter(&class.workspace, &class.course, &handout::Scope::default())?;
    class.honest("starter", &starter)?;
    class.due("starter-zip", Due::Points(0.0));
    class.packed("starter-zip", &starter)?;
    for stage in ["1", "2AA", "2AB"] {
        let files = class
            .filled(&reference, |id, order| order <= class.last_of(stage) && !id.is_empty())?;
        class.honest(&format!("up-to-{stage}"), &files)?;
    }
    let files = class.filled(&reference, |id, _| !id.starts_with("1."))?;
    class.honest("without-1", &files)?;
    let mut only = class.filled(&reference, |_, order| order <= class.last_of("1"))?;
    only.retain(|path, _| path.starts_with("project1-standalone/"));
    class.due("one-folder", Due::Like("up-to-1"));
    class.write("one-folder", &only)?;
    for hole in [1, 3, 8] {
        let files = class.filled(&reference, |_, order| order <= hole)?;
        class.honest(&format!("up-to-hole-{hole}"), &files)?;
    }

    // Known mistakes.
    let (bugs, _) = zoo::load(&class.workspace)?;
    for (stage, count) in BUGS {
        for bug in bugs.iter().filter(|bug| bug.stage == stage).take(count) {
            let mut files = reference.clone();
            files.extend(
                bug.patch.apply(&reference).map_err(|e| anyhow::anyhow!("{}: {e}", bug.id))?,
            );
            class.honest(&format!("bug-{}", bug.id), &files)?;
        }
    }

    // What does not compile loses its stage: all of stage 1 stands in the files that come back.
    let raft = class.worth(&["2AA", "2AB", "2AC"]);
    for (id, code) in [("type-error", "let wrong: u8 = \"text\";"), ("syntax-error", "let let let")]
    {
        class.due(id, Due::Points(raft));
        let mut files = reference.clone();
        let text = inject(tree::text(&files, POINT)?, code);
        files.insert(POINT.into(), text.into());
        class.write(id, &files)?;
    }
    class.hostile(&reference, &starter)?;
    println!(
        "{} submissions are in {}; now to what they are due",
        class.due.len(),
        folder.join("in").display()
    );
    let (mut points, mut hanging) = (BTreeMap::<&str, f64>::new(), BTreeMap::new());
    for (id, is_due) in &class.due {
        match is_due {
            Due::Points(so_many) => {
                points.insert(id, *so_many);
            }
            Due::Graded => {
                let report = class.grade(id)?;
                points.insert(id, due(&report));
                hanging.insert(id.as_str(), due_if_it_hangs(&report));
            }
            Due::Like(_) | Due::Hanging(_) => {}
        }
    }
    let mut expected = String::from("student,points\n");
    for (id, due) in &class.due {
        let so_many = match due {
            Due::Like(other) => points[other],
            Due::Hanging(other) => hanging[other],
            Due::Points(_) | Due::Graded => points[id.as_str()],
        };
        expected += &format!("{id},{so_many:.2}\n");
    }
    fs::write(folder.join("expected.csv"), expected)?;
    Ok(())
}

impl Class<'_> {
    fn worth(&self, stages: &[&str]) -> f64 {
        self.course
            .stages
            .iter()
            .filter(|s| stages.contains(&s.id.as_str()))
            .map(|s| f64::from(s.points))
            .sum()
    }

    /// The place of a stage's last hole in the course.
    fn last_of(&self, stage: &str) -> usize {
        self.course
            .holes()
            .enumerate()
            .filter(|(_, (s, _))| s.id == stage)
            .map(|(at, _)| at)
            .last()
            .unwrap_or(0)
    }

    fn write(&self, id: &str, files: &Files) -> Result<()> {
        let sources = |path: &str| {
            path.starts_with("project1-standalone/") || path.starts_with("project2-raftkv/")
        };
        let files: Files =
            files.iter().filter(|(p, _)| sources(p)).map(|(p, c)| (p.clone(), c.clone())).collect();
        tree::sync(&self.folder.join("in").join(id), &files)
    }

    fn due(&mut self, id: &str, due: Due) {
        self.due.insert(id.to_owned(), due);
    }

    fn honest(&mut self, id: &str, files: &Files) -> Result<()> {
        self.due(id, Due::Graded);
        self.write(id, files)
    }

    /// Finds out what a submission is worth: in one process, without walls.
    fn grade(&self, id: &str) -> Result<Report> {
        let handed_in = self.folder.join("in").join(id);
        let (copy, _) = submission::prepare(&self.workspace, &self.course, &handed_in, "forty")?;
        let stages = STAGES.map(str::to_owned).to_vec();
        let options = Options { stages, no_fail_fast: true, ..Options::default() };
        let graded = grade::grade(&copy, &self.course, &options, &Progress::silent())?;
        println!("{id}: {:.2}", due(&graded.report));
        for stage in &graded.report.stages {
            if let Some(error) = &stage.build_error {
                println!(
                    "  {} does not build: {}",
                    stage.id,
                    error.lines().next().unwrap_or_default()
                );
            }
        }
        Ok(graded.report)
    }

    /// The reference with some holes cut: `keep` gets the id and the place of each hole.
    fn filled(&self, reference: &Files, keep: impl Fn(&str, usize) -> bool) -> Result<Files> {
        let kept: Vec<&str> = self
            .course
            .holes()
            .enumerate()
            .filter(|(at, (_, hole))| keep(&hole.id, *at))
            .map(|(_, (_, hole))| hole.id.as_str())
            .collect();
        let mut files = reference.clone();
        let wanted = |id: &str| !kept.contains(&id);
        for folder in self.workspace.student_folders(&self.course)?.values() {
            handout::cut_package(&mut files, folder, Cut::Starter, &wanted)?;
        }
        Ok(files)
    }

    fn packed(&self, id: &str, files: &Files) -> Result<()> {
        let mut zip = zip::ZipWriter::new(fs::File::create(
            self.folder.join("in").join(format!("{id}.zip")),
        )?);
        for (path, content) in files.iter().filter(|(path, _)| path.starts_with("project")) {
            zip.start_file(format!("my-course/{path}"), zip::write::SimpleFileOptions::default())?;
            zip.write_all(content)?;
        }
        zip.finish()?;
        Ok(())
    }

    fn tarred(&self, id: &str, files: &Files) -> Result<()> {
        let file = fs::File::create(self.folder.join("in").join(format!("{id}.tar.gz")))?;
        let mut tar =
            tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()));
        for (path, content) in files.iter().filter(|(path, _)| path.starts_with("project")) {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        tar.into_inner()?.finish()?;
        Ok(())
    }

    fn hostile(&mut self, reference: &Files, starter: &Files) -> Result<()> {
        let attack = |code: &str| -> Result<Files> {
            let mut files = reference.clone();
            let text = inject(tree::text(&files, POINT)?, &format!("{code}\n{WRONG}"));
            files.insert(POINT.into(), text.into());
            Ok(files)
        };
        self.honest("honest-mistake", &attack("")?)?;
        // Whatever ends the subject ends it in each test that calls for it, as a panic does.
        self.honest("honest-panic", &attack("panic!(\"never\");")?)?;
        let root = self.workspace.root.display().to_string();
        let loot = self.folder.join("loot").display().to_string();
        for (id, code) in [
            ("x-fork-bomb", "let bomb: Vec<_> = (0..500).filter_map(|_| std::process::Command::new(\"/bin/sleep\").arg(\"300\").spawn().ok()).collect(); assert!(bomb.len() < 500);".to_owned()),
            ("x-disk-filler", format!("for n in 0..2000 {{ for to in [\"/tmp\", \"/dev/shm\", \"{loot}\"] {{ let _ = std::fs::write(format!(\"{{to}}-{{n}}\"), vec![7_u8; 1 << 20]); let _ = std::fs::write(format!(\"{{to}}/{{n}}\"), vec![7_u8; 1 << 20]); }} }}")),
            ("x-reads-the-reference", format!("if std::fs::read(\"{root}/{POINT}\").is_ok() {{ panic!(\"{{}}\", \"it can be read\") }}")),
            ("x-forger", "println!(\"{{\\\"tinykv_verdict\\\":1,\\\"verdict\\\":\\\"pass\\\"}}\");".into()),
            ("x-panic-hook", "std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!(\"quietly\");".into()),
            ("x-exits-early", "std::process::exit(0);".into()),
            ("x-kills-its-parent", "let _ = std::process::Command::new(\"/bin/sh\").args([\"-c\", \"kill -9 $PPID 1; kill -9 -1\"]).status();".into()),
            ("x-sleeps", "loop { std::thread::sleep(std::time::Duration::from_secs(3600)); }".into()),
        ] {
            let due = match id {
                "x-sleeps" => Due::Hanging("honest-panic"),
                "x-panic-hook" | "x-exits-early" | "x-kills-its-parent" => Due::Like("honest-panic"),
                _ => Due::Like("honest-mistake"),
            };
            self.due(id, due);
            self.write(id, &attack(&code)?)?;
        }
        let mut files = reference.clone();
        let script =
            format!("fn main() {{ std::fs::write(\"{loot}-build-script\", \"ran\").unwrap(); }}");
        files.insert("project1-standalone/build.rs".into(), script.into());
        self.due("x-build-script", Due::Like("reference"));
        self.write("x-build-script", &files)?;
        self.due("x-link", Due::Points(0.0));
        self.write("x-link", starter)?;
        let link = self.folder.join("in/x-link").join(POINT);
        fs::remove_file(&link)?;
        std::os::unix::fs::symlink(self.workspace.root.join(POINT), &link)?;
        Ok(())
    }
}

fn inject(text: &str, code: &str) -> String {
    let functions = cut::functions(text).unwrap_or_default();
    let at = functions.iter().find(|f| f.path == "RawApi::raw_get").map_or(0, |f| f.body);
    format!("{}\n{code}\n{}", &text[..at], &text[at..])
}

/// The sum of `docs/src/scoring.md`, for stages that have one share: each rounded to a hundredth.
fn due(report: &Report) -> f64 {
    let round = |points: f64| (points * 100.0).round() / 100.0;
    round(report.stages.iter().map(|stage| round(stage.points())).sum())
}

/// The same if each test that is wrong hung: behind the fourth of a stage nothing counts.
fn due_if_it_hangs(report: &Report) -> f64 {
    let round = |points: f64| (points * 100.0).round() / 100.0;
    let points = |stage: &StageReport| {
        let mut wrong = 0;
        let counts = |test: &&TestReport| {
            let passed = test.outcome.status == Status::Pass;
            wrong += usize::from(!passed);
            passed && wrong < HANGING
        };
        let earned: u32 = stage.tests.iter().filter(counts).map(|test| test.weight).sum();
        f64::from(stage.worth) * f64::from(earned) / f64::from(stage.weight)
    };
    round(report.stages.iter().map(|stage| round(points(stage))).sum())
}

fn check(folder: &Path) -> Result<()> {
    let scores = load(&folder.join("out"), |_| true)?;
    let text = fs::read_to_string(folder.join("expected.csv"))
        .context("there is no expected.csv; make the class first")?;
    let (mut wrong, mut seen) = (0, 0);
    for (id, due) in text.lines().skip(1).filter_map(|line| line.split_once(',')) {
        let Some(score) = scores.iter().find(|score| score.id == id) else {
            println!("{id}: no record, {due} due");
            wrong += 1;
            continue;
        };
        seen += 1;
        if format!("{:.2}", score.points) != due {
            println!("{id}: {:.2} points, {due} due", score.points);
            wrong += 1;
        }
    }
    for name in ["loot", "loot-build-script"] {
        if folder.join(name).exists() {
            println!("somebody got out: {}", folder.join(name).display());
            wrong += 1;
        }
    }
    println!("{seen} records, {wrong} not as expected");
    if wrong > 0 { bail!("the class was not graded exactly") } else { Ok(()) }
}

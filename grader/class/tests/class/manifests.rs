//! The manifests in `grader/class/manifests`: they parse, they say what their platforms expect, and the scripts do what
//! they say, with a cargo that only takes notes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn yaml(name: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// Runs a script with a `cargo` that writes down how it was called, and ends with `code`.
fn run(script: &str, env: &[(&str, &str)], code: i32) -> (Output, String, TempDir) {
    let home = TempDir::new().unwrap();
    let log = home.path().join("log");
    let cargo = home.path().join("cargo");
    fs::write(&cargo, format!("#!/bin/sh\necho \"$*\" >>'{}'\nexit {code}\n", log.display()))
        .unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let output = Command::new("sh")
        .arg(folder().join(script))
        .args(["--jobs", "2"])
        .current_dir(course)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", home.path().display()))
        .env("TMPDIR", home.path())
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let noted = fs::read_to_string(&log).unwrap_or_default();
    (output, noted, home)
}

const CLASS: [(&str, &str); 3] = [("SHARDS", "8"), ("SUBMISSIONS", "/in"), ("REPORT", "/out")];

#[test]
fn a_shard_takes_its_number_from_whoever_gives_one() {
    for (name, value, shard) in
        [("JOB_COMPLETION_INDEX", "0", 1), ("SLURM_ARRAY_TASK_ID", "8", 8), ("SHARD", "3", 3)]
    {
        let (output, noted, _home) = run("shard.sh", &[&CLASS[..], &[(name, value)]].concat(), 0);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            noted,
            format!("grade class /in --out /out/{shard} --shard {shard}/8 --jobs 2\n")
        );
    }
    // Somebody should look at a submission: done. The class could not be graded: not done.
    assert!(run("shard.sh", &[&CLASS[..], &[("SHARD", "1")]].concat(), 1).0.status.success());
    assert_eq!(
        run("shard.sh", &[&CLASS[..], &[("SHARD", "1")]].concat(), 2).0.status.code(),
        Some(2)
    );
    // Without a number nothing is graded.
    let (output, noted, _home) = run("shard.sh", &CLASS, 0);
    assert!(!output.status.success() && noted.is_empty());
}

#[test]
fn a_slurm_array_has_as_many_tasks_as_shards() {
    let text = fs::read_to_string(folder().join("slurm.sh")).unwrap();
    assert!(text.contains("#SBATCH --array=1-8"));
    let env = [
        ("SLURM_ARRAY_TASK_ID", "2"),
        ("SLURM_ARRAY_TASK_COUNT", "8"),
        ("SLURM_JOB_ID", "77"),
        ("SUBMISSIONS", "/in"),
        ("REPORT", "/out"),
    ];
    let (output, noted, home) = run("slurm.sh", &env, 0);
    assert!(output.status.success(), "{output:?}");
    let scratch = home.path().join("tinykv-class-77");
    assert_eq!(
        noted,
        format!(
            "grade class /in --out /out/2 --shard 2/8 --work {}/work --jobs 2\n",
            scratch.display()
        )
    );
    assert!(!scratch.exists(), "the node's disk is left as it was");
}

#[test]
fn the_kubernetes_job_is_indexed_and_alone() {
    let documents = yaml("kubernetes.yaml");
    let spec = &documents[0]["spec"];
    assert_eq!(
        (documents[0]["apiVersion"].as_str(), documents[0]["kind"].as_str()),
        (Some("batch/v1"), Some("Job"))
    );
    assert_eq!(spec["completionMode"].as_str(), Some("Indexed"));
    let pod = &spec["template"]["spec"];
    assert!(["Never", "OnFailure"].contains(&pod["restartPolicy"].as_str().unwrap()));
    let container = &pod["containers"][0];
    let command: Vec<&str> =
        container["command"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect();
    assert_eq!(command[..2], ["sh", "grader/class/manifests/shard.sh"]);
    let shards = container["env"]
        .as_vec()
        .unwrap()
        .iter()
        .find(|e| e["name"].as_str() == Some("SHARDS"))
        .unwrap();
    assert_eq!(shards["value"].as_str().unwrap().parse::<i64>().ok(), spec["completions"].as_i64());
    // Each mount has a volume.
    let names = |list: &Yaml| -> Vec<String> {
        let mut names: Vec<String> =
            list.as_vec().unwrap().iter().map(|v| v["name"].as_str().unwrap().into()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
    let policy = &documents[1]["spec"];
    assert_eq!(documents[1]["kind"].as_str(), Some("NetworkPolicy"));
    assert_eq!(
        policy["podSelector"]["matchLabels"]["app"],
        spec["template"]["metadata"]["labels"]["app"]
    );
    // No rule for a direction that is named means: nothing.
    assert_eq!(policy["policyTypes"].as_vec().unwrap().len(), 2);
    assert!(policy["egress"].is_badvalue() && policy["ingress"].is_badvalue());
}

#[test]
fn the_actions_matrix_covers_its_shards() {
    let workflow = &yaml("actions.yml")[0];
    let shard = &workflow["jobs"]["shard"];
    let matrix = shard["strategy"]["matrix"]["shard"].as_vec().unwrap();
    let numbers: Vec<i64> = matrix.iter().filter_map(Yaml::as_i64).collect();
    assert_eq!(numbers, (1..=i64::try_from(matrix.len()).unwrap()).collect::<Vec<_>>());
    let steps = shard["steps"].as_vec().unwrap();
    let grading =
        steps.iter().find(|s| s["run"].as_str().is_some_and(|r| r.contains("shard.sh"))).unwrap();
    assert_eq!(grading["env"]["SHARDS"].as_str().unwrap(), matrix.len().to_string());
    assert_eq!(workflow["jobs"]["merge"]["needs"].as_str(), Some("shard"));
    // Strangers' code runs here: nothing that is worth stealing may be at hand.
    assert_eq!(workflow["permissions"]["contents"].as_str(), Some("read"));
    assert!(!fs::read_to_string(folder().join("actions.yml")).unwrap().contains("secrets."));
}

/// What `classroom-resources/autograding-grading-reporter` demands: a variable `<ID>_RESULTS` for each runner, and names of
/// letters and digits alone.
#[test]
fn the_classroom_workflow_tells_the_reporter_of_every_step() {
    let job = &yaml("classroom.yml")[0]["jobs"]["run-autograding-tests"];
    let steps = job["steps"].as_vec().unwrap();
    let graders: Vec<&str> = steps
        .iter()
        .filter(|s| s["uses"].as_str() == Some("classroom-resources/autograding-command-grader@v1"))
        .map(|s| {
            for input in ["test-name", "command", "timeout", "max-score"] {
                assert!(!s["with"][input].is_badvalue(), "{input}");
            }
            s["id"].as_str().unwrap()
        })
        .collect();
    let reporter = steps.last().unwrap();
    assert_eq!(
        reporter["uses"].as_str(),
        Some("classroom-resources/autograding-grading-reporter@v1")
    );
    assert_eq!(
        reporter["with"]["runners"].as_str().unwrap().split(',').collect::<Vec<_>>(),
        graders
    );
    for id in graders {
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()));
        let variable = format!("{}_RESULTS", id.to_uppercase());
        assert_eq!(
            reporter["env"][variable.as_str()].as_str().unwrap(),
            format!("${{{{ steps.{id}.outputs.result }}}}")
        );
    }
    // The scores are those of the course.
    let course =
        fs::read_to_string(folder().ancestors().nth(3).unwrap().join("grader/course.toml"))
            .unwrap();
    let course = grader::course::Course::parse(&course).unwrap();
    for step in steps.iter().filter(|s| !s["with"]["max-score"].is_badvalue()) {
        let command = step["with"]["command"].as_str().unwrap();
        let stages: Vec<String> =
            command.split(' ').skip(2).filter(|w| !w.starts_with('-')).map(str::to_owned).collect();
        let worth: u32 = course.select(&stages).unwrap().iter().map(|stage| stage.points).sum();
        assert_eq!(step["with"]["max-score"].as_i64(), Some(i64::from(worth)), "{command}");
    }
}

/// Gradescope copies `results.json` from where `run_autograder` puts it, and an autograder without a verdict must not be
/// a zero.
#[test]
fn gradescope_gets_its_results_or_an_error() {
    for script in ["setup.sh", "run_autograder"] {
        let path = folder().join("gradescope").join(script);
        assert!(Command::new("bash").arg("-n").arg(&path).status().unwrap().success());
        assert_ne!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o111,
            0,
            "{script} can be run"
        );
    }
    let grade = |cargo: &str| {
        let home = TempDir::new().unwrap();
        let at = |name: &str| home.path().join(name).display().to_string();
        fs::create_dir_all(at("submission/kv/src")).unwrap();
        fs::create_dir_all(at("course")).unwrap();
        fs::write(at("cargo"), format!("#!/bin/sh\n{cargo}\n")).unwrap();
        fs::set_permissions(at("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        let text = fs::read_to_string(folder().join("gradescope/run_autograder")).unwrap();
        // Rust is where setup.sh has put it; here it is a script that takes notes.
        let text = text.replace(
            "PATH=\"/opt/cargo/bin:$PATH\"",
            &format!("PATH=\"{}:$PATH\"", home.path().display()),
        );
        fs::write(at("run"), text).unwrap();
        let status = Command::new("bash")
            .arg(at("run"))
            .env("RESULTS", at("results.json"))
            .env("SUBMISSION", at("submission"))
            .env("COURSE", at("course"))
            .env("TMPDIR", home.path())
            .output()
            .unwrap()
            .status;
        (status.code(), fs::read_to_string(at("results.json")).ok())
    };
    // Other users must not read it: the sandbox tries.
    let done = "[ \"$(stat -c %a \"$3\")\" = 700 ] || exit 2\n[ -d \"$3/submission/kv/src\" ] || exit 2\nmkdir -p \"$5/submissions/submission\"\necho '{\"score\": 1.0}' >\"$5/submissions/submission/results.json\"\nexit 1";
    assert_eq!(grade(done), (Some(0), Some("{\"score\": 1.0}\n".into())));
    assert_eq!(grade("exit 2"), (Some(1), None));
}

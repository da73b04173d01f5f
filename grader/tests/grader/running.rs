//! The runner on a machine that is too slow for a while: nobody loses a point to that.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use grader::course::Limits;
use grader::grade::Programs;
use grader::report::progress::Progress;
use grader::run::{Job, Runner};
use grader::verdict::Status;

/// A program that hangs in its first `times` runs, and then passes every test that it is asked for.
fn hanging_at_first(name: &str, times: usize) -> (Runner, Vec<Job>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("ran")).unwrap();
    let program = folder.join("program.sh");
    let script = format!(
        "#!/bin/sh\ncd {}\nif [ $(ls ran | wc -l) -lt {times} ]; then touch ran/$2; exec sleep 20; fi\n\
         echo '{{\"tinykv_verdict\":1,\"test\":\"'$2'\",\"verdict\":\"pass\",\"seed\":1,\"seeds_run\":1,\"broke\":\"\",\"facts\":[],\"hole\":null,\"inputs\":1,\"virtual_ms\":0}}'\n",
        folder.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let runner = Runner {
        helper: env!("CARGO_BIN_EXE_grade").into(),
        limits: Limits { memory_mib: 2048, backstop_seconds: 1 },
        jobs: 2,
        give_up: true,
        stop_at_red: false,
    };
    let programs = Programs { test: program, judge: None };
    (runner, (0..8).map(|n| programs.job(&format!("t{n}"), vec![1])).collect())
}

fn verdicts(name: &str, times: usize) -> Vec<Status> {
    let (runner, jobs) = hanging_at_first(name, times);
    runner.run(&jobs, &Progress::detect(true)).iter().map(|outcome| outcome.status).collect()
}

#[test]
fn what_was_left_out_runs_when_the_machine_was_only_slow() {
    assert_eq!(verdicts("slow-for-a-while", 4), [Status::Pass; 8]);
}

#[test]
fn what_hangs_every_time_is_not_waited_for_eight_times() {
    let found = verdicts("slow-for-ever", 100);
    let undecided = found.iter().filter(|s| **s == Status::Undecided).count();
    let left_out = found.iter().filter(|s| **s == Status::NotRun).count();
    assert!(undecided >= 4 && left_out >= 2 && undecided + left_out == 8, "{found:?}");
}

/// Whoever has a core each stays there; with more or fewer cores than workers, the system knows best.
#[cfg(target_os = "linux")]
#[test]
fn a_worker_stays_on_its_core() {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let cores = || -> Vec<usize> {
        let allowed = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
    };
    let after = |worker, workers| {
        // A thread of its own: where it stays, nobody else has to.
        let there = move || {
            grader::process::stay_on_core(worker, workers);
            cores()
        };
        std::thread::spawn(there).join().unwrap()
    };
    let all = cores();
    for (worker, core) in all.iter().enumerate() {
        assert_eq!(after(worker, all.len()), [*core], "worker {worker} of {}", all.len());
    }
    assert_eq!(after(0, all.len() + 1), all, "more workers than cores");
    assert_eq!(after(all.len(), all.len()), all, "there is no such core");
    assert_eq!(cores(), all, "whoever starts workers goes where it likes");
}

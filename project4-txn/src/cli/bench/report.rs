//! The line while it runs, and the table.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::run::{Outcome, Progress};
use super::{Args, Workload};

/// Says something about the run, where it is in nobody's way.
pub(super) fn tell(text: &str) {
    eprintln!("{text}");
}

/// One line that is written over, or, where there is no terminal, a line each ten seconds.
pub(super) fn line(progress: Progress) {
    let Progress { elapsed, done, per_second, failed } = progress;
    let seconds = elapsed.as_secs();
    let text = format!("{seconds:>4} s  {done:>9} done  {per_second:>9.0}/s  {failed} failed");
    if io::stderr().is_terminal() {
        eprint!("\r{text}");
        let _ = io::stderr().flush();
    } else if seconds.is_multiple_of(10) {
        eprintln!("{text}");
    }
}

/// After the last [`line()`]: what comes next begins on one of its own.
pub(super) fn end_of_line() {
    if io::stderr().is_terminal() {
        eprintln!();
    }
}

/// For people.
pub(super) fn table(args: &Args, outcome: &Outcome) -> String {
    let mut text = String::new();
    end_of_line();
    let seconds = outcome.elapsed.as_secs_f64();
    let _ = writeln!(
        text,
        "{}: {} clients, {seconds:.1} s, {} {}, times in ms\n",
        name(args.workload),
        args.clients,
        args.records(),
        if args.workload == Workload::Bank {
            "accounts".to_owned()
        } else {
            format!("records of {} bytes at the beginning", args.value_size)
        },
    );
    let _ = writeln!(
        text,
        "{:<18}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "operation", "done", "per s", "mean", "p50", "p95", "p99", "p99.9", "max"
    );
    for (kind, times) in &outcome.times {
        row(&mut text, kind.name(), times, seconds);
    }
    if outcome.times.len() > 1 {
        row(&mut text, "all", &all(outcome), seconds);
    }
    let _ = write!(text, "\nfailed {}", outcome.failed);
    if let Some(why) = &outcome.first_error {
        let _ = write!(text, " (the first: {why})");
    }
    if !matches!(args.workload, Workload::Raw(_)) {
        let _ = write!(text, ", conflicts {}", outcome.conflicts);
    }
    text.push('\n');
    text
}

#[expect(clippy::cast_precision_loss)] // counts and microseconds are far below 2^52
fn row(text: &mut String, name: &str, times: &Histogram<u64>, seconds: f64) {
    let ms = |micros: u64| micros as f64 / 1000.;
    let _ = write!(text, "{name:<18}{:>10}{:>10.0}", times.len(), times.len() as f64 / seconds);
    let _ = write!(text, "{:>9.2}", times.mean() / 1000.);
    for quantile in [0.5, 0.95, 0.99, 0.999] {
        let _ = write!(text, "{:>9.2}", ms(times.value_at_quantile(quantile)));
    }
    let _ = writeln!(text, "{:>9.2}", ms(times.max()));
}

/// For programs.
#[expect(clippy::cast_precision_loss)] // as above
pub(super) fn json(args: &Args, outcome: &Outcome) -> Value {
    let seconds = outcome.elapsed.as_secs_f64();
    let one = |times: &Histogram<u64>| {
        json!({
            "done": times.len(),
            "per_second": times.len() as f64 / seconds,
            "mean_us": times.mean(),
            "p50_us": times.value_at_quantile(0.5),
            "p95_us": times.value_at_quantile(0.95),
            "p99_us": times.value_at_quantile(0.99),
            "p999_us": times.value_at_quantile(0.999),
            "max_us": times.max(),
        })
    };
    let operations: serde_json::Map<_, _> =
        outcome.times.iter().map(|(kind, times)| (kind.name().to_owned(), one(times))).collect();
    json!({
        "workload": name(args.workload),
        "clients": args.clients,
        "seconds": seconds,
        "records": args.records(),
        "value_size": args.value_size,
        "one_pc": args.one_pc,
        "seed": args.seed,
        "operations": operations,
        "all": one(&all(outcome)),
        "failed": outcome.failed,
        "first_error": outcome.first_error,
        "conflicts": outcome.conflicts,
    })
}

fn all(outcome: &Outcome) -> Histogram<u64> {
    let mut all = Histogram::new(3).expect("3 is between 0 and 5");
    for (_, times) in &outcome.times {
        // It grows with what is put in.
        let _ = all.add(times);
    }
    all
}

fn name(workload: Workload) -> String {
    match workload {
        Workload::Raw(mix) => format!("raw-{mix:?}").to_lowercase(),
        Workload::Txn(mix) => format!("txn-{mix:?}").to_lowercase(),
        Workload::Bank => "bank".into(),
    }
}

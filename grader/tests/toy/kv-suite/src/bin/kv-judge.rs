//! The toy's judge: holds the tests, asks a subject behind a pipe, a line a question and a line an answer.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let more = std::env::var("TINYKV_JUDGE").unwrap_or_default();
    words.extend(more.split_whitespace().map(str::to_owned));
    let value = |name: &str| words.iter().position(|w| w == name).and_then(|at| words.get(at + 1));
    match words.first().map(String::as_str) {
        Some("tests") => {
            for test in kv_suite::TESTS {
                println!(r#"{{"name":"{}","doc":"{}"}}"#, test.name, test.doc);
            }
            ExitCode::SUCCESS
        }
        Some("grade") => {
            let (Some(test), Some(subject)) = (words.get(1), value("--subject")) else {
                return ExitCode::from(3);
            };
            let seeds = value("--seeds").map_or("1", String::as_str);
            grade(test, seeds, subject, words.iter().any(|w| w == "--mute"))
        }
        _ => ExitCode::from(3),
    }
}

/// A living subject. Dropping it ends its process.
struct Subject {
    child: Child,
    mute: bool,
}

/// Why a test did not pass: what broke, two facts, perhaps a hole.
struct Broken(String, [String; 2], Option<String>);

/// What a judge says about a subject whose processor time was used up: a clock decides nothing.
const TIME: &str = "the subject used up its processor time";

impl Subject {
    fn start(program: &str, mute: bool) -> Self {
        let child = Command::new(program)
            .arg("subject")
            .env_remove("TINYKV_JUDGE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the subject starts");
        Subject { child, mute }
    }

    fn ask(&mut self, question: &str) -> Result<String, Broken> {
        let sent = writeln!(self.child.stdin.as_mut().unwrap(), "{question}");
        let mut answer = String::new();
        // One line at a time is under way, so nothing is lost with the reader.
        let read = BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut answer);
        if sent.is_err() || !matches!(read, Ok(1..)) {
            let status = self.child.wait().expect("it has ended");
            let time = status.signal() == Some(24) || status.code() == Some(128 + 24);
            let how = if time { TIME } else { "the subject's process ended before the judge said stop" };
            return Err(Broken(how.into(), Default::default(), None));
        }
        let answer = answer.trim_end().to_owned();
        if self.mute {
            return Ok(String::new());
        }
        match answer.strip_prefix("panic ") {
            Some(message) => {
                let hole = message.strip_prefix("hole ").and_then(|m| m.split_once(" is not written"));
                let hole = hole.map(|(id, _)| id.to_owned());
                Err(Broken(format!("your code panicked: {message}"), Default::default(), hole))
            }
            None => Ok(answer),
        }
    }

    fn expect(&mut self, question: &str, expected: &str) -> Result<(), Broken> {
        let seen = self.ask(question)?;
        if seen == expected {
            return Ok(());
        }
        let facts = [format!("expected: {expected}"), format!("seen:     {seen}")];
        Err(Broken("two values differ that have to be equal".into(), facts, None))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check(test: &str, seed: u64, subject: &mut Subject) -> Result<(), Broken> {
    match test {
        "stage1::put::a_put_is_counted" => {
            subject.ask("put k v")?;
            subject.expect("len", "1")
        }
        "stage1::get::an_absent_key_has_no_value" => subject.expect("get k", "none"),
        "stage1::get::the_last_put_wins" => {
            subject.ask("put k first")?;
            subject.ask(&format!("put k {seed}"))?;
            subject.expect("get k", &format!("some {seed}"))
        }
        "stage2::scan::keys_come_in_order" => {
            subject.ask("put b x")?;
            subject.ask("put a x")?;
            subject.expect("scan", "a,b")
        }
        other => panic!("no such test: {other}"),
    }
}

fn grade(test: &str, seeds: &str, program: &str, mute: bool) -> ExitCode {
    let (mut run, mut last, mut verdict) = (0, 1, Ok(()));
    for seed in seeds.split(',') {
        last = seed.parse().unwrap();
        run += 1;
        verdict = check(test, last, &mut Subject::start(program, mute));
        if verdict.is_err() {
            break;
        }
    }
    let (word, code) = match &verdict {
        Ok(()) => ("pass", 0),
        Err(Broken(how, ..)) if how == TIME => ("undecided", 2),
        Err(_) => ("fail", 1),
    };
    let Broken(broke, facts, hole) = verdict.err().unwrap_or(Broken(String::new(), Default::default(), None));
    let facts: Vec<String> = facts.iter().filter(|f| !f.is_empty()).map(|f| format!("{f:?}")).collect();
    let hole = hole.map_or("null".to_owned(), |id| format!("{id:?}"));
    println!(
        "\n{{\"tinykv_verdict\":1,\"test\":{test:?},\"verdict\":{word:?},\"seed\":{last},\"seeds_run\":{run},\"broke\":{broke:?},\"facts\":[{}],\"hole\":{hole},\"inputs\":{run},\"virtual_ms\":12}}",
        facts.join(",")
    );
    ExitCode::from(code)
}

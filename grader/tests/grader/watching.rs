//! `--watch`: a change grades again, keys answer, `q` ends it.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::Course;

fn wait_for(lines: &Receiver<String>, part: &str) {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(60)) {
            Ok(line) if line.contains(part) => return,
            Ok(line) => seen.push(line),
            Err(_) => panic!("no {part:?} in:\n{}", seen.join("\n")),
        }
    }
}

#[test]
fn a_change_grades_again_and_keys_answer() {
    let course = Course::toy_starter("watch");
    let mut child = course
        .command(&["--watch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = channel();
    let stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
    });
    let mut keys = child.stdin.take().unwrap();
    wait_for(&lines, "this is where you start");
    wait_for(&lines, "Waiting for a change");
    writeln!(keys, "h").unwrap();
    wait_for(&lines, "Where do pairs live?");
    writeln!(keys, "x").unwrap();
    wait_for(&lines, "`x` is no key here");
    course.inject("kv/src/lib.rs", "Store::put", "let wrong: u8 = \"\";");
    wait_for(&lines, "does not compile");
    course.replace("kv/src/lib.rs", "let wrong: u8 = \"\";", "panic!(\"I am here\");");
    wait_for(&lines, "your code panicked: I am here");
    writeln!(keys, "q").unwrap();
    assert!(child.wait().unwrap().success());
}

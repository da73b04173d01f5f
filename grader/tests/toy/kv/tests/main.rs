//! The test program of the toy course, by hand: the grader's tests must not depend on `sim`.

use std::process::ExitCode;

use kv::Store;
use kv_suite::Test;

type Check = fn(u64) -> Result<(), [String; 2]>;

fn check(test: &Test) -> Check {
    match test.name {
        "stage1::put::a_put_is_counted" => |_| {
            let mut store = Store::default();
            store.put("k", "v");
            same(&1, &store.len())
        },
        "stage1::get::an_absent_key_has_no_value" => |_| same(&None, &Store::default().get("k")),
        "stage1::get::the_last_put_wins" => |seed| {
            let mut store = Store::default();
            let last = seed.to_string();
            store.put("k", "first");
            store.put("k", &last);
            same(&Some(last), &store.get("k"))
        },
        "stage2::scan::keys_come_in_order" => |_| {
            let mut store = Store::default();
            store.put("b", "");
            store.put("a", "");
            same(&vec!["a".to_owned(), "b".to_owned()], &store.scan())
        },
        other => panic!("no such test: {other}"),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: &T, seen: &T) -> Result<(), [String; 2]> {
    if expected == seen {
        return Ok(());
    }
    Err([format!("expected: {expected:?}"), format!("seen:     {seen:?}")])
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["tests"] => {
            for test in kv_suite::TESTS {
                println!(r#"{{"name":"{}","doc":"{}"}}"#, test.name, test.doc);
            }
            ExitCode::SUCCESS
        }
        ["grade", name, "--seeds", seeds] | ["grade", name, "--seeds", seeds, "--brief"] => match kv_suite::TESTS.iter().find(|t| t.name == name) {
            Some(test) => grade(test, seeds),
            None => ExitCode::from(3),
        },
        ["subject"] => subject(),
        _ => ExitCode::from(3),
    }
}

/// The judge's other end: a line a question, a line an answer.
fn subject() -> ExitCode {
    let mut store = Store::default();
    for question in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = question.split(' ').collect();
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match words[..] {
            ["put", key, value] => {
                store.put(key, value);
                "done".to_owned()
            }
            ["get", key] => store.get(key).map_or("none".to_owned(), |value| format!("some {value}")),
            ["len"] => store.len().to_string(),
            ["scan"] => store.scan().join(","),
            _ => "what?".to_owned(),
        }));
        println!("{}", answer.unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
            format!("panic {}", message.unwrap_or_default().replace('\n', " "))
        }));
    }
    ExitCode::SUCCESS
}

fn grade(test: &Test, seeds: &str) -> ExitCode {
    let (mut run, mut seed, mut verdict) = (0, 1, Ok(()));
    for text in seeds.split(',') {
        seed = text.parse().unwrap();
        run += 1;
        verdict = std::panic::catch_unwind(|| check(test)(seed)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
            Err(["panic".to_owned(), message.unwrap_or_default()])
        });
        if verdict.is_err() {
            break;
        }
    }
    let (word, code, broke, facts, hole) = match verdict {
        Ok(()) => ("pass", 0, String::new(), String::new(), "null".to_owned()),
        Err([kind, message]) if kind == "panic" => {
            let hole = message.strip_prefix("hole ").and_then(|m| m.split_once(" is not written"));
            let hole = hole.map_or("null".to_owned(), |(id, _)| format!("{id:?}"));
            ("fail", 1, format!("your code panicked: {message}"), String::new(), hole)
        }
        Err([a, b]) => {
            let facts = format!("{a:?},{b:?}");
            ("fail", 1, "two values differ that have to be equal".into(), facts, "null".to_owned())
        }
    };
    println!(
        "\n{{\"tinykv_verdict\":1,\"test\":{:?},\"verdict\":{word:?},\"seed\":{seed},\"seeds_run\":{run},\"broke\":{broke:?},\"facts\":[{facts}],\"hole\":{hole},\"inputs\":{run},\"virtual_ms\":12}}",
        test.name
    );
    ExitCode::from(code)
}

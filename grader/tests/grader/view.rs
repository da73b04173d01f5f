//! `cargo grade view`: the page holds what it needs, the text says the same, and the cause is where two stories part.

use std::collections::BTreeMap;

use grader::viewer::text::{Wanted, twin};
use grader::viewer::{MODULES, Points, Shown, cause, page};
use sim::cluster::protocol::{Channel, Role};
use sim::trace::{Event, Line};

use crate::support::Course;

fn lines(events: Vec<Event>) -> Vec<Line> {
    (0..).zip(events).map(|(at, event)| Line { t: at * 1_000, event }).collect()
}

fn send(n: u64, to: u64, id: u64, kind: &str) -> Event {
    let text = "base=1@1 [2@2]".to_owned();
    Event::Send { n, to, id, ch: Channel::Raft, kind: kind.into(), text, region: 1, bytes: 9 }
}

fn state(n: u64, role: Role, term: u64, kept: u64, log: Vec<(u64, u64)>) -> Event {
    let last = log.last().map_or(kept, |entry| entry.0);
    Event::State {
        n,
        region: 1,
        peer: n,
        role,
        term,
        vote: 0,
        leader: 0,
        commit: 1,
        applied: 1,
        persisted: last.min(2),
        truncated: (0, 0),
        last,
        kept,
        log,
        range: None,
        epoch: (0, 0),
        voters: vec![1, 2, 3],
    }
}

/// n1 leads, and sends an entry to n2 and to n3; the last to know of both is n1's own step 3.
fn two_stories() -> Vec<Line> {
    let clock = Some("step".to_owned());
    lines(vec![
        Event::Start { trace: 1, seed: 5, clock, nodes: vec![1, 2, 3], clients: vec![] },
        state(1, Role::Leader, 2, 0, vec![(1, 1), (2, 2)]),
        state(2, Role::Follower, 2, 0, vec![(1, 1)]),
        send(1, 2, 1, "Append"),
        send(1, 3, 2, "Append"),
        Event::Deliver { n: 2, id: 1 },
        Event::Deliver { n: 3, id: 2 },
        state(2, Role::Follower, 2, 1, vec![(2, 2), (3, 2)]),
        state(3, Role::Follower, 2, 0, vec![(1, 1), (2, 1)]),
        Event::Violation {
            what: "two logs differ".into(),
            facts: vec!["n2 has 2@2 at t=7ms".into(), "n3 has 2@1".into()],
            ops: vec![],
        },
    ])
}

#[test]
fn the_cause_is_the_last_event_that_both_facts_depend_on() {
    let points = cause::find(&two_stories());
    // n3 heard what n1 sent as its second message; before that n1 sent the first, which is what n2 knows.
    assert_eq!(points, Points { facts: vec![Some(7), Some(8)], cause: Some(3) });
    assert_eq!(cause::find(&[]), Points::default());
}

#[test]
fn an_attempt_is_found_by_its_number_and_a_tick_by_its_name() {
    let call = |op, text: &str| Event::Call {
        op,
        client: op as u64,
        n: 1,
        txn: None,
        text: text.into(),
        key: "x".into(),
    };
    let told = |op| Event::Return { op, how: "ok".into(), text: "1".into() };
    let clients = lines(vec![
        call(1, "put x=1"),
        told(1),
        call(2, "get x"),
        told(2),
        Event::Violation {
            what: "stale".into(),
            facts: vec!["a".into(), "b".into()],
            ops: vec![1, 2],
        },
    ]);
    assert_eq!(cause::find(&clients).facts, [Some(1), Some(3)]);
    let mut ticks = two_stories();
    for (line, at) in ticks.iter_mut().zip(0..) {
        line.t = at * 100_000;
    }
    if let Some(Event::Violation { facts, .. }) = ticks.last_mut().map(|line| &mut line.event) {
        facts[0] = "at tick 5.00, n2 got an append".into();
    }
    assert_eq!(cause::find(&ticks).facts[0], Some(5));
}

/// `commit=2` is no time, and a fact without one is true since its node became so.
#[test]
fn a_fact_without_a_time_is_where_its_node_became_so() {
    let mut lines = two_stories();
    let mut commits = state(1, Role::Leader, 2, 2, vec![]);
    if let Event::State { commit, .. } = &mut commits {
        *commit = 2;
    }
    lines.insert(7, Line { t: 6_500, event: commits });
    let end = lines.len() - 1;
    let say = |lines: &mut Vec<Line>, what: &str, facts: [&str; 2]| {
        let facts = facts.map(str::to_owned).to_vec();
        lines[end].event = Event::Violation { what: what.to_owned(), facts, ops: vec![] };
    };
    say(&mut lines, "", ["n1 leads; 2@2 is on n1 and n2", "now: n1@2 leader, last=2@2, commit=2"]);
    assert_eq!(cause::find(&lines).facts, [Some(8), Some(7)]);
    // Who it is about, the broken rule may say; and of two facts about one change the second holds until the end.
    say(&mut lines, "n1 lost an entry", ["it had 2@2", "after the restart index 2 is gone"]);
    assert_eq!(cause::find(&lines).facts, [Some(1), Some(7)]);
}

#[test]
fn a_page_is_one_file_and_asks_nobody_for_anything() {
    let mut shown = Shown { title: "a <b> & c".into(), lines: two_stories(), ..Shown::default() };
    shown.about = "</script><script>alert(1)</script>".into();
    let page = page(&shown);
    for outside in ["http:", "https:", "src=", "<link", "@import", "url(", "import {"] {
        assert!(!page.contains(outside), "the page must not load anything: {outside}");
    }
    assert!(page.contains("<title>a &lt;b> &amp; c</title>"));
    assert!(!page.contains("alert(1)</script>"), "no text of a trace ends the script");
    assert_eq!(page.matches("</script>").count(), 2, "the data and the modules");
    assert!(page.contains("openPage(JSON.parse("));
}

/// In the page the modules are one script: a name that two of them define would not be found before a reader does.
#[test]
fn no_two_modules_define_one_name() {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for module in MODULES {
        for line in module.lines() {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let word =
                ["function ", "const ", "class ", "let "].iter().find_map(|k| line.strip_prefix(k));
            let end = |c: char| !c.is_alphanumeric() && c != '_' && c != '$';
            if let Some(name) = word.and_then(|rest| rest.split(end).next()) {
                *names.entry(name).or_default() += 1;
            }
        }
    }
    assert!(names.len() > 30, "the modules are there: {names:?}");
    let twice: Vec<_> = names.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "defined twice: {twice:?}");
}

#[test]
fn the_text_tells_the_story_the_logs_and_the_events() {
    let shown = Shown { title: "two stories".into(), lines: two_stories(), ..Shown::default() };
    insta::assert_snapshot!(twin(&shown, &Wanted::default()));
    let wanted = Wanted { node: Some(3), find: vec!["append".into()], ..Wanted::default() };
    let text = twin(&shown, &wanted);
    let events = text.split_once("Events\n").unwrap().1;
    assert_eq!(events.lines().count(), 1, "{events}");
    assert!(events.contains("arrives: n1@2 -> n3 Append base=1@1 [2@2]"), "{events}");
}

#[test]
fn a_trace_becomes_a_page_and_slips_get_a_sentence() {
    let course = Course::toy("view");
    let json: Vec<String> =
        two_stories().iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    course.write("run.jsonl", &json.join("\n"));
    course
        .grade(&["view", "run.jsonl", "--no-open", "--out", "a run.html"])
        .ends(0)
        .says("a run.html");
    assert!(course.read("a run.html").contains("two logs differ"));
    course.grade(&["view", "run.jsonl", "--no-open"]).ends(0).says("view");
    // Without a name, the page that was made last.
    course.grade(&["view", "--no-open"]).ends(0).says("run.html");
    course.grade(&["view", "run.jsonl", "--text", "--last", "3"]).ends(0).says("two logs differ");
    course.grade(&["view", "no_such_test"]).ends(2).complains("cargo grade list");
    course.write("notes.txt", "no trace\n");
    course.grade(&["view", "notes.txt"]).ends(2).complains("no event that this version knows");
    course.grade(&["view", "--at", "3"]).ends(2).complains("--text");
    // The toy's harness keeps no traces.
    course.grade(&["view", "last_put", "--no-open"]).ends(2).complains("left no trace");
}

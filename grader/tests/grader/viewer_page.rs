//! The trace viewer in a real browser: it opens, steps, filters and jumps, and a hundred thousand events do not make it slow.

use std::fs;
use std::time::Duration;

use grader::viewer::{Shown, page};
use serde_json::json;
use sim::cluster::protocol::{Channel, Role};
use sim::trace::{Event, Line};

use crate::browser::{Browser, chromium};

/// A run of three nodes that goes round and round, with a violation at its end: `rounds` times 20 events or so.
fn made_up(rounds: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut t = 0;
    let mut put = |event| {
        t += 37;
        lines.push(Line { t, event });
    };
    put(Event::Start { trace: 1, seed: 7, clock: None, nodes: vec![1, 2, 3], clients: vec![1] });
    for n in 1..=3 {
        put(Event::Open { n, life: 1 });
    }
    let state = |n: u64, role: Role, term: u64, commit: u64, last: u64, log: Vec<(u64, u64)>| {
        Event::State {
            n,
            region: 1,
            peer: n,
            role,
            term,
            vote: 1,
            leader: 1,
            commit,
            applied: commit,
            persisted: last,
            truncated: (0, 0),
            last,
            kept: last - log.len() as u64,
            log,
            range: None,
            epoch: (1, 1),
            voters: vec![1, 2, 3],
        }
    };
    for n in 1..=3 {
        put(state(n, if n == 1 { Role::Leader } else { Role::Follower }, 1, 0, 0, vec![]));
    }
    let mut id = 0;
    for round in 1..=rounds {
        let op = usize::try_from(round).unwrap();
        let text = format!("put x={round}");
        put(Event::Call { op, client: 1, n: 1, txn: None, text, key: "x".into() });
        put(state(1, Role::Leader, 1, round - 1, round, vec![(round, 1)]));
        for to in 2..=3 {
            for (from, to, kind) in [
                (1, to, "Append"),
                (to, 1, "AppendResp"),
                (1, to, "Heartbeat"),
                (to, 1, "HeartbeatResp"),
            ] {
                id += 1;
                let text = format!("base={}@1", round - 1);
                put(Event::Send {
                    n: from,
                    to,
                    id,
                    ch: Channel::Raft,
                    kind: kind.into(),
                    text,
                    region: 1,
                    bytes: 60,
                });
                put(Event::Deliver { n: to, id });
            }
            put(state(to, Role::Follower, 1, round - 1, round, vec![(round, 1)]));
        }
        put(Event::Return { op, how: "ok".into(), text: "ok".into() });
    }
    let facts = vec![format!("n1 has committed {rounds}@1"), "n3 says something else".to_owned()];
    put(Event::Violation { what: "two logs differ".into(), facts, ops: vec![] });
    lines
}

struct Opened {
    browser: Browser,
    _folder: tempfile::TempDir,
    took: Duration,
    bytes: u64,
}

/// Writes a page of so many rounds, and opens it; `None` where there is no Chromium.
fn open(rounds: u64) -> Option<Opened> {
    let Some(program) = chromium() else {
        eprintln!("skipped: there is no chromium on the PATH (or TINYKV_CHROMIUM)");
        return None;
    };
    let shown = Shown { title: "made up".into(), lines: made_up(rounds), ..Shown::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, page(&shown)).unwrap();
    let mut browser = Browser::start(&program, 1280, 800);
    let took = browser.open(&format!("file://{}", file.display()));
    browser.until("window.page !== undefined && window.page.frames > 0");
    let bytes = fs::metadata(&file).unwrap().len();
    Some(Opened { browser, _folder: folder, took, bytes })
}

#[test]
fn the_viewer_steps_filters_and_jumps() {
    let Some(Opened { mut browser, _folder, .. }) = open(30) else { return };
    let count = browser.eval("page.model.count").as_u64().unwrap();
    // It opens at the violation.
    assert_eq!(browser.eval("page.cursor"), json!(count - 1));
    assert_eq!(
        browser.eval("document.getElementById('broke').textContent"),
        json!("two logs differ")
    );
    browser.press("ArrowLeft");
    assert_eq!(browser.eval("page.cursor"), json!(count - 2), "a step back");
    browser.press("Home");
    assert_eq!(browser.eval("page.cursor"), json!(0));
    browser.press("e");
    browser.until("document.getElementById('now').textContent.includes('leader')");
    browser.press("c");
    let cause = browser.eval("page.cursor").as_u64().unwrap();
    assert!(cause > 0 && cause < count - 1, "the cause is before the end: {cause} of {count}");
    browser.press("v");
    assert_eq!(browser.eval("page.cursor"), json!(count - 1));

    // Filters: only what node 3 hears of appends; steps keep to them.
    let filter = "(() => { const set = (id, v) => { const e = document.getElementById(id); e.value = v;
        e.dispatchEvent(new Event('change')); e.dispatchEvent(new Event('input')); };
        set('by-node', '3'); set('by-kind', 'appends'); set('by-text', 'arrives'); return page.list.events.length; })()";
    assert_eq!(browser.eval(filter), json!(30), "one append a round arrives at node 3");
    // The lanes fade everything else.
    assert_eq!(browser.eval("page.lanes.chosen.reduce((all, one) => all + one, 0)"), json!(30));
    browser.press("ArrowLeft");
    browser.until("/arrives: n1@1 -> n3 Append/.test(document.getElementById('now').textContent)");

    // The log grid is that of the cursor, and the address brings a reader back to it.
    browser.until("document.querySelectorAll('#grid tbody tr').length === 3");
    let there = browser.eval("location.hash").as_str().unwrap().to_owned();
    let at = browser.eval("page.cursor");
    browser.press("Home");
    // The next frame writes the address; until then it is the old one, and to set it again would change nothing.
    browser.until("location.hash.startsWith('#e=0&')");
    browser.eval(&format!("location.hash = {there:?}"));
    browser.until(&format!("page.cursor === {at}"));
}

#[test]
fn a_hundred_thousand_events_open_at_once_and_scroll() {
    println!(
        "events      size    open   a frame (median)   a frame (worst)   a scroll of the list"
    );
    for rounds in [50, 500, 5_000] {
        let Some(Opened { mut browser, _folder, took, bytes }) = open(rounds) else { return };
        // Sixty frames: the view moves through the run, close up, and as a whole.
        let frames = "(async () => { const spent = []; const { lanes, model } = page;
            for (let k = 0; k < 60; k++) {
              const at = lanes.first + (lanes.last - lanes.first) * k / 60;
              if (k % 10 === 9) lanes.show(lanes.first, lanes.last);
              else lanes.show(at, at + (lanes.last - lanes.first) * (k % 2 ? 0.001 : 0.2));
              const begun = performance.now();
              lanes.draw(page.cursor, page.node); page.overview.draw(page.cursor);
              spent.push(performance.now() - begun);
              await new Promise(requestAnimationFrame);
            }
            spent.sort((a, b) => a - b); return [spent[30], spent[59]]; })()";
        let spent = browser.eval(frames);
        let scroll = "(() => { const spent = []; const box = document.getElementById('events');
            for (let k = 0; k < 60; k++) { const begun = performance.now();
              box.scrollTop = box.scrollHeight * k / 60; page.list.draw(); box.getBoundingClientRect();
              spent.push(performance.now() - begun); }
            return spent.sort((a, b) => a - b)[57]; })()";
        let scroll = browser.eval(scroll).as_f64().unwrap();
        let count = browser.eval("page.model.count").as_u64().unwrap();
        let (median, worst) = (spent[0].as_f64().unwrap(), spent[1].as_f64().unwrap());
        println!(
            "{count:>6} {:>5} KiB  {:>4} ms   {median:>8.1} ms        {worst:>8.1} ms      {scroll:>8.1} ms",
            bytes / 1024,
            took.as_millis()
        );
        // Bounds for a machine ten times as busy as it should be; the figures are what a person looks at. A list
        // with an element a row, or a frame that draws what is out of sight, is beyond them.
        assert!(took < Duration::from_secs(30), "{count} events took {took:?} to open");
        assert!(median < 500.0, "{count} events: {median} ms a frame");
        assert!(scroll < 500.0, "{count} events: {scroll} ms a scroll");
    }
}

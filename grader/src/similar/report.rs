//! What was found, for a terminal, for machines, and as a page with the lines side by side.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Similar;
use super::compare::{Pair, Span};
use super::corpus::{Kind, Work};
use crate::report::explain::wrap;
use crate::report::paint::Paint;

/// So many rows are shown on a terminal.
const ROWS: usize = 20;

/// So many of those who were not compared are named on a terminal.
const NAMES: usize = 10;

/// So many spans of a pair are shown on the page.
const SPANS: usize = 12;

/// What the numbers can tell, and what they cannot. It stands in every report.
pub const PROSE: &str = "\
The share is how much of a work's own writing stands in the other one, in the same order, whatever its variables are \
called; what the starter gives and what nearly everybody writes counts little or nothing. A high share says that two \
texts have one origin. It does not say which of them came first, whether both come from a third, whether the two were \
allowed to work together, or whether anybody knew. A low share says nothing: who rewrites thoroughly is not found. \
Look at the lines before you speak with anyone, and let the person explain their code (`cargo grade viva`).";

/// Rows by share; the reference's first.
pub fn text(found: &Similar, paint: Paint) -> String {
    let works = &found.corpus.works;
    let name = |at: usize| works[at].name.as_str();
    let width = works.iter().map(|w| w.name.len()).max().unwrap_or(0).clamp(4, 40);
    let head = format!("{:>5}  {:<width$}  {:<width$}  {}", "share", "who", "with", "longest");
    let mut text = paint.dim(head) + "\n";
    for pair in found.pairs.iter().take(ROWS) {
        let longest = pair.spans.iter().max_by_key(|s| s.tokens);
        let place = longest.map_or(String::new(), |s| place(&works[pair.left], s.left));
        let row = format!(
            "{:>5}  {:<width$}  {:<width$}  {place}",
            percent(pair.share),
            name(pair.left),
            name(pair.right),
        );
        text += &if works[pair.right].kind == Kind::Reference { paint.strong(row) } else { row };
        text.push('\n');
    }
    if found.pairs.len() > ROWS {
        let _ = writeln!(text, "       {} more (--out shows all)", found.pairs.len() - ROWS);
    }
    if found.pairs.is_empty() {
        text += "       nobody shares anything that is worth a look\n";
    }
    for carrier in &found.carriers {
        let who = name(carrier.work);
        let _ = writeln!(
            text,
            "\n{who} has what only bug {} of the zoo has ({}): {}",
            carrier.bug,
            percent(carrier.share),
            carrier.what
        );
    }
    for work in works.iter().filter(|w| !w.unread.is_empty()) {
        let _ = writeln!(text, "\nnot read of {}: {}", work.name, work.unread.join("; "));
    }
    if let Some(left_out) = left_out(found, NAMES) {
        let _ = writeln!(text, "\n{left_out}");
    }
    text + "\n" + &wrap(PROSE, 100).join("\n") + "\n"
}

/// Who was not compared, up to so many by name.
fn left_out(found: &Similar, most: usize) -> Option<String> {
    let (left_out, works) = (&found.corpus.left_out, &found.corpus.works);
    let compared = works.iter().filter(|w| w.kind == Kind::Submission).count();
    let named: Vec<&str> = left_out.iter().take(most).map(String::as_str).collect();
    (!left_out.is_empty()).then(|| {
        format!(
            "not compared, since they are no folders with the course in them (unpack archives first): {} of {}: {}{}",
            left_out.len(),
            left_out.len() + compared,
            named.join(", "),
            if left_out.len() > most { ", ..." } else { "" }
        )
    })
}

fn place(work: &Work, (file, first, last): (usize, usize, usize)) -> String {
    format!("{}:{first}-{last}", work.sources[file].path)
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[derive(Serialize)]
struct Row<'a> {
    who: &'a str,
    with: &'a str,
    kind: &'a str,
    share: f64,
    spans: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    who: String,
    with: String,
    tokens: usize,
}

/// The pairs for machines.
///
/// # Errors
/// The file cannot be written.
pub fn json(found: &Similar, file: &Path) -> Result<()> {
    let works = &found.corpus.works;
    let row = |pair: &Pair| Row {
        who: &works[pair.left].name,
        with: &works[pair.right].name,
        kind: match works[pair.right].kind {
            Kind::Reference => "reference",
            Kind::Other => "other",
            Kind::Submission => "submission",
        },
        share: pair.share,
        spans: pair
            .spans
            .iter()
            .map(|s| Place {
                who: place(&works[pair.left], s.left),
                with: place(&works[pair.right], s.right),
                tokens: s.tokens,
            })
            .collect(),
    };
    let rows: Vec<Row<'_>> = found.pairs.iter().map(row).collect();
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "format": 1,
        "pairs": rows,
        "left_out": found.corpus.left_out,
        "mistakes": found.carriers.iter().map(|c| serde_json::json!({
            "who": works[c.work].name, "bug": c.bug, "share": c.share,
        })).collect::<Vec<_>>(),
    }))
    .unwrap_or_default();
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// The page: a table, and below it each pair with its lines side by side.
pub fn page(found: &Similar) -> String {
    let works = &found.corpus.works;
    let mut page = String::from(HEAD);
    let _ = write!(
        page,
        "<h1>Who wrote what somebody else has</h1><p class=prose>{}</p>",
        escape(PROSE)
    );
    if let Some(left_out) = left_out(found, usize::MAX) {
        let _ = write!(page, "<p class=prose>{}</p>", escape(&left_out));
    }
    page += "<table><tr><th>share<th>who<th>with<th>spans</tr>";
    for (at, pair) in found.pairs.iter().enumerate() {
        let _ = write!(
            page,
            "<tr><td>{}<td><a href=#p{at}>{}</a><td>{}<td>{}</tr>",
            percent(pair.share),
            escape(&works[pair.left].name),
            escape(&works[pair.right].name),
            pair.spans.len()
        );
    }
    page += "</table>";
    for (at, pair) in found.pairs.iter().enumerate() {
        let (left, right) = (&works[pair.left], &works[pair.right]);
        let _ = write!(
            page,
            "<h2 id=p{at}>{} and {}: {}</h2>",
            escape(&left.name),
            escape(&right.name),
            percent(pair.share)
        );
        for span in pair.spans.iter().take(SPANS) {
            side_by_side(&mut page, left, right, span);
        }
        if pair.spans.len() > SPANS {
            let _ = write!(page, "<p>{} shorter ones are not shown.</p>", pair.spans.len() - SPANS);
        }
    }
    page + "</main></html>\n"
}

fn side_by_side(page: &mut String, left: &Work, right: &Work, span: &Span) {
    *page += "<div class=pair>";
    for (work, at) in [(left, span.left), (right, span.right)] {
        let (file, first, last) = at;
        let _ = write!(page, "<div><h3>{}</h3><pre>", escape(&place(work, at)));
        for (number, line) in (1..).zip(work.sources[file].text.lines()) {
            if (first..=last).contains(&number) {
                let _ = writeln!(page, "<i>{number:>4}</i> {}", escape(line));
            }
        }
        *page += "</pre></div>";
    }
    *page += "</div>";
}

/// What strangers wrote, harmless in a page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Similarity</title>
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 } main { max-width: 80rem; margin: auto; padding: 1rem }
.prose { max-width: 60rem } table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-bottom: 1rem }
.pair h3 { font-size: .9rem; margin: 0 } pre { font-size: .8rem; overflow-x: auto; background: #8881; padding: .5rem; margin: 0 }
pre i { opacity: .5; font-style: normal } h2 { border-top: 1px solid #8886; padding-top: 1rem }
</style><main>";

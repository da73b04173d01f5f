//! Pages for people: one for the class, one for each submission. Each is a single file without scripts, so that it can
//! be mailed, archived, and opened next year.

use grader::verdict::Status;

use super::overview::Overview;
use crate::record::{Conditions, Fate, Score, StageScore, TestScore, Verdict};
use crate::sum;

/// A stranger's text inside of a page: names, and what students' code printed.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Marks that turn the direction of writing could make one name look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .7em;text-align:left;border-bottom:1px solid #d5dae0;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f4f6f8;padding:.7em;overflow:auto;white-space:pre-wrap}\
.pass{color:#18713a}.fail{color:#a3231b}.open{color:#8a5a00}.dim{color:#5f6872}\
.bar{display:inline-block;height:.8em;background:#3b77b8}details{margin:.3em 0}summary{cursor:pointer}\
@media(prefers-color-scheme:dark){body{color:#dfe4ea;background:#15181c}pre{background:#1f242a}th,td{border-color:#39414a}\
.pass{color:#6fce8f}.fail{color:#ff8d83}.open{color:#e5b25d}.dim{color:#98a2ad}.bar{background:#6aa5e6}}\
@media print{details{display:block}}";

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n{body}</html>\n",
        text(title)
    )
}

/// The page of a submission: its points and their sum, what does not compile, every rule that does not hold.
pub fn submission(score: &Score) -> String {
    let mut body = format!("<h1>{}</h1>\n", text(&score.id));
    body += &match &score.fate {
        Fate::Graded if score.extra > 0.0 => {
            format!(
                "<p><b>{:.2}</b> of {} points, and {:.2} of extra credit.</p>\n",
                score.points, score.worth, score.extra
            )
        }
        Fate::Graded => format!("<p><b>{:.2}</b> of {} points.</p>\n", score.points, score.worth),
        Fate::Refused { why } => {
            format!("<p class=\"fail\"><b>Not graded:</b> {}.</p>\n", text(why))
        }
        Fate::Void { why } => format!("<p class=\"fail\"><b>Void:</b> {}.</p>\n", text(why)),
    };
    for flag in &score.flags {
        body += &format!("<p class=\"open\">A person should look: {}</p>\n", text(flag));
    }
    for note in &score.notes {
        body += &format!("<p class=\"dim\">{}</p>\n", text(note));
    }
    for build in &score.builds {
        let mended: String = build.mended.iter().map(|m| format!("<li>{}</li>", text(m))).collect();
        body += &format!(
            "<h2>{} does not compile</h2>\n<pre>{}</pre>\n<p>What was done about it:</p><ul>{mended}</ul>\n",
            text(&build.package),
            text(&build.error)
        );
    }
    if score.fate == Fate::Graded {
        body += "<h2>Stages</h2>\n<table><tr><th>stage<th>title<th class=n>rules<th class=n>on our base<th class=n>on their own<th class=n>points</tr>\n";
        for stage in &score.stages {
            body += &row(stage);
        }
        body += "</table>\n<details><summary>The sum, to be checked by hand</summary>";
        body += &format!("<pre>{}</pre></details>\n", text(&sum::why(score)));
        for stage in &score.stages {
            body += &details(stage);
        }
    }
    body += &conditions(&score.conditions);
    page(&score.id, &body)
}

fn row(stage: &StageScore) -> String {
    format!(
        "<tr><td>{}<td>{}<td class=n>{}/{}<td class=n>{:.0}%<td class=n>{:.0}%<td class=n>{}{:.2}/{}</tr>\n",
        text(&stage.id),
        text(&stage.title),
        sum::count(stage, Status::Pass),
        stage.tests.len(),
        100.0 * sum::on_ours(stage),
        100.0 * sum::on_own(stage),
        if stage.extra { "+" } else { "" },
        stage.points,
        stage.worth
    )
}

/// Every rule of a stage that does not hold on both bases and all seeds.
fn details(stage: &StageScore) -> String {
    let mut lines = String::new();
    for test in &stage.tests {
        let own = test.own.as_ref().unwrap_or(&test.ours);
        if sum::credit(test) >= 1.0 && own.passed() {
            continue;
        }
        lines += &format!(
            "<h3>{}</h3>\n<p>{} <span class=dim>(weight {})</span></p>\n",
            text(&test.name),
            text(&test.rule),
            test.weight
        );
        lines += &verdict("", &test.ours, test);
        if let Some(hidden) = test.hidden.as_ref().filter(|hidden| !hidden.passed()) {
            lines += &verdict("with a hidden seed", hidden, test);
        }
        if let Some(own) = test.own.as_ref().filter(|own| **own != test.ours) {
            lines += &verdict("on their own earlier projects", own, test);
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "<details><summary>Stage {}: what does not hold</summary>\n{lines}</details>\n",
        text(&stage.id)
    )
}

fn verdict(where_: &str, verdict: &Verdict, test: &TestScore) -> String {
    let (class, word) = match verdict.verdict {
        Status::Pass => ("pass", "holds"),
        Status::Fail => ("fail", "is broken"),
        Status::NotWritten => ("open", "is not written yet"),
        Status::Undecided => ("open", "is undecided: a person should look"),
        Status::NotRun => ("dim", "was not run"),
    };
    let mut out = format!("<p class={class}>It {word} {}", text(where_));
    if let Some(hole) = &verdict.hole {
        out += &format!(" (hole {})", text(hole));
    }
    out += "</p>\n";
    if !verdict.broke.is_empty() && verdict.verdict != Status::NotWritten {
        let mut told = format!("broke  {}", verdict.broke);
        for fact in &verdict.facts {
            told += &format!("\nfact   {fact}");
        }
        let seed = verdict.seed.unwrap_or(1);
        told += &format!("\nagain  cargo grade replay {} --seed {seed}", test.name);
        // Whatever has a seed leaves a trace.
        if verdict.seed.is_some() {
            told += &format!("\nsee    cargo grade view {} --seed {seed}", test.name);
        }
        told += &format!("\nread   {}", test.reading);
        out += &format!("<pre>{}</pre>\n", text(&told));
    }
    out
}

fn conditions(conditions: &Conditions) -> String {
    let hidden = match conditions.hidden_seeds.as_slice() {
        [] => "none".to_owned(),
        seeds => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    format!(
        "<p class=dim>Course {} (rules {}), {}, sandbox {}, stages {}, hidden seeds: {hidden}.</p>\n",
        text(&conditions.course),
        text(&conditions.rules),
        text(&conditions.rustc),
        text(&conditions.sandbox),
        text(&conditions.stages.join(", "))
    )
}

/// The page of the class: everybody's points, how each stage is distributed, the hardest rules.
pub fn class(scores: &[Score]) -> String {
    let overview = Overview::of(scores);
    let mut body = format!("<h1>{} submissions</h1>\n", scores.len());
    let open: Vec<&Score> = scores.iter().filter(|score| score.needs_a_person()).collect();
    if !open.is_empty() {
        body += "<h2>A person should look at these first</h2>\n<ul>\n";
        for score in open {
            let why = score.flags.first().cloned().unwrap_or_else(|| "void".into());
            body += &format!("<li>{}: {}</li>\n", link(&score.id), text(&why));
        }
        body += "</ul>\n";
    }
    body += "<h2>Stages</h2>\n<table><tr><th>stage<th>title<th class=n>mean<th class=n>median<th class=n>0<th class=n>&le;1/4<th class=n>&le;1/2<th class=n>&le;3/4<th class=n>&lt;1<th class=n>all<th></tr>\n";
    for stage in &overview.stages {
        let cells: String = stage.distribution.iter().map(|n| format!("<td class=n>{n}")).collect();
        let width = 8.0 * stage.mean / f64::from(stage.worth.max(1));
        body += &format!(
            "<tr><td>{}<td>{}<td class=n>{:.2}/{}<td class=n>{:.2}{cells}<td><span class=bar style=\"width:{width:.2}em\"></span></tr>\n",
            text(stage.id),
            text(stage.title),
            stage.mean,
            stage.worth,
            stage.median
        );
    }
    body += "</table>\n<h2>The hardest rules</h2>\n<table><tr><th>stage<th>rule<th class=n>broken by<th class=n>of those who wrote it</tr>\n";
    for rule in overview.hardest.iter().take(25) {
        body += &format!(
            "<tr><td>{}<td>{}<br><span class=dim>{}</span><td class=n>{}<td class=n>{}</tr>\n",
            text(rule.stage),
            text(rule.rule),
            text(rule.test),
            rule.broken,
            rule.tried
        );
    }
    body += "</table>\n<h2>Everybody</h2>\n<table><tr><th>submission<th class=n>points<th class=n>extra<th>";
    let ids: String =
        overview.stages.iter().map(|stage| format!("<th class=n>{}", text(stage.id))).collect();
    body += &format!("{ids}</tr>\n");
    for score in scores {
        let cells: String =
            score.stages.iter().map(|stage| format!("<td class=n>{:.2}", stage.points)).collect();
        let word = match &score.fate {
            Fate::Graded if score.needs_a_person() => "<span class=open>look</span>",
            Fate::Graded => "",
            Fate::Refused { .. } => "<span class=fail>refused</span>",
            Fate::Void { .. } => "<span class=fail>void</span>",
        };
        body += &format!(
            "<tr><td>{}<td class=n>{:.2}/{}<td class=n>{:.2}<td>{word}{cells}</tr>\n",
            link(&score.id),
            score.points,
            score.worth,
            score.extra
        );
    }
    body += "</table>\n<p class=dim>How long everything took stands in <a href=\"times.csv\">times.csv</a>.</p>\n";
    if let Some(shared) = overview.conditions {
        body += &conditions(shared);
    }
    page("Class", &body)
}

/// A link to a submission's page. A name may hold whatever a file's name may.
fn link(id: &str) -> String {
    let path: String = id
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    format!("<a href=\"submissions/{path}/index.html\">{}</a>", text(id))
}

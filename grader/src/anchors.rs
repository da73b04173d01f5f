//! The anchors that a chapter's headings have in the built book, so that a dead one is found before it is.

use std::collections::{BTreeMap, BTreeSet};

/// The anchors of a chapter, as mdBook (and GitHub) make them from headings.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("id=\"") {
            anchors.extend(line[at + 4..].split('"').next().map(str::to_owned));
        }
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let slug = match heading.rsplit_once("{#") {
            Some((_, id)) => id.trim_end().trim_end_matches('}').to_owned(),
            None => slug(heading.trim()),
        };
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

fn slug(heading: &str) -> String {
    let mut slug = String::new();
    let mut in_target = false;
    let mut before = ' ';
    for c in heading.chars() {
        // Of a link only the text counts.
        match (before, c) {
            (']', '(') => in_target = true,
            (_, ')') if in_target => in_target = false,
            _ if in_target => {}
            _ if c.is_alphanumeric() || c == '_' || c == '-' => slug.extend(c.to_lowercase()),
            _ if c.is_whitespace() => slug.push('-'),
            _ => {}
        }
        before = c;
    }
    slug
}

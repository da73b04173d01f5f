//! "Did you mean": the known name that is nearest to what was typed.

/// The nearest of `known` names, if one is near enough to be a slip of the finger or a part of it.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            let candidate = name.to_lowercase();
            // A test's path is long: who types the end of it means it.
            let within = if lower.len() >= 3 && candidate.contains(&lower) { 0.9 } else { 0.0 };
            (name, strsim::jaro_winkler(&lower, &candidate).max(within))
        })
        .filter(|(_, score)| *score > 0.75)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

/// `; did you mean X?`, or nothing.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

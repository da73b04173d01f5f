//! Anchors as mdBook makes them.

use grader::anchors::anchors;

#[test]
fn headings_become_anchors_as_in_the_book() {
    let text = "# A `raw_get`, and *more*\n## What's in it?\n## Twice\n## Twice\n#no heading\n```text\n# in code\n```\n### With [a link](to/where.md) in it\n## Own {#mine}\n<a id=\"by-hand\"></a>\n## Größe\n";
    let found = anchors(text);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let mut expected = vec![
        "a-raw_get-and-more",
        "by-hand",
        "größe",
        "mine",
        "twice",
        "twice-1",
        "whats-in-it",
        "with-a-link-in-it",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

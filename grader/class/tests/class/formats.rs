//! What other programs read, checked against what they document.

use class::record::{Fate, Score};
use class::report::{gradescope, junit, overview, page, table};
use serde_json::{Value, json};

use crate::sums::student;

fn class() -> Vec<Score> {
    let mut hostile = student("<b>\"=cmd|' /C calc'!A0\"&\u{202e}");
    hostile.stages[0].tests[1].ours.broke =
        "a \u{1b}[31mred\u{0} <script>alert(1)</script> panic".into();
    let mut refused = student("=HYPERLINK(\"http://example.org\")");
    refused.fate = Fate::Refused { why: "it is no zip file, \"really\"".into() };
    let mut flagged = student("dora");
    flagged.flags.push("undecided twice: c".into());
    vec![hostile, refused, flagged]
}

/// Gradescope, "Autograder Specifications", output format: the fields that it knows and their types.
#[test]
fn gradescope_reads_its_results() {
    let known = [
        "score",
        "execution_time",
        "output",
        "output_format",
        "test_output_format",
        "test_name_format",
        "visibility",
        "stdout_visibility",
        "extra_data",
        "tests",
        "leaderboard",
    ];
    let known_of_a_test = [
        "score",
        "max_score",
        "status",
        "name",
        "name_format",
        "number",
        "output",
        "output_format",
        "tags",
        "visibility",
        "extra_data",
    ];
    for score in class() {
        let results = serde_json::to_value(gradescope::results(&score)).unwrap();
        let fields = results.as_object().unwrap();
        assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{fields:?}");
        assert_eq!(results["score"], json!(score.points + score.extra));
        assert!(
            ["visible", "hidden", "after_due_date", "after_published"]
                .contains(&results["stdout_visibility"].as_str().unwrap())
        );
        assert!(
            ["text", "html", "simple_format", "md", "ansi"]
                .contains(&results["output_format"].as_str().unwrap())
        );
        let tests = results["tests"].as_array().unwrap();
        assert_eq!(tests.len(), 3);
        for test in tests {
            let fields = test.as_object().unwrap();
            assert!(fields.keys().all(|key| known_of_a_test.contains(&key.as_str())), "{fields:?}");
            assert!(test["score"].is_f64() && test["max_score"].is_f64());
            assert!(["passed", "failed"].contains(&test["status"].as_str().unwrap()));
        }
        // A student finds the way from the row to the failure.
        assert!(
            tests[0]["output"].as_str().unwrap().contains("again  cargo grade replay b --seed 7")
        );
    }
}

#[test]
fn junit_is_xml_with_a_case_for_each_test() {
    let text = String::from_utf8(junit::render(&class()).unwrap()).unwrap();
    let mut reader = quick_xml::Reader::from_str(&text);
    reader.config_mut().check_end_names = true;
    let (mut suites, mut cases) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                // Values unescape, or they would not be what stands in the record.
                for attribute in tag.attributes() {
                    attribute
                        .unwrap()
                        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                        .unwrap();
                }
                suites += usize::from(tag.name().as_ref() == "testsuite");
                cases += usize::from(tag.name().as_ref() == "testcase");
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((suites, cases), (9, 18));
    for part in [
        "failures=\"1\"",
        "errors=\"1\"",
        "skipped=\"1\"",
        "<error message=\"\"/>",
        "message=\"not written yet\"",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\0'));
}

#[test]
fn tables_are_read_back_cell_by_cell_and_hold_no_formula() {
    let class = class();
    let bytes = table::class(&class).unwrap();
    let mut rows = csv::Reader::from_reader(bytes.as_slice());
    let head = rows.headers().unwrap().clone();
    assert_eq!(
        head.iter().take(8).collect::<Vec<_>>(),
        ["student", "points", "worth", "extra", "fate", "flags", "why", "1"]
    );
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[1][0], "'=HYPERLINK(\"http://example.org\")");
    assert_eq!((&rows[1][4], &rows[1][6]), ("refused", "it is no zip file, \"really\""));
    assert_eq!((&rows[2][1], &rows[2][5]), ("7.40", "1"));
    let rules = String::from_utf8(table::rules(&class).unwrap()).unwrap();
    assert!(rules.contains("1,b,The rule of b.,0,3,0,0,0"), "{rules}");
}

#[test]
fn pages_show_strangers_words_as_words() {
    let class = class();
    let pages = class.iter().map(page::submission).chain([page::class(&class)]);
    for page in pages {
        assert!(!page.contains("<script") && !page.contains("<b>\"=cmd"), "{page}");
        assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}') && !page.contains('\0'));
        // A page is one file: nothing is fetched.
        assert!(!page.contains("http") || page.contains("HYPERLINK"), "{page}");
    }
    let page = page::submission(&class[0]);
    for part in [
        "<b>7.40</b> of 20 points",
        "It is broken",
        "cargo grade replay b --seed 7",
        "cargo grade view b --seed 7",
        "on their own earlier projects",
        "hole 2.scan",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn the_class_in_numbers() {
    let mut class = class();
    class.push(student("zoe"));
    class[3].stages[0].tests[1] = crate::sums::test("b", 2, grader::verdict::Status::Pass);
    class.iter_mut().for_each(class::sum::settle);
    let overview: Value = serde_json::to_value(overview::Overview::of(&class)).unwrap();
    assert_eq!(overview["format"], 1);
    assert_eq!(overview["submissions"][2]["needs_a_person"], true);
    let stage = &overview["stages"][0];
    // 2, 2, 2 and 6 of 8 points.
    assert_eq!((&stage["mean"], &stage["median"]), (&json!(3.0), &json!(2.0)));
    assert_eq!(stage["distribution"], json!([0, 3, 0, 1, 0, 0]));
    assert_eq!(overview["hardest"][0]["test"], "b");
    assert_eq!(
        (&overview["hardest"][0]["broken"], &overview["hardest"][0]["tried"]),
        (&json!(3), &json!(4))
    );
}

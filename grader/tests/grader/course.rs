//! Reading `course.toml`, and finding things in it by what a person types.

use grader::course::Course;
use grader::suggest::nearest;

const TOML: &str = r#"
version = "1"
[[stage]]
id = "2AA"
title = "Election"
package = "raft"
suite = "s"
judge = "j"
points = 5
chapter = "c.md"
[[stage.hole]]
id = "2AA.tick"
file = "f.rs"
minutes = 5
[[stage.test]]
name = "stage2aa::tick::it_counts"
after = "2AA.tick"
weight = 1
[[stage]]
id = "2AB"
title = "Replication"
package = "raft"
suite = "s"
judge = "j"
points = 5
chapter = "c.md"
[[stage.test]]
name = "stage2ab::tick::it_still_counts"
after = "2AA.tick"
weight = 1
"#;

fn ids(asked: &[&str]) -> Vec<String> {
    let course = Course::parse(TOML).unwrap();
    let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
    course.select(&asked).unwrap().iter().map(|s| s.id.clone()).collect()
}

#[test]
fn stages_are_chosen_in_any_case_by_prefix_and_come_in_course_order() {
    assert_eq!(ids(&[]), ["2AA", "2AB"]);
    assert_eq!(ids(&["2ab", "2aA"]), ["2AA", "2AB"]);
    assert_eq!(ids(&["2"]), ["2AA", "2AB"]);
    assert_eq!(ids(&["2ab"]), ["2AB"]);
}

#[test]
fn an_unknown_stage_names_the_nearest_and_the_next_step() {
    let course = Course::parse(TOML).unwrap();
    let error = course.select(&["2ac".into()]).unwrap_err().to_string();
    assert!(error.contains("there is no stage `2ac`; did you mean `2AB`?"), "{error}");
    assert!(error.contains("Stages are: 2AA, 2AB."), "{error}");
    let error = course.select(&[String::new()]).unwrap_err().to_string();
    assert!(error.contains("there is no stage ``"), "{error}");
}

#[test]
fn a_test_is_found_by_a_part_that_fits_only_one() {
    let course = Course::parse(TOML).unwrap();
    assert_eq!(course.test("still").unwrap().1.name, "stage2ab::tick::it_still_counts");
    let error = course.test("counts").unwrap_err().to_string();
    assert!(error.contains("fits 2 tests"), "{error}");
    let error = course.test("stage2aa::tick::it_count_s").unwrap_err().to_string();
    assert!(error.contains("did you mean `stage2aa::tick::it_counts`?"), "{error}");
}

#[test]
fn a_hole_is_found_in_any_case() {
    let course = Course::parse(TOML).unwrap();
    assert_eq!(course.hole("2aa.TICK").unwrap().1.id, "2AA.tick");
    let error = course.hole("2aa.tock").unwrap_err().to_string();
    assert!(error.contains("did you mean `2AA.tick`?"), "{error}");
}

#[test]
fn a_broken_file_is_an_error_with_its_line() {
    let error = format!("{:#}", Course::parse("version = \"1\"\nvresion = 2").unwrap_err());
    assert!(error.contains("grader/course.toml cannot be read"), "{error}");
    assert!(error.contains("line 2") && error.contains("vresion"), "{error}");
    for garbage in ["", "[[stage]]", "\0", "version = \"1\"\n[[stage]]\nid = 3", "version = ["] {
        assert!(Course::parse(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn only_what_is_near_is_suggested() {
    assert_eq!(nearest("1.raw_gte", ["1.write", "1.raw_get"]), Some("1.raw_get"));
    assert_eq!(nearest("zzz", ["1.write", "1.raw_get"]), None);
    assert_eq!(nearest("", ["1.write"]), None);
}

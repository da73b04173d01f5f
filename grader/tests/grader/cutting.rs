//! Markers, blocks, and what takes their place.

use grader::cut::{Cut, cut, cut_some, functions};
use grader::markers;

fn refused(text: &str) -> Vec<String> {
    let errors = cut(text, Cut::Starter).unwrap_err();
    errors.into_iter().map(|e| format!("{}: {}", e.line, e.what)).collect()
}

#[track_caller]
fn refused_with(text: &str, line: usize, part: &str) {
    let errors = refused(text);
    let found = errors.iter().any(|e| e.starts_with(&format!("{line}: ")) && e.contains(part));
    assert!(found, "no {part:?} for line {line} in {errors:?}");
}

#[test]
fn a_body_becomes_a_call_with_all_parameters() {
    let text = "\
impl<'a> T<'a> {
    /// Doc.
    async fn f(&mut self, mut a: u8, (b, [c, ..]): X, Y { d, e: Some(g) }: Y, _: u8) -> u8 {
        // BEGIN SOLUTION 1.f
        let s = \"// END SOLUTION\";
        a
        // END SOLUTION
    }
}
";
    // A marker inside a string on a line of its own would be one; here it is not.
    let starter = cut(text, Cut::Starter).unwrap();
    assert_eq!(
        starter,
        "\
impl<'a> T<'a> {
    /// Doc.
    async fn f(&mut self, mut a: u8, (b, [c, ..]): X, Y { d, e: Some(g) }: Y, _: u8) -> u8 {
        crate::hole(\"1.f\", (self, a, b, c, d, g))
    }
}
"
    );
    let gate = cut(text, Cut::Gate).unwrap();
    assert!(gate.contains("        crate::hole::gate(\"1.f\");\n        let s ="), "{gate}");
    assert!(!gate.contains("BEGIN SOLUTION"), "{gate}");
}

#[test]
fn functions_without_parameters_and_with_one_make_tuples() {
    let text = "fn a() {\n// BEGIN SOLUTION x\n1;\n// END SOLUTION\n}\nfn b(c: u8) {\n// BEGIN SOLUTION x\n1;\n// END SOLUTION\n}\n";
    let starter = cut(text, Cut::Starter).unwrap();
    assert!(starter.contains("crate::hole(\"x\", ())\n"), "{starter}");
    assert!(starter.contains("crate::hole(\"x\", (c,))\n"), "{starter}");
}

#[test]
fn items_leave_without_a_trace() {
    let text = "\
use a;
// BEGIN SOLUTION 1.f
use b;
// END SOLUTION

// BEGIN SOLUTION 1.f
const N: usize = 1;
fn helper() {}
// END SOLUTION

struct S {
    // BEGIN SOLUTION 1.f
    field: usize,
    // END SOLUTION

    other: usize,
}
";
    assert_eq!(cut(text, Cut::Starter).unwrap(), "use a;\n\nstruct S {\n    other: usize,\n}\n");
    // The ladder keeps them, without markers.
    let gate = cut(text, Cut::Gate).unwrap();
    assert!(gate.contains("use b;\n\nconst N") && !gate.contains("gate("), "{gate}");
}

#[test]
fn holes_that_are_not_wanted_stay_with_their_markers() {
    let text = "fn a() {\n    // BEGIN SOLUTION x\n    1;\n    // END SOLUTION\n}\nfn b() {\n    // BEGIN SOLUTION y\n    2;\n    // END SOLUTION\n}\n";
    let cut = cut_some(text, Cut::Starter, &|id| id == "y").unwrap();
    assert!(cut.contains("    // BEGIN SOLUTION x\n    1;\n    // END SOLUTION\n"), "{cut}");
    assert!(cut.contains("    crate::hole(\"y\", ())\n") && !cut.contains("2;"), "{cut}");
}

#[test]
fn a_file_without_markers_stays_byte_for_byte() {
    for text in ["", "not rust at all {", "fn a() {}\r\n\r\n", "fn a() {}"] {
        assert_eq!(cut(text, Cut::Starter).unwrap(), text);
    }
}

#[test]
fn markers_that_do_not_pair_are_refused_with_their_lines() {
    refused_with("// BEGIN SOLUTION a\n", 1, "the block of a has no end");
    refused_with("// BEGIN SOLUTION a\n// BEGIN SOLUTION b\n// END SOLUTION\n", 1, "has no end");
    refused_with("fn a() {}\n// END SOLUTION\n", 2, "an end without a beginning");
    refused_with("// BEGIN SOLUTION\nfn a() {}\n// END SOLUTION\n", 1, "names no hole");
}

#[test]
fn half_a_body_is_refused() {
    let tail =
        "fn f() {\n    // BEGIN SOLUTION a\n    one();\n    // END SOLUTION\n    two();\n}\n";
    refused_with(tail, 2, "not the whole body of `f`");
    let head =
        "fn f() {\n    one();\n    // BEGIN SOLUTION a\n    two();\n    // END SOLUTION\n}\n";
    refused_with(head, 3, "not the whole body of `f`");
    let inner = "fn f() {\n    if x {\n    // BEGIN SOLUTION a\n    two();\n    // END SOLUTION\n    }\n}\n";
    refused_with(inner, 3, "not the whole body of `f`");
    // Comments and blank lines may stand outside: hints for the student.
    let hint =
        "fn f() {\n    // A hint.\n\n    // BEGIN SOLUTION a\n    two();\n    // END SOLUTION\n}\n";
    assert!(cut(hint, Cut::Starter).unwrap().contains("// A hint.\n"));
}

#[test]
fn torn_items_are_refused() {
    refused_with("// BEGIN SOLUTION a\nfn f() {\n// END SOLUTION\n}\n", 1, "neither");
    refused_with("// BEGIN SOLUTION a\n}\nfn g() {\n// END SOLUTION\n", 2, "this is not Rust");
    refused_with("enum E {\n// BEGIN SOLUTION a\nA,\nB(\n// END SOLUTION\nu8),\n}\n", 2, "neither");
}

#[test]
fn what_cannot_hold_a_hole_is_refused() {
    let marked = |head: &str| format!("{head} {{\n// BEGIN SOLUTION a\n1\n// END SOLUTION\n}}\n");
    refused_with(&marked("fn f() -> impl Iterator<Item = u8>"), 2, "returns `impl ..`");
    refused_with(&marked("const fn f() -> u8"), 2, "is const");
}

#[test]
fn functions_are_found_in_modules_impls_and_traits() {
    let text = "fn a() {}\nmod m { fn b() { 1; } }\nimpl T for &S<u8> { fn c(&self) {} }\ntrait U { fn d(&self) {} fn e(&self); }\n";
    let found = functions(text).unwrap();
    let paths: Vec<&str> = found.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["a", "b", "S::c", "U::d"]);
    assert!(text[found[1].body..].starts_with(" 1; }"));
}

#[test]
fn the_plain_reading_of_markers_never_fails() {
    let (inside, outside) = markers::inside_and_outside(
        "a\n  // BEGIN SOLUTION x\n  b\n// END SOLUTION\nc\n// END SOLUTION\n// BEGIN SOLUTION\nd",
        &|_| true,
    );
    assert_eq!((inside, outside), (vec!["b", "d"], vec!["a", "c"]));
    // What is solved in a checkpoint is no secret.
    let text = "// BEGIN SOLUTION x\na\n// END SOLUTION\n// BEGIN SOLUTION y\nb\n// END SOLUTION";
    let (inside, outside) = markers::inside_and_outside(text, &|id| id == "y");
    assert_eq!((inside, outside), (vec!["b"], vec!["a"]));
}

//! Manifests of a workspace.

use grader::manifest::{members, package_name, with_mark, without_members, without_profiles};

#[test]
fn members_go_from_both_lists_and_comments_stay() {
    let manifest = "# top\n[workspace]\nmembers = [\n    \"a\", # why\n    \"b/c\",\n]\ndefault-members = [\"a\", \"b/c\"]\n";
    let without = without_members(manifest, |m| m == "b/c").unwrap();
    assert_eq!(members(&without).unwrap(), ["a"]);
    assert!(without.starts_with("# top\n"), "{without}");
    assert!(!without.contains("b/c"), "{without}");
    assert!(members("[package]").is_err() && members("[").is_err());
    assert_eq!(package_name("[package]\nname = \"x\""), Some("x".into()));
    assert_eq!(package_name("[workspace]"), None);
}

#[test]
fn a_mark_goes_where_the_version_is() {
    let inherited = "[package]\nname = \"x\"\nversion.workspace = true\n";
    assert_eq!(with_mark(inherited, "m").unwrap(), inherited);
    let root = "[workspace.package]\nversion = \"0.1.0\"\n";
    assert_eq!(with_mark(root, "m").unwrap(), "[workspace.package]\nversion = \"0.1.0+m\"\n");
    let own = "[package]\nversion = \"1.2.3+old\"\n";
    assert_eq!(with_mark(own, "m").unwrap(), "[package]\nversion = \"1.2.3+m\"\n");
    assert!(with_mark("[", "m").is_err());
}

#[test]
fn a_package_that_is_left_out_has_no_profile() {
    let manifest = "[profile.dev]\ndebug = false\n[profile.dev.package.a]\nopt-level = 1\n\
                    [profile.dev.package.b-c]\nopt-level = 1\n";
    let without = without_profiles(manifest, &["b-c".into(), "never".into()]).unwrap();
    assert!(without.contains("package.a") && !without.contains("b-c"), "{without}");
    let plain = "[workspace]\nmembers = []\n";
    assert_eq!(without_profiles(plain, &["a".into()]).unwrap(), plain);
}

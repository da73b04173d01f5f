//! The real binaries. Cargo tells a test where its own package's are, but not another's, so that whoever wants one first
//! asks cargo to build it; unless `TINYKV_BINARIES` says that it was built a moment ago, as `cargo test --workspace` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The packages whose binaries are asked for.
const PACKAGES: [&str; 4] = ["standalone", "raftkv", "multiraft", "txn"];

/// If set, binaries without features of their own are those that lie beside this program's folder, and are not built again. For
/// whoever has just built the whole workspace: one binary by itself has other features, and takes a minute more.
const FRESH: &str = "TINYKV_BINARIES";

/// The path of the binary `name` of the package of that name, built in the profile of whoever asks.
pub fn build(name: &'static str) -> PathBuf {
    build_of(name, name)
}

/// The path of the binary `name` of another package.
pub fn build_of(package: &str, name: &'static str) -> PathBuf {
    build_with(package, name, &[])
}

/// The same for a binary that needs these features. Its name must tell that it has them: all lie in one folder.
pub fn build_with(package: &str, name: &'static str, features: &[&str]) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while cargo runs, so that it runs once.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name).or_insert_with(|| cargo_build(package, name, features)).clone()
}

fn cargo_build(package: &str, name: &str, features: &[&str]) -> PathBuf {
    if features.is_empty() && std::env::var_os(FRESH).is_some() {
        return beside(name);
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--bin", name, "--message-format", "json-render-diagnostics"]);
    // Whichever is built, all are named: so that what they share has more often the same features, and is compiled once.
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    for feature in features {
        cargo.args(["--features", &format!("{package}/{feature}")]);
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).stderr(Stdio::inherit());
    let output = cargo.output().expect("cargo runs: it has started this program");
    assert!(output.status.success(), "{name} does not build: see cargo's text above");
    let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.expect("cargo says where the binary is")
}

/// Where cargo has put the binary `name` when it built this program, which lies in `deps`.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows where it lies");
    let folder = own.ancestors().nth(2).expect("cargo builds tests and benches in PROFILE/deps");
    let path = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{FRESH} is set, and there is no {}: build the workspace first",
        path.display()
    );
    path
}

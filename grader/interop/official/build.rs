//! Finds the sources of the official client among cargo's downloads. Nothing is copied: the code
//! is compiled from where it lies, and the path to it stays in the build directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prost::Message as _;

fn main() {
    // The version is pinned there.
    println!("cargo::rerun-if-changed=../../../Cargo.toml");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let client = find_client(&out);

    let generated = client.join("src/generated/mod.rs");
    assert!(generated.exists(), "tikv-client has moved its generated code");
    let generated = generated.to_str().expect("rustc takes a path as text");
    fs::write(out.join("official.rs"), format!("#[path = {generated:?}]\npub mod generated;\n"))
        .expect("the build directory can be written to");

    let descriptors = out.join("official.bin");
    fs::write(&descriptors, compile(&client.join("proto")))
        .expect("the build directory can be written to");
    println!("cargo::metadata=descriptors={}", descriptors.display());
}

/// The directory of the tikv-client that this workspace is locked to. Cargo knows it, but has to be
/// asked by a package: a workspace of its own that depends on nothing else, since the real one may
/// depend on things that nobody has downloaded yet.
fn find_client(out: &Path) -> PathBuf {
    let asking = out.join("asking");
    fs::create_dir_all(asking.join("src")).expect("the build directory can be written to");
    for (file, content) in [
        ("src/lib.rs", ""),
        (
            "Cargo.toml",
            "[package]\nname = \"asking\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
             [dependencies]\ntikv-client = { version = \"0.4\", default-features = false }\n",
        ),
    ] {
        fs::write(asking.join(file), content).expect("the build directory can be written to");
    }
    fs::copy("../../../Cargo.lock", asking.join("Cargo.lock")).expect("cargo has written it");

    let output = Command::new(env::var_os("CARGO").expect("cargo sets it"))
        .args(["metadata", "--offline", "--format-version=1", "--filter-platform"])
        .arg(env::var_os("TARGET").expect("cargo sets it"))
        .current_dir(asking)
        .output()
        .expect("cargo can run itself");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo cannot say where tikv-client is: {said}");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "tikv-client")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("it is what was asked about");
    Path::new(manifest).parent().expect("a manifest lies in a directory").to_owned()
}

/// Compiles the `.proto` files that the client ships, those that we have a counterpart of.
fn compile(protos: &Path) -> Vec<u8> {
    let roots = [
        "deadlock.proto",
        "include/eraftpb.proto",
        "errorpb.proto",
        "keyspacepb.proto",
        "kvrpcpb.proto",
        "metapb.proto",
        "pdpb.proto",
        "raft_cmdpb.proto",
        "raft_serverpb.proto",
        "tikvpb.proto",
    ];
    let include = protos.join("include");
    protox::compile(roots.map(|root| protos.join(root)), [&include, protos])
        .expect("the official .proto files compile")
        .encode_to_vec()
}

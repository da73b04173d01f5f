//! Turns `proto/**/*.proto` into Rust. protox is a compiler for `.proto` files in pure Rust, so
//! nobody has to install `protoc`.

use std::path::{Path, PathBuf};
use std::{env, error, fs};

use prost::Message as _;

fn main() -> Result<(), Box<dyn error::Error>> {
    let root = Path::new("proto");
    // A directory counts as changed if anything in it does.
    println!("cargo::rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);

    // Comments become rustdoc and are of no use at run time.
    let mut bare = descriptors.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), bare.encode_to_vec())?;

    let mut config = prost_build::Config::new();
    // A slice of what was received, not a copy of it.
    config.bytes(["."]);
    // The order of a `HashMap` differs from run to run, and so would the encoded bytes.
    config.btree_map(["."]);
    generate(config, descriptors)?;
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(not(feature = "services"))]
fn generate(
    mut config: prost_build::Config,
    descriptors: protox::prost_reflect::prost_types::FileDescriptorSet,
) -> std::io::Result<()> {
    config.compile_fds(descriptors)
}

#[cfg(feature = "services")]
fn generate(
    config: prost_build::Config,
    descriptors: protox::prost_reflect::prost_types::FileDescriptorSet,
) -> std::io::Result<()> {
    tonic_prost_build::configure()
        // A method that a server leaves out answers UNIMPLEMENTED: project 1 serves the raw calls
        // alone.
        .generate_default_stubs(true)
        // `connect` would draw in tonic's transport; `new` takes any channel.
        .build_transport(false)
        .compile_fds_with_config(descriptors, config)
}

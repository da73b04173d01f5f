//! The message types of the official TiKV client, which keeps them to itself, made public.
//!
//! `tikv-client` talks to a cluster in types that prost and tonic generated for it from kvproto.
//! They are private. The build script finds the client's sources, which cargo has downloaded, and
//! this crate compiles the generated part of them once more, from where it lies. So what `interop`
//! compares ours with is what the client really encodes and decodes, and no line of it is here.

/// The generated code, one module a package.
#[allow(warnings, clippy::all, clippy::pedantic)]
mod official {
    include!(concat!(env!("OUT_DIR"), "/official.rs"));
}

pub use official::generated::*;
pub use {prost, tonic};

/// The `.proto` files of the client, compiled: an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/official.bin"));

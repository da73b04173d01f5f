//! Writes the two tables that have a row for each message and for each method: Rust cannot walk
//! over types at run time, but a build script can walk over descriptors.
//!
//! A row needs both sides. What the official client does not have gets none here, and a plain
//! finding in `schema`; so a mistake in a `.proto` file is a red test and not a compile error.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let ours = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("proto has checked it");
    let official = env::var_os("DEP_TIKV_CLIENT_PROTOS_DESCRIPTORS").expect("official says where");
    println!("cargo::rerun-if-changed={}", PathBuf::from(&official).display());
    let official = fs::read(official).expect("official has written it");
    let official = DescriptorPool::decode(official.as_slice()).expect("official has checked it");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("pairs.rs"), pairs(&ours, &official)).expect("OUT_DIR can be written to");
    fs::write(out.join("calls.rs"), calls(&ours, &official)).expect("OUT_DIR can be written to");
}

/// `&[Pair::of::<ours, theirs>(name), ..]`
fn pairs(ours: &DescriptorPool, official: &DescriptorPool) -> String {
    let mut table = "&[\n".to_owned();
    for message in ours.all_messages().filter(|m| !m.is_map_entry()) {
        let name = message.full_name();
        if official.get_message_by_name(name).is_some() {
            let path = rust_path(&message);
            writeln!(table, "Pair::of::<proto::{path}, official::{path}>({name:?}),").unwrap();
        }
    }
    table + "]\n"
}

/// For each service a stub of ours that answers each call with the method's name, and a function
/// that calls it with the official client and collects the answers.
fn calls(ours: &DescriptorPool, official: &DescriptorPool) -> String {
    let mut stubs = "/// Answers every call with the name of the method that was reached.\n\
         struct Stub;\n"
        .to_owned();
    let mut calls = "/// Calls every method there is, and collects the answers by method.\n\
         pub async fn call_all() -> Vec<(&'static str, Option<official::tonic::Status>)> {\n\
         let mut answers = Vec::new();\n"
        .to_owned();
    for service in ours.services() {
        let package = service.package_name();
        let (snake, camel) = (service.name().to_snake_case(), service.name().to_upper_camel_case());
        writeln!(
            stubs,
            "#[tonic::async_trait]\nimpl proto::{package}::{snake}_server::{camel} for Stub {{"
        )
        .unwrap();
        writeln!(
            calls,
            "let mut client = official::{package}::{snake}_client::{camel}Client::new(\
             Bridge(proto::{package}::{snake}_server::{camel}Server::new(Stub)));"
        )
        .unwrap();
        for method in service.methods() {
            let same = official.get_service_by_name(service.full_name()).and_then(|theirs| {
                theirs.methods().find(|theirs| signature(theirs) == signature(&method))
            });
            if same.is_some() {
                stub(&mut stubs, &method);
                call(&mut calls, &method);
            }
        }
        stubs += "}\n";
    }
    stubs + &calls + "answers\n}\n"
}

fn signature(method: &MethodDescriptor) -> (String, String, String, bool, bool) {
    (
        method.full_name().to_owned(),
        method.input().full_name().to_owned(),
        method.output().full_name().to_owned(),
        method.is_client_streaming(),
        method.is_server_streaming(),
    )
}

fn stub(code: &mut String, method: &MethodDescriptor) {
    let name = method.full_name();
    let call = method.name().to_snake_case();
    let mut input = format!("proto::{}", rust_path(&method.input()));
    let mut output = format!("proto::{}", rust_path(&method.output()));
    if method.is_client_streaming() {
        input = format!("tonic::Streaming<{input}>");
    }
    if method.is_server_streaming() {
        output = format!("tonic::codegen::BoxStream<{output}>");
    }
    writeln!(
        code,
        "async fn {call}(&self, _: tonic::Request<{input}>) \
         -> Result<tonic::Response<{output}>, tonic::Status> {{\n\
         Err(tonic::Status::aborted({name:?}))\n}}"
    )
    .unwrap();
}

fn call(code: &mut String, method: &MethodDescriptor) {
    let name = method.full_name();
    let call = method.name().to_snake_case();
    let input = format!("official::{}", rust_path(&method.input()));
    let mut argument = format!("{input}::default()");
    let mut output = format!("official::{}", rust_path(&method.output()));
    if method.is_client_streaming() {
        argument = format!("official::tonic::codegen::tokio_stream::empty::<{input}>()");
    }
    if method.is_server_streaming() {
        output = format!("official::tonic::Streaming<{output}>");
    }
    writeln!(
        code,
        "let answer: Result<official::tonic::Response<{output}>, _> = \
         client.{call}({argument}).await;\n\
         answers.push(({name:?}, answer.err()));"
    )
    .unwrap();
}

/// Where prost puts a message: packages and outer messages are modules.
fn rust_path(message: &MessageDescriptor) -> String {
    let mut path = message.name().to_upper_camel_case();
    let mut outer = message.parent_message();
    while let Some(parent) = outer {
        path = format!("{}::{path}", parent.name().to_snake_case());
        outer = parent.parent_message();
    }
    format!("{}::{path}", message.package_name())
}

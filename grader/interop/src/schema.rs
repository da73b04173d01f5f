//! Two descriptions side by side: what ours says must be what the official one says.
//!
//! Ours may say less, never something else. What it leaves out it must reserve, so that nobody
//! gives the number another meaning here.

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};

/// All that ours says otherwise than the official one, in plain words. Messages and services in
/// `only_ours` need no counterpart.
pub fn compare(
    ours: &DescriptorPool,
    official: &DescriptorPool,
    only_ours: &[&str],
) -> Vec<String> {
    let mut findings = Vec::new();
    for message in ours.all_messages().filter(|m| !m.is_map_entry()) {
        let name = message.full_name();
        match (official.get_message_by_name(name), only_ours.contains(&name)) {
            (Some(theirs), false) => compare_message(&message, &theirs, &mut findings),
            (None, false) => findings.push(format!("message {name}: the official client has none")),
            (Some(_), true) => findings
                .push(format!("message {name} is listed as only ours, but both sides have it")),
            (None, true) => {}
        }
    }
    for kind in ours.all_enums() {
        match official.get_enum_by_name(kind.full_name()) {
            Some(theirs) => compare_enum(&kind, &theirs, &mut findings),
            None => {
                findings.push(format!("enum {}: the official client has none", kind.full_name()));
            }
        }
    }
    for service in ours.services() {
        let name = service.full_name();
        match (official.get_service_by_name(name), only_ours.contains(&name)) {
            (Some(theirs), false) => compare_service(&service, &theirs, &mut findings),
            (None, false) => findings.push(format!("service {name}: the official client has none")),
            (Some(_), true) => findings
                .push(format!("service {name} is listed as only ours, but both sides have it")),
            (None, true) => {}
        }
    }
    findings
}

fn compare_message(
    ours: &MessageDescriptor,
    official: &MessageDescriptor,
    findings: &mut Vec<String>,
) {
    for field in ours.fields() {
        let same = official.get_field(field.number());
        if same.is_none_or(|theirs| outline(&field) != outline(&theirs)) {
            findings.push(both_sides(&field, official));
        }
    }
    for theirs in official.fields() {
        let number = theirs.number();
        let known = ours.get_field(number).is_some();
        if !known && !ours.reserved_ranges().any(|range| range.contains(&number)) {
            findings.push(format!(
                "message {}: ours leaves out `{}` and does not reserve its number",
                ours.full_name(),
                describe(&theirs)
            ));
        }
    }
}

fn compare_enum(ours: &EnumDescriptor, official: &EnumDescriptor, findings: &mut Vec<String>) {
    let name = ours.full_name();
    for value in ours.values() {
        let (word, number) = (value.name(), value.number());
        if official.get_value_by_name(word).is_some_and(|theirs| theirs.number() == number) {
            continue;
        }
        let by_name = match official.get_value_by_name(word) {
            Some(theirs) => format!("{word} is {}", theirs.number()),
            None => format!("there is no {word}"),
        };
        let by_number = match official.get_value(number) {
            Some(theirs) => format!("{number} is {}", theirs.name()),
            None => format!("there is no {number}"),
        };
        findings.push(format!(
            "enum {name}: ours says {word} = {number}; the official client says {by_name}, and \
             {by_number}"
        ));
    }
    for theirs in official.values() {
        let number = theirs.number();
        let known = ours.get_value(number).is_some();
        if !known && !ours.reserved_ranges().any(|range| range.contains(&number)) {
            findings.push(format!(
                "enum {name}: ours leaves out {} = {number} and does not reserve its number",
                theirs.name()
            ));
        }
    }
}

fn compare_service(
    ours: &ServiceDescriptor,
    official: &ServiceDescriptor,
    findings: &mut Vec<String>,
) {
    for method in ours.methods() {
        let theirs = official.methods().find(|theirs| theirs.name() == method.name());
        let theirs = theirs.as_ref().map_or("no such method".to_owned(), signature);
        if signature(&method) != theirs {
            findings.push(format!(
                "method {}: ours is {}, the official client's is {theirs}",
                method.full_name(),
                signature(&method)
            ));
        }
    }
}

fn signature(method: &MethodDescriptor) -> String {
    let stream = |is: bool| if is { "stream of " } else { "" };
    format!(
        "{}{} -> {}{}",
        stream(method.is_client_streaming()),
        method.input().full_name(),
        stream(method.is_server_streaming()),
        method.output().full_name()
    )
}

/// What we say about a field, and what the other side's message says about its number and its
/// name.
pub fn both_sides(ours: &FieldDescriptor, official: &MessageDescriptor) -> String {
    let by_number = match official.get_field(ours.number()) {
        Some(theirs) => format!("has `{}`", describe(&theirs)),
        None => format!("has no field {}", ours.number()),
    };
    let by_name = match official.get_field_by_name(ours.name()) {
        Some(theirs) if theirs.number() == ours.number() => String::new(),
        Some(theirs) => format!(", and its {} is number {}", ours.name(), theirs.number()),
        None => format!(", and nothing called {}", ours.name()),
    };
    format!(
        "message {}, field {}: ours has `{}`, the official client {by_number}{by_name}",
        ours.parent_message().full_name(),
        ours.number(),
        describe(ours)
    )
}

/// A field as one would write it down.
fn describe(field: &FieldDescriptor) -> String {
    let (mut words, name) = outline(field);
    words.push(format!("{name} = {}", field.number()));
    words.join(" ")
}

/// All that must be the same about a field beside its number: what it is, and its name.
fn outline(field: &FieldDescriptor) -> (Vec<String>, String) {
    let mut words = Vec::new();
    if let Some(oneof) = field.containing_oneof() {
        words.push(format!("(one of {})", oneof.name()));
    }
    let kind = match field.kind().as_message() {
        Some(entry) if field.is_map() => format!(
            "map of {:?} to {:?}",
            entry.map_entry_key_field().kind(),
            entry.map_entry_value_field().kind()
        ),
        _ => {
            match field.cardinality() {
                Cardinality::Repeated if field.is_packed() => words.push("packed".to_owned()),
                Cardinality::Repeated => words.push("repeated".to_owned()),
                Cardinality::Required => words.push("required".to_owned()),
                Cardinality::Optional => {}
            }
            format!("{:?}", field.kind())
        }
    };
    words.push(kind);
    (words, field.name().to_owned())
}

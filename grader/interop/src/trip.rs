//! There and back: messages as bytes through the type of the other side.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

use crate::fill;
use crate::pair::{Pair, Seen};
use crate::schema::both_sides;

/// How many random messages of each kind travel in each direction.
const RANDOM: u64 = 20;

/// Sends messages of one kind in both directions, and says in plain words what was amiss with each
/// field. The descriptions serve to build the messages and to word the findings.
pub fn check(pair: &Pair, ours: &MessageDescriptor, official: &MessageDescriptor) -> Vec<String> {
    let mut findings = Vec::new();
    for (field, sample) in fill::each_field(ours) {
        let compare = match field.kind() {
            // Nested messages print more fields there than here, and official types keep bytes in
            // a Vec, which prints otherwise.
            Kind::Message(_) | Kind::Bytes => Compare::Names,
            _ => Compare::Text,
        };
        if let Err(why) = outward(pair, &sample, compare) {
            findings.push(format!("{}: {why}", both_sides(&field, official)));
        }
    }
    // A field that fails alone fails in company; what follows can only add what depends on others,
    // and of that one example in each direction will do.
    if !findings.is_empty() {
        return findings;
    }
    let random = (0..RANDOM).map(|seed| fill::random(ours, seed));
    for sample in fill::everything(ours).into_iter().chain(random) {
        if let Err(why) = outward(pair, &sample, Compare::Bytes) {
            findings.push(format!("message {}: {why}\n  sent: {sample}", pair.name));
            break;
        }
    }
    let single = fill::each_field(official).into_iter().map(|(_, sample)| sample);
    let random = (0..RANDOM).map(|seed| fill::random(official, seed));
    for sample in single.chain(fill::everything(official)).chain(random) {
        if let Err(why) = inward(pair, &sample, ours) {
            findings.push(format!("message {}: {why}\n  received: {sample}", pair.name));
            break;
        }
    }
    findings
}

/// How closely to look at what the two types made of one message, beside its bytes.
#[derive(Clone, Copy, PartialEq)]
enum Compare {
    /// Not at all.
    Bytes,
    /// The same fields must have changed from what they are in an empty message.
    Names,
    /// And they must print alike: the same number, the same name of an enum value.
    Text,
}

/// We send, they decode and encode, we receive.
fn outward(pair: &Pair, sample: &DynamicMessage, compare: Compare) -> Result<(), String> {
    use prost_reflect::prost::Message as _;
    let sent = sample.encode_to_vec();
    let ours = pair.ours(&sent).map_err(|e| format!("our own type refuses it ({e})"))?;
    let official =
        pair.official(&sent).map_err(|e| format!("the official type refuses it ({e})"))?;
    if !pair.equal(&sent, &official.bytes).map_err(|e| format!("what comes back fails ({e})"))? {
        return Err(format!(
            "the official type loses or changes {}",
            lost(sample, &official.bytes)
        ));
    }
    if compare == Compare::Bytes {
        return Ok(());
    }
    let mut here = changed(&ours, &pair.ours(&[])?);
    let mut there = changed(&official, &pair.official(&[])?);
    if compare == Compare::Names {
        here.values_mut().chain(there.values_mut()).for_each(|text| *text = arm(text));
    }
    if here != there {
        return Err(format!("we understand it as {here:?}, the official type as {there:?}"));
    }
    Ok(())
}

/// The fields that are not as in an empty message.
fn changed(seen: &Seen, empty: &Seen) -> BTreeMap<String, String> {
    let mut fields = seen.fields.clone();
    fields.retain(|name, text| empty.fields.get(name) != Some(text));
    fields
}

/// Of a printed oneof, which arm it is. Of anything else, nothing.
fn arm(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    match (lines.next(), lines.next()) {
        (Some("Some("), Some(arm)) if arm.ends_with('(') => arm.to_owned(),
        _ => String::new(),
    }
}

/// Which fields are not what was sent.
fn lost(sample: &DynamicMessage, back: &[u8]) -> String {
    let Ok(back) = DynamicMessage::decode(sample.descriptor(), back) else {
        return "so much that it cannot be read any more".to_owned();
    };
    let descriptor = sample.descriptor();
    let fields = descriptor.fields().filter(|f| sample.get_field(f) != back.get_field(f));
    let fields: Vec<_> = fields.map(|f| format!("{} = {}", f.name(), f.number())).collect();
    fields.join(", ")
}

/// They send, we decode and encode, they receive: the same, but for what we leave out.
fn inward(pair: &Pair, sample: &DynamicMessage, ours: &MessageDescriptor) -> Result<(), String> {
    use prost_reflect::prost::Message as _;
    let descriptor = sample.descriptor();
    let sent = pair
        .official(&sample.encode_to_vec())
        .map_err(|e| format!("the official type does not fit the official .proto file ({e})"))?
        .bytes;
    let back = pair.ours(&sent).map_err(|e| format!("our type refuses it ({e})"))?.bytes;
    let back = DynamicMessage::decode(descriptor.clone(), back.as_slice())
        .map_err(|e| format!("what we send back fails ({e})"))?;
    let mut expected = DynamicMessage::decode(descriptor, sent.as_slice())
        .map_err(|e| format!("the official type does not fit the official .proto file ({e})"))?;
    leave_out(&mut expected, ours);
    if back != expected {
        return Err(format!("our type loses or changes something; it sends back {back}"));
    }
    Ok(())
}

/// Clears the fields that we do not have.
fn leave_out(message: &mut DynamicMessage, ours: &MessageDescriptor) {
    let known: Vec<_> = message.descriptor().fields().collect();
    for field in known {
        let Some(our_field) = ours.get_field(field.number()) else {
            message.clear_field(&field);
            continue;
        };
        let Kind::Message(inner) = our_field.kind() else { continue };
        if !message.has_field(&field) {
            continue;
        }
        match message.get_field_mut(&field) {
            Value::Message(value) => leave_out(value, &inner),
            Value::List(values) => {
                for value in values {
                    if let Value::Message(value) = value {
                        leave_out(value, &inner);
                    }
                }
            }
            // The only map here is one of texts.
            _ => {}
        }
    }
}

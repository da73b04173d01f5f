//! One message as two Rust types, ours and the official client's, and the table of all of them.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// One message in two types. Bytes are all that passes between them.
pub struct Pair {
    /// The message's full name, such as `kvrpcpb.GetRequest`.
    pub name: &'static str,
    ours: fn(&[u8]) -> Result<Seen, String>,
    official: fn(&[u8]) -> Result<Seen, String>,
    equal: fn(&[u8], &[u8]) -> Result<bool, String>,
}

/// What a type made of some bytes.
pub struct Seen {
    /// The message, encoded again.
    pub bytes: Vec<u8>,
    /// What each field looks like when it is printed, by Rust name. The arms of a oneof share one.
    pub fields: BTreeMap<String, String>,
}

/// Every message that both sides have.
pub static PAIRS: &[Pair] = include!(concat!(env!("OUT_DIR"), "/pairs.rs"));

impl Pair {
    /// Declares that `O`, a type of ours, and `T`, one of theirs, are the message `name`.
    pub const fn of<O, T>(name: &'static str) -> Pair
    where
        O: prost::Message + Default + PartialEq + Debug,
        T: official::prost::Message + Default + Debug,
    {
        Pair { name, ours: ours::<O>, official: official::<T>, equal: equal::<O> }
    }

    /// Decodes with our type.
    ///
    /// # Errors
    /// The bytes are no such message to us; the decoder's own words.
    pub fn ours(&self, bytes: &[u8]) -> Result<Seen, String> {
        (self.ours)(bytes)
    }

    /// Decodes with the official type.
    ///
    /// # Errors
    /// The bytes are no such message to them; the decoder's own words.
    pub fn official(&self, bytes: &[u8]) -> Result<Seen, String> {
        (self.official)(bytes)
    }

    /// Are both the same message to our type?
    ///
    /// # Errors
    /// One of them is none at all.
    pub fn equal(&self, a: &[u8], b: &[u8]) -> Result<bool, String> {
        (self.equal)(a, b)
    }
}

fn ours<M: prost::Message + Default + Debug>(bytes: &[u8]) -> Result<Seen, String> {
    let message = M::decode(bytes).map_err(|e| e.to_string())?;
    Ok(Seen { bytes: message.encode_to_vec(), fields: fields(&message) })
}

fn official<M: official::prost::Message + Default + Debug>(bytes: &[u8]) -> Result<Seen, String> {
    let message = M::decode(bytes).map_err(|e| e.to_string())?;
    Ok(Seen { bytes: message.encode_to_vec(), fields: fields(&message) })
}

fn equal<M: prost::Message + Default + PartialEq>(a: &[u8], b: &[u8]) -> Result<bool, String> {
    let a = M::decode(a).map_err(|e| e.to_string())?;
    let b = M::decode(b).map_err(|e| e.to_string())?;
    Ok(a == b)
}

/// Takes the pretty `Debug` form of a struct apart: a line that is indented once opens a field,
/// deeper ones belong to it.
fn fields(message: &impl Debug) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut open: Option<String> = None;
    for line in format!("{message:#?}").lines() {
        match line.strip_prefix("    ") {
            Some(inner) if !inner.starts_with([' ', '}', ']', ')']) => {
                let (name, value) = inner.split_once(": ").unwrap_or((inner, ""));
                let name = name.trim_start_matches("r#").to_owned();
                fields.insert(name.clone(), value.to_owned());
                open = Some(name);
            }
            Some(inner) => {
                if let Some(value) = open.as_ref().and_then(|name| fields.get_mut(name)) {
                    value.push('\n');
                    value.push_str(inner);
                }
            }
            None => {}
        }
    }
    fields
}

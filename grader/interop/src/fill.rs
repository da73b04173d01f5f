//! Messages to try: each field alone, everything at once, and seeded random ones.
//!
//! Built from a description and not from types, so that no field can be forgotten. The values are
//! chosen to show a difference of type: numbers that need all their bits, negative ones where the
//! sign counts, bytes that are no text, and each value used once, so that a swap shows.

use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

/// Nothing in kvproto is nested as deep as this. Below it, random messages stay empty.
const DEEPEST: u32 = 12;

/// One message for each field, with nothing but that field set; for an enum, one for each value
/// (but 0, which is not sent) and one for a value that nobody knows yet.
pub fn each_field(message: &MessageDescriptor) -> Vec<(FieldDescriptor, DynamicMessage)> {
    let mut samples = Vec::new();
    for field in message.fields() {
        for variant in 0..variants(&field) {
            let mut filler = Filler::new(variant);
            let mut sample = DynamicMessage::new(message.clone());
            sample.set_field(&field, filler.field(&field, 0));
            samples.push((field.clone(), sample));
        }
        if let (Kind::Enum(_), false) = (field.kind(), field.is_list()) {
            let mut sample = DynamicMessage::new(message.clone());
            sample.set_field(&field, Value::EnumNumber(77_777));
            samples.push((field.clone(), sample));
        }
    }
    samples
}

/// Messages with every field set, as many as it takes for every enum value and every arm of a
/// oneof to have its turn.
pub fn everything(message: &MessageDescriptor) -> Vec<DynamicMessage> {
    let fields = message.fields().map(|field| variants(&field));
    let arms = message.oneofs().map(|oneof| oneof.fields().count());
    let turns = fields.chain(arms).max().unwrap_or(1);
    (0..turns).map(|turn| Filler::new(turn).message(message, 0)).collect()
}

/// A message with some fields set, the same for the same seed.
pub fn random(message: &MessageDescriptor, seed: u64) -> DynamicMessage {
    Random(seed).message(message, 0)
}

fn variants(field: &FieldDescriptor) -> usize {
    match field.kind() {
        Kind::Enum(kind) => kind.values().len(),
        _ => 1,
    }
}

/// Sets everything, each time to another value.
struct Filler {
    /// Which enum values and which arms of oneofs it is the turn of.
    turn: usize,
    count: u64,
}

impl Filler {
    fn new(turn: usize) -> Filler {
        Filler { turn, count: 0 }
    }

    fn message(&mut self, message: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut filled = DynamicMessage::new(message.clone());
        if depth == DEEPEST {
            return filled;
        }
        for field in message.fields() {
            let its_turn = field.containing_oneof().is_none_or(|oneof| {
                let arms = oneof.fields().count();
                oneof.fields().position(|arm| arm == field) == Some(self.turn % arms)
            });
            if its_turn {
                filled.set_field(&field, self.field(&field, depth));
            }
        }
        filled
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        if let Kind::Message(entry) = field.kind()
            && field.is_map()
        {
            let pairs = (0..2).map(|_| {
                let key = map_key(self.value(&entry.map_entry_key_field().kind(), depth));
                (key, self.value(&entry.map_entry_value_field().kind(), depth))
            });
            return Value::Map(pairs.collect());
        }
        if let (Kind::Enum(kind), true) = (field.kind(), field.is_list()) {
            return Value::List(numbers(&kind).map(Value::EnumNumber).collect());
        }
        if field.is_list() {
            return Value::List((0..2).map(|_| self.value(&field.kind(), depth)).collect());
        }
        self.value(&field.kind(), depth)
    }

    fn value(&mut self, kind: &Kind, depth: u32) -> Value {
        self.count += 1;
        let n = self.count;
        let small = u32::try_from(n % 1000).expect("below 1000");
        let signed = i32::try_from(small).expect("below 1000");
        match kind {
            Kind::Double => Value::F64(f64::from(small) + 0.5),
            Kind::Float => Value::F32(0.5),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::MIN + signed),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(i64::MIN + i64::from(signed)),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::MAX - small),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::MAX - n),
            Kind::Bool => Value::Bool(true),
            Kind::String => Value::String(format!("text {n} \u{e9}\u{1f980}")),
            // 0xff is in no text.
            Kind::Bytes => Value::Bytes(
                format!("bytes {n}").into_bytes().into_iter().chain([0, 0xff]).collect(),
            ),
            Kind::Message(message) => Value::Message(self.message(message, depth + 1)),
            Kind::Enum(kind) => {
                let turn = self.turn % kind.values().len();
                Value::EnumNumber(numbers(kind).nth(turn).expect("within the values"))
            }
        }
    }
}

/// Sets what chance says (`SplitMix64`, which needs no other state than its seed).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> usize {
        usize::try_from(self.next() % end).expect("ends are small")
    }

    /// Mostly edges, for that is where encodings differ.
    fn number(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << self.below(64),
            _ => self.next(),
        }
    }

    fn message(&mut self, message: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut filled = DynamicMessage::new(message.clone());
        if depth == DEEPEST {
            return filled;
        }
        // A later arm of a oneof takes the place of an earlier one.
        for field in message.fields() {
            if self.below(8) < 5 {
                filled.set_field(&field, self.field(&field, depth));
            }
        }
        filled
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        let many = self.below(4);
        if let Kind::Message(entry) = field.kind()
            && field.is_map()
        {
            let pairs = (0..many).map(|_| {
                let key = map_key(self.value(&entry.map_entry_key_field().kind(), depth));
                (key, self.value(&entry.map_entry_value_field().kind(), depth))
            });
            return Value::Map(pairs.collect());
        }
        if field.is_list() {
            return Value::List((0..many).map(|_| self.value(&field.kind(), depth)).collect());
        }
        self.value(&field.kind(), depth)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // any bits will do
    fn value(&mut self, kind: &Kind, depth: u32) -> Value {
        match kind {
            // No NaN: it is not equal to itself.
            Kind::Double => Value::F64(f64::from(self.next() as u32) / 8.0),
            Kind::Float => Value::F32(f32::from(self.next() as u16) / 8.0),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::String => Value::String("\u{e9}".repeat(self.below(20))),
            Kind::Bytes => {
                let bytes: Vec<u8> = (0..self.below(200)).map(|_| self.next() as u8).collect();
                Value::Bytes(bytes.into())
            }
            Kind::Message(message) => Value::Message(self.message(message, depth + 1)),
            Kind::Enum(kind) => {
                let which = self.below(kind.values().len() as u64);
                Value::EnumNumber(numbers(kind).nth(which).expect("within the values"))
            }
        }
    }
}

fn numbers(kind: &EnumDescriptor) -> impl Iterator<Item = i32> {
    let numbers: Vec<i32> = kind.values().map(|value| value.number()).collect();
    numbers.into_iter()
}

fn map_key(value: Value) -> MapKey {
    value.into_map_key().expect("protobuf allows nothing else as a key")
}

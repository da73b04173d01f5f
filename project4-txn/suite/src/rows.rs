//! What lies in the three column families, in TiKV's bytes, and how it is shown to people.
//!
//! A row is shown as `a: Put lock 10, primary a, ttl 3000, value "v"`, as `a@12: Put of 10, value "v"`, or as
//! `a of 10: 300 bytes`.

use sim::failure::show;

use crate::protocol::{Cf, Change};

/// A transaction's timestamp.
pub type Ts = u64;

/// The memcomparable encoding of a key: groups of eight bytes, each with a marker.
pub fn encode(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = key;
    loop {
        let real = rest.len().min(8);
        out.extend_from_slice(&rest[..real]);
        out.resize(out.len() + 8 - real, 0);
        if real == 8 {
            out.push(255);
            rest = &rest[8..];
        } else {
            out.push(247 + u8::try_from(real).unwrap_or_default());
            return out;
        }
    }
}

fn decode(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut key = Vec::new();
    loop {
        let (group, rest) = bytes.split_at_checked(9)?;
        let real = usize::from(group[8].checked_sub(247)?);
        key.extend_from_slice(&group[..real]);
        bytes = rest;
        if real < 8 {
            return Some((key, bytes));
        }
    }
}

/// The engine key of a key's lock.
pub fn lock_key(key: &[u8]) -> Vec<u8> {
    [b"x", &encode(key)[..]].concat()
}

/// The engine key of a version.
pub fn version_key(key: &[u8], ts: Ts) -> Vec<u8> {
    [&lock_key(key)[..], &(u64::MAX - ts).to_be_bytes()].concat()
}

/// A lock or a record: what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value.
    Put,
    /// A deletion.
    Delete,
    /// No change.
    Lock,
    /// A record: rolled back.
    Rollback,
    /// A lock: not decided yet.
    Pessimistic,
}

const LETTERS: [(Kind, u8); 5] = [
    (Kind::Put, b'P'),
    (Kind::Delete, b'D'),
    (Kind::Lock, b'L'),
    (Kind::Rollback, b'R'),
    (Kind::Pessimistic, b'S'),
];

fn letter(kind: Kind) -> u8 {
    LETTERS.iter().find(|(k, _)| *k == kind).map_or(0, |(_, letter)| *letter)
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// What it becomes.
    pub kind: Kind,
    /// The primary.
    pub primary: Vec<u8>,
    /// The owner.
    pub start: Ts,
    /// Milliseconds.
    pub ttl: u64,
    /// A short value.
    pub value: Option<Vec<u8>>,
    /// When it was taken, in a pessimistic transaction.
    pub for_update: Ts,
    /// How many keys its transaction has.
    pub txn_size: u64,
    /// A promise to readers.
    pub min_commit: Ts,
    /// Async commit: the other keys.
    pub secondaries: Option<Vec<Vec<u8>>>,
    /// Rollbacks of others that it knows of.
    pub rollbacks: Vec<Ts>,
}

impl Lock {
    /// A lock of an ordinary transaction.
    pub fn new(kind: Kind, primary: &[u8], start: Ts, ttl: u64) -> Self {
        Lock {
            kind,
            primary: primary.to_vec(),
            start,
            ttl,
            value: None,
            for_update: 0,
            txn_size: 0,
            min_commit: 0,
            secondaries: None,
            rollbacks: Vec::new(),
        }
    }

    /// A lock that will become this short value.
    pub fn put(primary: &[u8], start: Ts, ttl: u64, value: &[u8]) -> Self {
        Lock { value: Some(value.to_vec()), ..Lock::new(Kind::Put, primary, start, ttl) }
    }

    /// TiKV's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![letter(self.kind)];
        bytes_into(&mut out, &self.primary);
        varint(&mut out, self.start);
        varint(&mut out, self.ttl);
        short_into(&mut out, self.value.as_ref());
        for (letter, number) in
            [(b'f', self.for_update), (b't', self.txn_size), (b'c', self.min_commit)]
        {
            if number != 0 {
                out.push(letter);
                out.extend(number.to_be_bytes());
            }
        }
        if let Some(keys) = &self.secondaries {
            out.push(b'a');
            varint(&mut out, keys.len() as u64);
            for key in keys {
                bytes_into(&mut out, key);
            }
        }
        if !self.rollbacks.is_empty() {
            out.push(b'r');
            varint(&mut out, self.rollbacks.len() as u64);
            for ts in &self.rollbacks {
                out.extend(ts.to_be_bytes());
            }
        }
        out
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let kind = input.kind()?;
        let primary = input.bytes()?.to_vec();
        let (start, ttl) = (input.varint()?, input.varint()?);
        let mut lock = Lock::new(kind, &primary, start, ttl);
        while let Some(letter) = input.byte() {
            match letter {
                b'v' => lock.value = Some(input.short()?),
                b'f' => lock.for_update = input.fixed()?,
                b't' => lock.txn_size = input.fixed()?,
                b'c' => lock.min_commit = input.fixed()?,
                b'a' => {
                    let count = input.varint()?;
                    lock.secondaries = Some(
                        (0..count).map(|_| Some(input.bytes()?.to_vec())).collect::<Option<_>>()?,
                    );
                }
                b'r' => {
                    let count = input.varint()?;
                    lock.rollbacks = (0..count).map(|_| input.fixed()).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        Some(lock)
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What happened.
    pub kind: Kind,
    /// The transaction.
    pub start: Ts,
    /// A short value.
    pub value: Option<Vec<u8>>,
    /// Somebody else was rolled back at this record's timestamp.
    pub overlapped: bool,
}

impl Write {
    /// A record without a value.
    pub fn new(kind: Kind, start: Ts) -> Self {
        Write { kind, start, value: None, overlapped: false }
    }

    /// A committed short value.
    pub fn put(start: Ts, value: &[u8]) -> Self {
        Write { value: Some(value.to_vec()), ..Write::new(Kind::Put, start) }
    }

    /// TiKV's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![letter(self.kind)];
        varint(&mut out, self.start);
        short_into(&mut out, self.value.as_ref());
        if self.overlapped {
            out.push(b'R');
        }
        out
    }

    /// A record of these bytes, if they are one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let mut write = Write::new(input.kind()?, input.varint()?);
        while let Some(letter) = input.byte() {
            match letter {
                b'v' => write.value = Some(input.short()?),
                b'R' => write.overlapped = true,
                _ => return None,
            }
        }
        Some(write)
    }
}

/// A row of the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// In `lock`.
    Lock(Vec<u8>, Lock),
    /// In `write`, at a commit timestamp.
    Write(Vec<u8>, Ts, Write),
    /// In `default`, under the transaction's start.
    Value(Vec<u8>, Ts, Vec<u8>),
    /// Anything else.
    Strange(Cf, Vec<u8>, Vec<u8>),
}

impl Row {
    /// The row of these bytes.
    pub fn parse(cf: Cf, key: &[u8], value: &[u8]) -> Self {
        Self::try_parse(cf, key, value)
            .unwrap_or_else(|| Row::Strange(cf, key.to_vec(), value.to_vec()))
    }

    fn try_parse(cf: Cf, engine_key: &[u8], value: &[u8]) -> Option<Self> {
        let (key, rest) = decode(engine_key.strip_prefix(b"x")?)?;
        let ts = || Some(u64::MAX - u64::from_be_bytes(rest.try_into().ok()?));
        Some(match cf {
            Cf::Lock if rest.is_empty() => Row::Lock(key, Lock::parse(value)?),
            Cf::Lock => return None,
            Cf::Write => Row::Write(key, ts()?, Write::parse(value)?),
            Cf::Default => Row::Value(key, ts()?, value.to_vec()),
        })
    }

    /// The change that puts it into the storage.
    pub fn change(&self) -> Change {
        match self {
            Row::Lock(key, lock) => Change::Put(Cf::Lock, lock_key(key), lock.bytes()),
            Row::Write(key, ts, write) => {
                Change::Put(Cf::Write, version_key(key, *ts), write.bytes())
            }
            Row::Value(key, ts, value) => {
                Change::Put(Cf::Default, version_key(key, *ts), value.clone())
            }
            Row::Strange(cf, key, value) => Change::Put(*cf, key.clone(), value.clone()),
        }
    }

    /// For people.
    pub fn show(&self) -> String {
        match self {
            Row::Lock(key, lock) => format!("{}: {}", text(key), show_lock(lock)),
            Row::Write(key, ts, write) => format!("{}@{ts}: {}", text(key), show_write(write)),
            Row::Value(key, ts, value) => format!("{} of {ts}: {}", text(key), show_bytes(value)),
            Row::Strange(cf, key, value) => {
                format!("no row of a transaction in {cf:?}: {} = {}", show(key), show(value))
            }
        }
    }
}

/// A lock for people.
pub fn show_lock(lock: &Lock) -> String {
    let mut out =
        vec![format!("{:?} lock of {}, primary {}", lock.kind, lock.start, text(&lock.primary))];
    out.push(format!("ttl {}", lock.ttl));
    out.extend(lock.value.iter().map(|value| format!("value {}", show_bytes(value))));
    for (name, number) in [("for_update", lock.for_update), ("min_commit", lock.min_commit)] {
        if number != 0 {
            out.push(format!("{name} {number}"));
        }
    }
    if let Some(keys) = &lock.secondaries {
        let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
        out.push(format!("async commit with [{}]", keys.join(" ")));
    }
    if !lock.rollbacks.is_empty() {
        out.push(format!("knows of rollbacks {:?}", lock.rollbacks));
    }
    out.join(", ")
}

/// A record for people.
pub fn show_write(write: &Write) -> String {
    let mut out = vec![format!("{:?} of {}", write.kind, write.start)];
    if let Some(value) = write.value.as_ref().filter(|_| write.kind != Kind::Rollback) {
        out.push(format!("value {}", show_bytes(value)));
    }
    if write.overlapped {
        out.push("and a rollback".into());
    }
    out.join(", ")
}

/// Rows for people.
pub fn show_rows(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "nothing".into();
    }
    rows.iter().map(Row::show).collect::<Vec<_>>().join(" | ")
}

/// Rows as they compare: the mark of a protected rollback says nothing to a reader, so that it does not count.
pub fn without_marks(rows: &[Row]) -> Vec<Row> {
    let unmarked = |row: &Row| match row {
        Row::Write(key, ts, write) if write.kind == Kind::Rollback => {
            Row::Write(key.clone(), *ts, Write { value: None, ..write.clone() })
        }
        row => row.clone(),
    };
    rows.iter().map(unmarked).collect()
}

/// A key for people.
pub fn text(key: &[u8]) -> String {
    if key.is_empty() { "\"\"".into() } else { key.escape_ascii().to_string() }
}

fn show_bytes(value: &[u8]) -> String {
    if value.len() > 40 { format!("{} bytes", value.len()) } else { show(value) }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 127).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 128);
    }
}

fn bytes_into(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, 2 * bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn short_into(out: &mut Vec<u8>, value: Option<&Vec<u8>>) {
    if let Some(value) = value {
        out.extend([b'v', u8::try_from(value.len()).unwrap_or_default()]);
        out.extend_from_slice(value);
    }
}

struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn kind(&mut self) -> Option<Kind> {
        let letter = self.byte()?;
        LETTERS.iter().find(|(_, l)| *l == letter).map(|(kind, _)| *kind)
    }

    fn varint(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 127).checked_shl(shift)?;
            shift += 7;
            if byte < 128 {
                return Some(number);
            }
        }
    }

    fn fixed(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.varint()? / 2).ok()?;
        self.take(len)
    }

    fn short(&mut self) -> Option<Vec<u8>> {
        let len = usize::from(self.byte()?);
        Some(self.take(len)?.to_vec())
    }
}

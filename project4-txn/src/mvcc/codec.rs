//! Numbers and byte strings as TiKV writes them into records.

use crate::{Error, Result};

/// Appends a number in groups of seven bits, the low ones first; the high bit says that more follow.
pub fn put_var(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a length, then the bytes. The length is signed in TiKV, and so twice as large on disk.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_var(out, (bytes.len() as u64) << 1);
    out.extend_from_slice(bytes);
}

/// Takes things off the front of a record.
pub struct Parser<'b>(pub &'b [u8]);

impl<'b> Parser<'b> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        if self.0.len() < len {
            return Err(Error::corrupt("a record of a transaction is cut short"));
        }
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(head)
    }

    pub fn var(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::corrupt("a number in a record of a transaction is too long"))
    }

    pub fn fixed(&mut self) -> Result<u64> {
        let bytes = self.take(8)?.try_into().expect("eight bytes were taken");
        Ok(u64::from_be_bytes(bytes))
    }

    pub fn bytes(&mut self) -> Result<&'b [u8]> {
        let len = usize::try_from(self.var()? >> 1).unwrap_or(usize::MAX);
        self.take(len)
    }
}

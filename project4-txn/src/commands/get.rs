//! Reading keys at a timestamp.

use proto::kvrpcpb::{BatchGetResponse, GetResponse, KvPair};

use super::errors;
use crate::Result;
use crate::mvcc::{MvccReader, Reading};

/// What `key` holds at the reading's timestamp.
///
/// You will need [`MvccReader::load_lock`], [`Lock::blocks`](crate::mvcc::Lock::blocks), `errors::locked` and
/// [`MvccReader::get_value`]. A lock whose owner may commit within your snapshot hides what you are looking
/// for. An absent key is `not_found`; an empty value is not absent.
///
/// # Errors
/// `locked`: somebody may be about to commit a version that this read must see.
pub fn get(reader: &MvccReader, key: &[u8], reading: &Reading) -> Result<GetResponse> {
    // BEGIN SOLUTION 4B.get
    if let Some(lock) = reader.load_lock(key)?
        && lock.blocks(reading)
    {
        return Err(errors::locked(key, &lock).into());
    }
    let value = reader.get_value(key, reading.ts)?;
    Ok(GetResponse {
        not_found: value.is_none(),
        value: value.unwrap_or_default().into(),
        ..Default::default()
    })
    // END SOLUTION
}

/// What each of `keys` holds. Absent ones are left out; a locked one is a pair with an error, and the others
/// are answered all the same.
///
/// # Errors
/// Those of the storage.
pub fn batch_get(
    reader: &MvccReader,
    keys: impl IntoIterator<Item = impl AsRef<[u8]>>,
    reading: &Reading,
) -> Result<BatchGetResponse> {
    let mut response = BatchGetResponse::default();
    for key in keys {
        let key = key.as_ref();
        let pair = match get(reader, key, reading) {
            Ok(got) if got.not_found => continue,
            Ok(got) => KvPair { key: key.to_vec().into(), value: got.value, error: None },
            Err(crate::Error::Key(error)) => {
                KvPair { key: key.to_vec().into(), error: Some(*error), ..Default::default() }
            }
            Err(error) => return Err(error),
        };
        response.pairs.push(pair);
    }
    Ok(response)
}

//! Compare and swap: set a key if it still has the value that the client saw.
//!
//! The one raw call that reads and then writes what follows from it. Two things may come between: another
//! handler of this store, which the latch keeps out, and another leader, which the reader's term keeps
//! out (see [`storage`](crate::storage)).
//!
//! A client that lost the answer sends the request again, and the second one then finds its own swap:
//! it reports "not swapped" for a swap that happened. The `previous_value` in the answer, equal to the new
//! value, is how a caller can tell.

use proto::kvrpcpb::{RawCasRequest, RawCasResponse};

use super::{RawApi, check_key, context};
use crate::engine::parse_cf;
use crate::storage::StorageReader;
use crate::{Modify, Result, Storage, keys};

impl<S: Storage> RawApi<S> {
    /// Sets the key to `value` if its present state is the expected one: absent if
    /// `previous_not_exist`, else equal to `previous_value`. The answer's `previous_*` describe what was
    /// found, whether or not it was swapped.
    ///
    /// # Errors
    /// As [`RawApi::raw_put`].
    pub async fn raw_compare_and_swap(&self, request: RawCasRequest) -> Result<RawCasResponse> {
        let cf = parse_cf(&request.cf)?;
        check_key(&request.key)?;
        let new = self.stored_value(&request.value, request.ttl)?;
        let mut context = context(request.context.as_ref());

        let _latch = self.latch_for_cas(true, cf, [&request.key[..]]).await;
        let reader = self.storage.reader(&context).await?;
        let found = self.read_live(&reader, cf, &request.key)?.map(|(value, _)| value);
        let as_expected = match &found {
            None => request.previous_not_exist,
            Some(value) => !request.previous_not_exist && *value == request.previous_value,
        };
        if as_expected {
            // What we write follows from what we read: it must not be accepted by a later leader.
            context.term = reader.term();
            let put = Modify::Put { cf, key: keys::raw_key(&request.key), value: new };
            self.storage.write(&context, vec![put]).await?;
        }
        Ok(RawCasResponse {
            succeed: as_expected,
            previous_not_exist: found.is_none(),
            previous_value: found.unwrap_or_default().into(),
            ..Default::default()
        })
    }
}

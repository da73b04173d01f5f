//! One key: get, put, delete, and how long it still lives.

use proto::kvrpcpb::{
    RawDeleteRequest, RawDeleteResponse, RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest,
    RawGetResponse, RawPutRequest, RawPutResponse,
};

use super::{RawApi, check_key, context};
use crate::engine::parse_cf;
use crate::{Modify, Result, Storage, keys};

impl<S: Storage> RawApi<S> {
    /// The value of a key, or `not_found`.
    ///
    /// You will need `parse_cf`, `check_key`, a reader of the storage, and `read_live`, which also
    /// knows about expiry. `not_found` tells an absent key from an empty value.
    ///
    /// # Errors
    /// An unknown column family or an over-long key: `error`; a wrong region: `region_error`.
    pub async fn raw_get(&self, request: RawGetRequest) -> Result<RawGetResponse> {
        // BEGIN SOLUTION 1.raw_get
        let cf = parse_cf(&request.cf)?;
        check_key(&request.key)?;
        let reader = self.storage.reader(&context(request.context.as_ref())).await?;
        let found = self.read_live(&reader, cf, &request.key)?;
        Ok(RawGetResponse {
            not_found: found.is_none(),
            value: found.map(|(value, _)| value.into()).unwrap_or_default(),
            ..Default::default()
        })
        // END SOLUTION
    }

    /// Sets a key, for `ttl` seconds or (0) for ever.
    ///
    /// You will need `stored_value`, which checks the value's length and adds its expiry, and
    /// `keys::raw_key`. Hold the guard of `latch_for_cas` until the write is done: `for_cas` means that
    /// this put must not fall between the read and the write of a compare-and-swap.
    ///
    /// # Errors
    /// An unknown column family, an over-long key or value: `error`, and nothing is written; a wrong
    /// region: `region_error`.
    pub async fn raw_put(&self, request: RawPutRequest) -> Result<RawPutResponse> {
        // BEGIN SOLUTION 1.raw_put
        let cf = parse_cf(&request.cf)?;
        check_key(&request.key)?;
        let value = self.stored_value(&request.value, request.ttl)?;
        let _latch = self.latch_for_cas(request.for_cas, cf, [&request.key[..]]).await;
        let put = Modify::Put { cf, key: keys::raw_key(&request.key), value };
        self.storage.write(&context(request.context.as_ref()), vec![put]).await?;
        Ok(RawPutResponse::default())
        // END SOLUTION
    }

    /// Removes a key; one that is absent is removed already.
    ///
    /// You will need the same steps as for a put.
    ///
    /// # Errors
    /// As [`RawApi::raw_put`].
    pub async fn raw_delete(&self, request: RawDeleteRequest) -> Result<RawDeleteResponse> {
        // BEGIN SOLUTION 1.raw_delete
        let cf = parse_cf(&request.cf)?;
        check_key(&request.key)?;
        let _latch = self.latch_for_cas(request.for_cas, cf, [&request.key[..]]).await;
        let delete = Modify::Delete { cf, key: keys::raw_key(&request.key) };
        self.storage.write(&context(request.context.as_ref()), vec![delete]).await?;
        Ok(RawDeleteResponse::default())
        // END SOLUTION
    }

    /// How many seconds a key still lives: 0 means that it never expires.
    ///
    /// # Errors
    /// As [`RawApi::raw_get`].
    pub async fn raw_get_key_ttl(
        &self,
        request: RawGetKeyTtlRequest,
    ) -> Result<RawGetKeyTtlResponse> {
        let cf = parse_cf(&request.cf)?;
        check_key(&request.key)?;
        let reader = self.storage.reader(&context(request.context.as_ref())).await?;
        let expires_at = self.read_live(&reader, cf, &request.key)?.map(|(_, at)| at);
        Ok(RawGetKeyTtlResponse {
            not_found: expires_at.is_none(),
            ttl: match expires_at {
                None | Some(0) => 0,
                // At least 1, even if the clock moved on since the value was read: 0 means for ever.
                Some(at) => at.saturating_sub(self.clock.now()).max(1),
            },
            ..Default::default()
        })
    }
}

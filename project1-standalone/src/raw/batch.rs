//! Several keys at once: each call is one reader, or one atomic batch.

use proto::kvrpcpb::{
    KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse,
};

use super::scan::{check_answer, pair_len};
use super::{RawApi, check_key, context};
use crate::engine::parse_cf;
use crate::{Error, Modify, Result, Storage, keys};

impl<S: Storage> RawApi<S> {
    /// The pairs of those keys that are present, in the order of the request; absent ones are left out.
    ///
    /// # Errors
    /// A bad request: the `error` of a first and only pair; a wrong region: `region_error`.
    pub async fn raw_batch_get(&self, request: RawBatchGetRequest) -> Result<RawBatchGetResponse> {
        let cf = parse_cf(&request.cf)?;
        request.keys.iter().try_for_each(|key| check_key(key))?;
        let reader = self.storage.reader(&context(request.context.as_ref())).await?;
        let (mut response, mut bytes) = (RawBatchGetResponse::default(), 0);
        for key in request.keys {
            let Some((value, _)) = self.read_live(&reader, cf, &key)? else { continue };
            let pair = KvPair { key, value: value.into(), ..Default::default() };
            bytes += pair_len(&pair);
            check_answer(bytes)?;
            response.pairs.push(pair);
        }
        Ok(response)
    }

    /// Sets all pairs, or none. `ttls` is empty (then `ttl` holds for all), or has one for each pair.
    ///
    /// # Errors
    /// As [`RawApi::raw_put`], and when there is another number of `ttls` than of pairs.
    #[expect(deprecated, reason = "older clients still send one ttl for all pairs")]
    pub async fn raw_batch_put(&self, request: RawBatchPutRequest) -> Result<RawBatchPutResponse> {
        let cf = parse_cf(&request.cf)?;
        let ttls = match (request.ttls.len(), request.pairs.len()) {
            (0, pairs) => vec![request.ttl; pairs],
            (1, pairs) => vec![request.ttls[0]; pairs],
            (ttls, pairs) if ttls == pairs => request.ttls,
            (ttls, pairs) => {
                return Err(Error::Refused(format!(
                    "{ttls} ttls for {pairs} pairs: send none, one, or one for each pair"
                )));
            }
        };
        let mut batch = Vec::with_capacity(request.pairs.len());
        for (pair, ttl) in request.pairs.iter().zip(ttls) {
            check_key(&pair.key)?;
            let value = self.stored_value(&pair.value, ttl)?;
            batch.push(Modify::Put { cf, key: keys::raw_key(&pair.key), value });
        }
        let touched = request.pairs.iter().map(|pair| &pair.key[..]);
        let _latch = self.latch_for_cas(request.for_cas, cf, touched).await;
        self.storage.write(&context(request.context.as_ref()), batch).await?;
        Ok(RawBatchPutResponse::default())
    }

    /// Removes all keys, or none.
    ///
    /// # Errors
    /// As [`RawApi::raw_delete`].
    pub async fn raw_batch_delete(
        &self,
        request: RawBatchDeleteRequest,
    ) -> Result<RawBatchDeleteResponse> {
        let cf = parse_cf(&request.cf)?;
        let mut batch = Vec::with_capacity(request.keys.len());
        for key in &request.keys {
            check_key(key)?;
            batch.push(Modify::Delete { cf, key: keys::raw_key(key) });
        }
        let touched = request.keys.iter().map(|key| &key[..]);
        let _latch = self.latch_for_cas(request.for_cas, cf, touched).await;
        self.storage.write(&context(request.context.as_ref()), batch).await?;
        Ok(RawBatchDeleteResponse::default())
    }
}

//! A range of keys, removed.

use proto::kvrpcpb::{RawDeleteRangeRequest, RawDeleteRangeResponse};

use super::{RawApi, context};
use crate::engine::parse_cf;
use crate::{Modify, Result, Storage, keys};

impl<S: Storage> RawApi<S> {
    /// Removes every key of `[start_key, end_key)`; an empty `end_key` means to the end of the region.
    ///
    /// It takes no latches, since it cannot name its keys: it is not linearizable with a
    /// compare-and-swap inside the range. TiKV's is not, either.
    ///
    /// # Errors
    /// As [`RawApi::raw_delete`].
    pub async fn raw_delete_range(
        &self,
        request: RawDeleteRangeRequest,
    ) -> Result<RawDeleteRangeResponse> {
        let cf = parse_cf(&request.cf)?;
        let range = keys::raw_range(&request.start_key, &request.end_key);
        let delete = Modify::DeleteRange { cf, range };
        self.storage.write(&context(request.context.as_ref()), vec![delete]).await?;
        Ok(RawDeleteRangeResponse::default())
    }
}

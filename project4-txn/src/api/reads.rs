//! The handlers that only read.

use proto::kvrpcpb::{
    BatchGetRequest, BatchGetResponse, Context, GetRequest, GetResponse, MvccGetByKeyRequest,
    MvccGetByKeyResponse, ScanLockRequest, ScanLockResponse, ScanRequest, ScanResponse,
};
use standalone::Storage;

use super::{TxnApi, check_key, check_keys, context, reading};
use crate::commands;
use crate::mvcc::{MvccReader, Reading};
use crate::{Result, TimeStamp};

impl<S: Storage> TxnApi<S> {
    /// The value of a key at a timestamp.
    ///
    /// # Errors
    /// `error.locked`: see [`commands::get`]. The storage's.
    pub async fn kv_get(&self, request: GetRequest) -> Result<GetResponse> {
        check_key(&request.key)?;
        let context = context(request.context.as_ref());
        let reading = reading(&context, request.version);
        self.concurrency.begin_read(&reading, [&request.key[..]])?;
        let reader = self.storage.reader(&context).await?;
        commands::get(&MvccReader::new(&reader), &request.key, &reading)
    }

    /// The values of many keys at one timestamp.
    ///
    /// # Errors
    /// A locked key is a pair with an error; if it is about to be locked, the whole answer is `error.locked`.
    pub async fn kv_batch_get(&self, request: BatchGetRequest) -> Result<BatchGetResponse> {
        check_keys(&request.keys)?;
        let context = context(request.context.as_ref());
        let reading = reading(&context, request.version);
        self.concurrency.begin_read(&reading, request.keys.iter().map(|key| &key[..]))?;
        let reader = self.storage.reader(&context).await?;
        commands::batch_get(&MvccReader::new(&reader), &request.keys, &reading)
    }

    /// The pairs of a range at a timestamp.
    ///
    /// # Errors
    /// As [`TxnApi::kv_batch_get`]; and an answer over 64 MiB, for a gRPC status.
    pub async fn kv_scan(&self, request: ScanRequest) -> Result<ScanResponse> {
        let context = context(request.context.as_ref());
        let reading = reading(&context, request.version);
        let (low, high) = if request.reverse {
            (&request.end_key, &request.start_key)
        } else {
            (&request.start_key, &request.end_key)
        };
        self.concurrency.begin_scan(&reading, low, high)?;
        let reader = self.storage.reader(&context).await?;
        commands::scan(MvccReader::new(&reader), &request, reading)
    }

    /// The locks of old transactions. It counts as a read at `max_version`: no transaction that this answer
    /// leaves out may commit at or below it later.
    ///
    /// # Errors
    /// `error.locked`: somebody is about to lock a key of the range.
    pub async fn kv_scan_lock(&self, request: ScanLockRequest) -> Result<ScanLockResponse> {
        let context = context(request.context.as_ref());
        let reading = Reading::at(request.max_version.into());
        self.concurrency.begin_scan(&reading, &request.start_key, &request.end_key)?;
        let reader = self.storage.reader(&context).await?;
        commands::scan_lock(&MvccReader::new(&reader), &request)
    }

    /// Everything that is stored for a key, for people.
    ///
    /// # Errors
    /// The storage's.
    pub async fn mvcc_get_by_key(
        &self,
        request: MvccGetByKeyRequest,
    ) -> Result<MvccGetByKeyResponse> {
        let reader = self.open(&context(request.context.as_ref())).await?;
        let info = commands::mvcc_info(&MvccReader::new(&reader), &request.key)?;
        Ok(MvccGetByKeyResponse { info: Some(info), ..Default::default() })
    }

    /// A reader of now, for whoever does not read at a timestamp.
    pub(super) async fn open(&self, context: &Context) -> Result<S::Reader> {
        Ok(self.storage.reader(context).await?)
    }

    /// Takes note of timestamps that a client has shown: no commit that this store chooses may meet them.
    pub(super) fn note(&self, timestamps: impl IntoIterator<Item = u64>) {
        for ts in timestamps {
            self.concurrency.raise(TimeStamp::new(ts));
        }
    }
}

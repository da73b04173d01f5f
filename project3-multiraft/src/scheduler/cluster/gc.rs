//! The garbage collection safe point: it only grows, and services can hold it back for a while.

use proto::pdpb::{
    ErrorType, GetGcSafePointRequest, GetGcSafePointResponse, UpdateGcSafePointRequest,
    UpdateGcSafePointResponse, UpdateServiceGcSafePointRequest, UpdateServiceGcSafePointResponse,
};

use super::{Cluster, refusal};
use crate::scheduler::saved;

/// Seconds since 1970, by the machine's clock.
pub type UnixSeconds = u64;

impl Cluster {
    /// Where is the safe point?
    pub fn get_gc_safe_point(&self, request: &GetGcSafePointRequest) -> GetGcSafePointResponse {
        let header = self.header(self.check(request.header.as_ref()).err());
        GetGcSafePointResponse { header, safe_point: self.gc_safe_point }
    }

    /// Moves it forward, as far as nobody holds it back. A wish below what it is changes nothing. One that lies in the
    /// future is refused (INVALID_VALUE): no transaction could write any more until then, and the safe point never falls.
    pub fn update_gc_safe_point(
        &mut self,
        request: &UpdateGcSafePointRequest,
        wall: UnixSeconds,
    ) -> UpdateGcSafePointResponse {
        let checked = self.check(request.header.as_ref()).and_then(|()| {
            let safe_point = request.safe_point;
            if self.tso.is_from_the_future(safe_point, wall.saturating_add(1).saturating_mul(1_000))
            {
                let text = format!("safe point {safe_point} is from the future: take a timestamp");
                return Err(refusal(ErrorType::InvalidValue, text));
            }
            Ok(())
        });
        let held =
            self.holds.values().filter(|(end, _)| *end > wall).map(|(_, point)| *point).min();
        let wanted = request.safe_point.min(held.unwrap_or(u64::MAX));
        if checked.is_ok() && wanted > self.gc_safe_point {
            self.gc_safe_point = wanted;
            self.outbox.save(saved::GC_SAFE_POINT.to_vec(), saved::number(wanted));
        }
        let header = self.header(checked.err());
        UpdateGcSafePointResponse { header, new_safe_point: self.gc_safe_point }
    }

    /// Holds it back on behalf of a service. The answer tells the lowest point that is held; if that is above what was
    /// asked for, the wish came too late.
    pub fn update_service_gc_safe_point(
        &mut self,
        request: &UpdateServiceGcSafePointRequest,
        wall: UnixSeconds,
    ) -> UpdateServiceGcSafePointResponse {
        if let Err(error) = self.check(request.header.as_ref()) {
            let header = self.header(Some(error));
            return UpdateServiceGcSafePointResponse { header, ..Default::default() };
        }
        let over: Vec<_> = self
            .holds
            .iter()
            .filter(|(_, (end, _))| *end <= wall)
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            self.holds.remove(&name);
            self.outbox.forget(saved::hold_key(&name));
        }
        let name = &request.service_id;
        let mut too_late = 0;
        match u64::try_from(request.ttl) {
            Err(_) | Ok(0) => {
                self.holds.remove(name);
                self.outbox.forget(saved::hold_key(name));
            }
            // What lies below the safe point may be deleted already: no hold brings it back.
            Ok(ttl) if request.safe_point >= self.gc_safe_point => {
                let end = wall.saturating_add(ttl);
                self.holds.insert(name.clone(), (end, request.safe_point));
                self.outbox.save(saved::hold_key(name), saved::hold(end, request.safe_point));
            }
            Ok(_) => too_late = self.gc_safe_point,
        }
        let lowest = self.holds.iter().min_by_key(|(_, (_, point))| *point);
        let (service_id, end, min_safe_point) = lowest
            .map_or((bytes::Bytes::new(), wall, self.gc_safe_point), |(name, &(end, point))| {
                (name.clone(), end, point)
            });
        UpdateServiceGcSafePointResponse {
            header: self.header(None),
            service_id,
            ttl: i64::try_from(end - wall).unwrap_or(i64::MAX),
            // Who was refused is told at least the safe point, so that it can tell.
            min_safe_point: min_safe_point.max(too_late),
        }
    }
}

//! The requests and bytes that a call has left.

use super::HostCallError;
use crate::limits::Limits;

/// The remaining budget of one call.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: u32,
    sent_bytes: u64,
    received_bytes: u64,
    response_bytes: u64,
    /// Whether any response was received.
    has_response: bool,
    /// Whether the call exceeded its budget, or a response its limit.
    is_exceeded: bool,
}

impl Budget {
    /// Creates the budget of a call.
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            requests: limits.requests,
            sent_bytes: limits.sent_bytes,
            received_bytes: limits.received_bytes,
            response_bytes: limits.response_bytes,
            has_response: false,
            is_exceeded: false,
        }
    }

    /// Charges one request of `bytes` bytes.
    pub(crate) fn take_request(&mut self, bytes: usize) -> Result<(), HostCallError> {
        let is_exceeded = &mut self.is_exceeded;
        let mut exceeded_limit = |what| {
            *is_exceeded = true;
            Err(HostCallError::LimitExceeded(format!("the call has exceeded its limit on {what}")))
        };
        let Some(requests) = self.requests.checked_sub(1) else {
            return exceeded_limit("requests");
        };
        let Some(sent_bytes) = self.sent_bytes.checked_sub(bytes as u64) else {
            return exceeded_limit("bytes to send");
        };
        if self.received_bytes == 0 {
            return exceeded_limit("bytes to receive");
        }
        (self.requests, self.sent_bytes) = (requests, sent_bytes);
        Ok(())
    }

    /// Returns how many bytes the next response may have.
    pub(crate) const fn response_bytes_left(&self) -> u64 {
        if self.received_bytes < self.response_bytes { self.received_bytes } else { self.response_bytes }
    }

    /// Charges the bytes of a response, which were limited by [`response_bytes_left`](Self::response_bytes_left).
    pub(crate) const fn take_response(&mut self, bytes: usize) {
        self.received_bytes = self.received_bytes.saturating_sub(bytes as u64);
        self.has_response = true;
    }

    /// Whether any response was received.
    pub(crate) const fn has_response(&self) -> bool {
        self.has_response
    }

    /// Whether the call exceeded its budget, or a response its limit.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// Returns which limit an oversized response exceeded, and charges the bytes that were read of it.
    pub(crate) fn charge_oversized(&mut self) -> HostCallError {
        let allowed = self.response_bytes_left();
        let is_last = allowed < self.response_bytes;
        self.received_bytes -= allowed;
        self.is_exceeded = true;
        match is_last {
            true => HostCallError::LimitExceeded("the call has exceeded its limit on bytes to receive".into()),
            false => HostCallError::TooLarge(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceeded_budget_names_its_limit() {
        let limits = Limits { requests: 3, sent_bytes: 10, response_bytes: 6, received_bytes: 10, ..Limits::default() };
        let reason = |result: Result<(), HostCallError>| match result {
            Err(HostCallError::LimitExceeded(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let mut budget = Budget::new(&limits);
        assert!(reason(budget.take_request(11)).contains("bytes to send"));
        budget.take_request(4).unwrap();
        assert_eq!(budget.response_bytes_left(), 6);
        assert_eq!(budget.charge_oversized(), HostCallError::TooLarge(6));
        budget.take_request(4).unwrap();
        assert_eq!(budget.response_bytes_left(), 4);
        assert!(matches!(budget.charge_oversized(), HostCallError::LimitExceeded(_)));
        assert!(reason(budget.take_request(0)).contains("bytes to receive"));

        let mut budget = Budget::new(&limits);
        for _ in 0..3 {
            budget.take_request(0).unwrap();
            budget.take_response(1);
        }
        assert!(!budget.is_exceeded());
        assert!(reason(budget.take_request(0)).contains("requests"));
        assert!(budget.is_exceeded());
    }
}

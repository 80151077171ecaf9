//! The requests and bytes that a call has left.

use super::GateError;
use crate::limits::Limits;

/// The remaining budget of one call.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: u32,
    sent_bytes: u64,
    received_bytes: u64,
    answer_bytes: u64,
    /// Whether any response was received.
    is_answered: bool,
    /// Whether the call exceeded its budget, or a response its limit.
    is_used_up: bool,
}

impl Budget {
    /// Creates the budget of a call.
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            requests: limits.requests,
            sent_bytes: limits.sent_bytes,
            received_bytes: limits.received_bytes,
            answer_bytes: limits.answer_bytes,
            is_answered: false,
            is_used_up: false,
        }
    }

    /// Charges one request of `bytes` bytes.
    pub(crate) fn take_request(&mut self, bytes: usize) -> Result<(), GateError> {
        let is_used_up = &mut self.is_used_up;
        let mut used_up = |what| {
            *is_used_up = true;
            Err(GateError::Budget(format!("the call has used up its {what}")))
        };
        let Some(requests) = self.requests.checked_sub(1) else {
            return used_up("requests");
        };
        let Some(sent_bytes) = self.sent_bytes.checked_sub(bytes as u64) else {
            return used_up("bytes to send");
        };
        if self.received_bytes == 0 {
            return used_up("bytes to receive");
        }
        (self.requests, self.sent_bytes) = (requests, sent_bytes);
        Ok(())
    }

    /// Returns how many bytes the next response may have.
    pub(crate) const fn answer_room(&self) -> u64 {
        if self.received_bytes < self.answer_bytes { self.received_bytes } else { self.answer_bytes }
    }

    /// Charges the bytes of a response, which were limited by [`answer_room`](Self::answer_room).
    pub(crate) const fn take_answer(&mut self, bytes: usize) {
        self.received_bytes = self.received_bytes.saturating_sub(bytes as u64);
        self.is_answered = true;
    }

    /// Whether any response was received.
    pub(crate) const fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Whether the call exceeded its budget, or a response its limit.
    pub(crate) const fn is_used_up(&self) -> bool {
        self.is_used_up
    }

    /// Returns which limit an oversized response exceeded, and charges the bytes that were read of it.
    pub(crate) fn exceeded(&mut self) -> GateError {
        let room = self.answer_room();
        let is_last = room < self.answer_bytes;
        self.received_bytes -= room;
        self.is_used_up = true;
        match is_last {
            true => GateError::Budget("the call has used up its bytes to receive".into()),
            false => GateError::TooLarge(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_what_is_used_up() {
        let limits = Limits { requests: 3, sent_bytes: 10, answer_bytes: 6, received_bytes: 10, ..Limits::default() };
        let words = |result: Result<(), GateError>| match result {
            Err(GateError::Budget(words)) => words,
            other => panic!("{other:?}"),
        };
        let mut budget = Budget::new(&limits);
        assert!(words(budget.take_request(11)).contains("bytes to send"));
        budget.take_request(4).unwrap();
        assert_eq!(budget.answer_room(), 6);
        assert_eq!(budget.exceeded(), GateError::TooLarge(6));
        budget.take_request(4).unwrap();
        assert_eq!(budget.answer_room(), 4);
        assert!(matches!(budget.exceeded(), GateError::Budget(_)));
        assert!(words(budget.take_request(0)).contains("bytes to receive"));

        let mut budget = Budget::new(&limits);
        for _ in 0..3 {
            budget.take_request(0).unwrap();
            budget.take_answer(1);
        }
        assert!(!budget.is_used_up());
        assert!(words(budget.take_request(0)).contains("requests"));
        assert!(budget.is_used_up());
    }
}

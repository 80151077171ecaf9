//! The audit of one request: what its entry in the audit log says, and whether a command has it already.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use linecamp_core::AuditedRequest;
use linecamp_model::Name;

/// The audit of a request. It has one entry: the first command of the request has it, or the end of the request.
#[derive(Debug)]
pub(crate) struct RequestAudit {
    request: AuditedRequest,
    is_taken: AtomicBool,
    account: Mutex<Option<Name>>,
}

impl RequestAudit {
    pub(crate) const fn new(request: AuditedRequest) -> Self {
        Self { request, is_taken: AtomicBool::new(false), account: Mutex::new(None) }
    }

    /// Returns what the entry says, unless it was taken before.
    pub(crate) fn take(&self) -> Option<AuditedRequest> {
        (!self.is_taken.swap(true, Ordering::Relaxed)).then(|| self.request.clone())
    }

    /// Notes that the request has done nothing yet and will be repeated: it has no entry.
    pub(crate) fn leave_out(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
    }

    /// Sets the user that a login is for, if there is one of that name. Another name may be a password in the wrong
    /// field, and is not recorded.
    pub(crate) fn set_account(&self, account: Name) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
    }

    /// Returns the user that a login is for.
    pub(crate) fn account(&self) -> Option<Name> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

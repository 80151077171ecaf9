//! Panics that cost what they happened in, and not the server.
//!
//! A handler of a request, a look at the fleet and the task of a session hold nothing that others share, so a panic in
//! one of them leaves nothing half done: it is logged as an error, the request is answered as an internal error, the
//! session is closed. The machine itself (`Fleet`) is the exception. A panic in the middle of a *change* leaves its
//! memory half changed, and to go on would show and commit what never happened: that panic ends the process, and the
//! service manager starts it again from the database, where every change is whole.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Runs a future to its end.
///
/// # Errors
/// What it said when it panicked. What it shared with others must be as good as before: see the top of this file.
pub(crate) fn caught<T>(future: impl Future<Output = T>) -> impl Future<Output = Result<T, String>> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(message(&*panic).to_owned())),
    })
}

/// Runs a function. It is for those that only look.
///
/// # Errors
/// What it said when it panicked.
pub(crate) fn caught_in<T>(look: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(look)).map_err(|panic| message(&*panic).to_owned())
}

/// Returns what a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

//! Contains panics, so that one ends only the task it happened in and not the program.
//!
//! A request handler, a query and a session task hold no shared state, so a panic in one of them leaves nothing half
//! done: it is logged as an error, and the request is answered with an internal error or the session is closed. The
//! state machine is the exception. A panic in the middle of a *change* leaves its memory half changed, and continuing
//! would show and commit what never happened. Such a panic ends the process, and the service manager restarts it from
//! the database, where every change is complete.
//!
//! This needs a program that unwinds, as the server does. The daemon is released without unwinding: there every panic
//! ends the process, and nothing is caught.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Runs a future to completion and catches panics.
///
/// # Errors
/// The panic message. State that the future shares must remain valid: see the module documentation.
pub fn caught<T>(future: impl Future<Output = T>) -> impl Future<Output = Result<T, String>> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(message(&*panic).to_owned())),
    })
}

/// Runs a read-only function and catches panics.
///
/// # Errors
/// The panic message.
pub fn caught_in<T>(query: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(query)).map_err(|panic| message(&*panic).to_owned())
}

/// Returns the message of a panic.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic without a message")
}

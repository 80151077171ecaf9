//! Connects to the first address that works, as an [`AddressSchedule`] says.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use crate::address_schedule::{AddressSchedule, Pace, ScheduleStep};

/// Tries the addresses in this order and at this pace until an attempt succeeds, and cancels the others. An attempt
/// limits its own time.
///
/// # Errors
/// Why each attempt failed. Addresses that are not among them were not tried.
pub async fn connect_first<T, E, F>(
    order: Vec<SocketAddr>,
    pace: Pace,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> Result<(SocketAddr, T), Vec<(SocketAddr, E)>>
where
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    let mut schedule = AddressSchedule::new(order, pace);
    let (mut attempts, mut failures) = (Vec::new(), Vec::new());
    loop {
        let wait = match schedule.next_step(began.elapsed()) {
            ScheduleStep::Start(address) => {
                attempts.push((address, Box::pin(attempt(address))));
                continue;
            }
            ScheduleStep::WaitUntil(time) => Some(began + time),
            ScheduleStep::WaitForResult => None,
            ScheduleStep::Exhausted => return Err(failures),
        };
        let (address, result) = tokio::select! {
            biased;
            result = next_result(&mut attempts) => result,
            () = sleep_until(wait.unwrap_or(began)), if wait.is_some() => continue,
        };
        match result {
            Ok(connected) => return Ok((address, connected)),
            Err(error) => {
                failures.push((address, error));
                schedule.attempt_failed(began.elapsed());
            }
        }
    }
}

/// Waits for the first attempt that ends, and removes it. Cancel-safe.
async fn next_result<R, F: Future<Output = R>>(attempts: &mut Vec<(SocketAddr, Pin<Box<F>>)>) -> (SocketAddr, R) {
    poll_fn(|context| {
        for (place, (address, attempt)) in attempts.iter_mut().enumerate() {
            if let Poll::Ready(result) = attempt.as_mut().poll(context) {
                let address = *address;
                attempts.remove(place);
                return Poll::Ready((address, result));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACE: Pace = Pace { delay: Duration::from_millis(250), parallel_max: 2, start_max: Duration::from_secs(60) };

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect()
    }

    /// An attempt that ends after a time that depends on the port.
    async fn attempt(address: SocketAddr, limit: Duration, good: u16) -> Result<(), &'static str> {
        tokio::time::sleep(limit).await;
        if address.port() == good { Ok(()) } else { Err("silent") }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_addresses_delay_a_connection_by_the_pace_only() {
        let began = Instant::now();
        let attempt = |address: SocketAddr| attempt(address, if address.port() == 2 { MS } else { 9000 * MS }, 2);
        let (address, ()) = connect_first(addresses(5), PACE, attempt).await.unwrap();
        assert_eq!((address.port(), began.elapsed()), (2, 251 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let began = Instant::now();
        let (address, ()) = connect_first(addresses(5), PACE, |address| attempt(address, MS, 5)).await.unwrap();
        assert_eq!((address.port(), began.elapsed()), (5, 5 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_is_returned_with_its_address() {
        let failures = connect_first(addresses(3), PACE, |address| attempt(address, 9000 * MS, 9)).await.unwrap_err();
        let expected: Vec<_> = addresses(3).into_iter().map(|address| (address, "silent")).collect();
        assert_eq!(failures, expected);
        let none = connect_first(Vec::new(), PACE, |address| attempt(address, MS, 9)).await;
        assert_eq!(none, Err(Vec::new()));
    }
}

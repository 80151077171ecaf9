//! The newest messages, for all streams.

use std::collections::VecDeque;
use std::fmt;

/// Maximum messages of the backlog: more than a fleet of five thousand sites causes when all of them reconnect. Above
/// it the oldest is dropped, and streams that have not read it are reset.
pub const BACKLOG_MESSAGES_MAX: usize = 8_192;

/// Maximum size of the messages of the backlog in bytes, eight times of what is common for that many. Above it the
/// oldest are dropped.
pub const BACKLOG_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The place of a message among those of a run of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// A random number of the run.
    pub incarnation: u64,
    /// The number of the message in the run; zero is before the first.
    pub number: u64,
}

impl StreamPosition {
    /// Parses what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (incarnation, number) = text.split_once('-')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_incarnation = incarnation.len() == 16 && incarnation.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_number || !is_incarnation {
            return None;
        }
        Some(Self { incarnation: u64::from_str_radix(incarnation, 16).ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.incarnation, self.number)
    }
}

/// Why a client must read everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The position is of another run of the server, or of none.
    Restarted,
    /// Messages after the position were dropped: the client was away for too long, or read too slowly.
    FellBehind,
}

/// The newest messages, each with its size.
#[derive(Clone, Debug)]
pub struct StreamBacklog<T> {
    incarnation: u64,
    /// The number of the newest message.
    last: u64,
    messages: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> StreamBacklog<T> {
    /// Creates the empty backlog of a run of the server, with a random number.
    pub const fn new(incarnation: u64) -> Self {
        Self { incarnation, last: 0, messages: VecDeque::new(), bytes: 0 }
    }

    /// Adds a message of this size.
    pub fn push(&mut self, message: T, bytes: usize) {
        self.last += 1;
        self.bytes += bytes;
        self.messages.push_back((message, bytes));
        while BACKLOG_MESSAGES_MAX < self.messages.len() || BACKLOG_BYTES_MAX < self.bytes {
            let Some((_, dropped)) = self.messages.pop_front() else { return };
            self.bytes -= dropped;
        }
    }

    /// Returns the number of the newest message.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Returns the position of a message of this run.
    pub const fn position(&self, number: u64) -> StreamPosition {
        StreamPosition { incarnation: self.incarnation, number }
    }

    /// Returns the number after which a client continues that has a position of an earlier stream.
    ///
    /// # Errors
    /// The client has to read everything again.
    pub fn resume(&self, position: &str) -> Result<u64, ResetReason> {
        let position = StreamPosition::parse(position).ok_or(ResetReason::Restarted)?;
        if position.incarnation != self.incarnation || self.last < position.number {
            return Err(ResetReason::Restarted);
        }
        self.after(position.number).map(|_| position.number)
    }

    /// Returns the messages after a number of this run, oldest first, with their numbers.
    ///
    /// # Errors
    /// Some of them were dropped.
    pub fn after(&self, number: u64) -> Result<impl Iterator<Item = (u64, &T)>, ResetReason> {
        let dropped = self.last - self.messages.len() as u64;
        let read = number.checked_sub(dropped).ok_or(ResetReason::FellBehind)?;
        let read = usize::try_from(read).unwrap_or(usize::MAX).min(self.messages.len());
        Ok((number + 1..).zip(self.messages.range(read..).map(|(message, _)| message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(backlog: &StreamBacklog<u64>, after: u64) -> Result<Vec<u64>, ResetReason> {
        let messages = backlog.after(after)?;
        Ok(messages.map(|(number, message)| if number == *message { number } else { panic!("misnumbered") }).collect())
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = StreamPosition { incarnation: 0xab, number: 7 };
        assert_eq!(position.to_string(), "00000000000000ab-7");
        assert_eq!(StreamPosition::parse("00000000000000ab-7"), Some(position));
        for text in [
            "",
            "-",
            "7",
            "ab-7",
            "00000000000000ab-",
            "00000000000000ab-+7",
            "+0000000000000ab-7",
            "00000000000000ab-7x",
        ] {
            assert_eq!(StreamPosition::parse(text), None, "{text}");
        }
        assert_eq!(StreamPosition::parse("00000000000000ab-99999999999999999999"), None);
    }

    #[test]
    fn a_client_continues_after_the_last_message_that_it_received() {
        let mut backlog = StreamBacklog::new(5);
        assert_eq!(backlog.resume(&backlog.position(0).to_string()), Ok(0));
        (1..=3).for_each(|number| backlog.push(number, 1));
        assert_eq!(backlog.resume(&backlog.position(1).to_string()), Ok(1));
        assert_eq!(numbers(&backlog, 1), Ok(vec![2, 3]));
        assert_eq!(numbers(&backlog, 3), Ok(vec![]));
    }

    #[test]
    fn a_position_of_another_run_or_of_the_future_or_that_is_none_resets() {
        let mut backlog = StreamBacklog::new(5);
        (1..=3).for_each(|number| backlog.push(number, 1));
        let other = StreamBacklog::<u64>::new(6).position(1).to_string();
        for position in [other.as_str(), &backlog.position(4).to_string(), "nonsense", ""] {
            assert_eq!(backlog.resume(position), Err(ResetReason::Restarted), "{position}");
        }
    }

    #[test]
    fn a_reader_that_falls_behind_the_backlog_is_reset_and_others_are_not() {
        let mut backlog = StreamBacklog::new(5);
        let most = BACKLOG_MESSAGES_MAX as u64;
        (1..=most).for_each(|number| backlog.push(number, 1));
        assert_eq!(numbers(&backlog, 0).unwrap().len(), BACKLOG_MESSAGES_MAX);
        backlog.push(most + 1, 1);
        assert_eq!(numbers(&backlog, 0), Err(ResetReason::FellBehind));
        assert_eq!(backlog.resume(&backlog.position(0).to_string()), Err(ResetReason::FellBehind));
        assert_eq!(numbers(&backlog, 1).unwrap().len(), BACKLOG_MESSAGES_MAX);
        assert_eq!(numbers(&backlog, most), Ok(vec![most + 1]));
    }

    #[test]
    fn the_bytes_of_the_backlog_are_limited() {
        let mut backlog = StreamBacklog::new(5);
        backlog.push(1, BACKLOG_BYTES_MAX - 1);
        backlog.push(2, 1);
        assert_eq!(numbers(&backlog, 0), Ok(vec![1, 2]));
        backlog.push(3, 1);
        assert_eq!(numbers(&backlog, 0), Err(ResetReason::FellBehind));
        assert_eq!(numbers(&backlog, 1), Ok(vec![2, 3]));
        backlog.push(4, BACKLOG_BYTES_MAX + 1);
        assert_eq!((numbers(&backlog, 3), numbers(&backlog, 4)), (Err(ResetReason::FellBehind), Ok(vec![])));
    }
}

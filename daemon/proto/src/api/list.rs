//! Lists and their pages.
//!
//! A list that may be long is answered in pages. A request has a `limit`, and the `cursor` that the page before has as
//! `next`. A cursor is opaque. It names a place in the order of the list, not a number of items, so that it stays valid
//! while items come and go, and it has a digest of the query that it continues.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::query::{HostQuery, PageQuery, ProviderQuery, RecordQuery, RestoreQuery, SelectionQuery, SiteQuery};

/// Maximum characters of a cursor: six names of 255 bytes, in Base64. A longer one is rejected.
pub const CURSOR_CHARS_MAX: usize = 2_200;

/// Maximum names of a cursor.
const NAMES_MAX: usize = 6;

/// The first byte of a cursor: the version of its format.
const VERSION: u8 = 1;

/// A list, or a page of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "{T}List"))]
pub struct List<T> {
    /// The items. A page may have fewer than requested: only `next` says whether there are more.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last page, and in a list without pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many items the query matches, on all pages; absent in a list of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How many of these belong to sites without a connection; only in lists of sites and of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<u64>,
}

impl<T> List<T> {
    /// Returns a part of a list whose length is not known.
    pub const fn part(items: Vec<T>) -> Self {
        Self { items, next: None, total: None, offline: None }
    }
}

impl<T> FromIterator<T> for List<T> {
    /// Returns a list that has all its items.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let items = Vec::from_iter(items);
        Self { total: Some(items.len() as u64), ..Self::part(items) }
    }
}

/// A query of a list that is answered in pages.
pub trait PagedQuery: Clone + Serialize {
    /// Returns how many items are requested; `None` if the server decides.
    fn limit(&self) -> Option<usize>;
    /// Returns the cursor of the page.
    fn cursor(&self) -> Option<&str>;
    /// Returns the same query for another page.
    #[must_use]
    fn for_page(&self, limit: Option<usize>, cursor: Option<String>) -> Self;

    /// Returns a digest of what this query of `operation` requests, which is the same for all of its pages. It detects
    /// mistakes. It need not resist forgery: a cursor grants nothing.
    fn digest(&self, operation: &str) -> u64 {
        let query = serde_json::to_string(&self.for_page(None, None)).expect("a query is a flat struct");
        fnv_1a(operation.bytes().chain([0]).chain(query.bytes()))
    }
}

macro_rules! paged_queries {
    ($($query:ty),+) => {$(
        impl PagedQuery for $query {
            fn limit(&self) -> Option<usize> {
                self.limit
            }

            fn cursor(&self) -> Option<&str> {
                self.cursor.as_deref()
            }

            fn for_page(&self, limit: Option<usize>, cursor: Option<String>) -> Self {
                let mut page = self.clone();
                (page.limit, page.cursor) = (limit, cursor);
                page
            }
        }
    )+};
}

paged_queries!(PageQuery, SiteQuery, HostQuery, SelectionQuery, RecordQuery, ProviderQuery, RestoreQuery);

/// What a cursor has: the query that it continues, and the place after which its page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The [digest](PagedQuery::digest) of the query.
    pub query: u64,
    /// The number that the list is sorted by first.
    pub rank: u64,
    /// The names that it is sorted by then.
    pub names: Vec<String>,
    /// The ID that it is sorted by last.
    pub id: [u8; 16],
}

/// A cursor is not one that a server has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor; send the `next` of the page before, unchanged")]
pub struct CursorError;

impl Cursor {
    /// Returns the cursor as text, without empty names at its end.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.query.to_be_bytes());
        bytes.extend(self.rank.to_be_bytes());
        bytes.extend(self.id);
        let count = self.names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        for name in &self.names[..count] {
            // No name of a list is longer than a domain name.
            let length = u8::try_from(name.len()).expect("a name has at most 255 bytes");
            bytes.push(length);
            bytes.extend(name.bytes());
        }
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Parses a cursor.
    ///
    /// # Errors
    /// [`CursorError`] if [`encode`](Self::encode) does not write this text.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        if CURSOR_CHARS_MAX < text.len() {
            return Err(CursorError);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let cursor = Self::parse(&bytes).ok_or(CursorError)?;
        if cursor.encode() == text { Ok(cursor) } else { Err(CursorError) }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (query, rest) = rest.split_first_chunk()?;
        let (rank, rest) = rest.split_first_chunk()?;
        let (id, mut rest) = rest.split_first_chunk()?;
        let mut names = Vec::new();
        while let Some((length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(usize::from(*length))?;
            names.push(std::str::from_utf8(name).ok()?.to_owned());
            rest = after;
        }
        let is_short = names.len() <= NAMES_MAX;
        is_short.then_some(Self { query: u64::from_be_bytes(*query), rank: u64::from_be_bytes(*rank), names, id: *id })
    }
}

/// The hash function FNV-1a of 64 bits.
fn fnv_1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(
            query: u64, rank: u64, id: [u8; 16], names in prop::collection::vec("[a-zé.]{1,60}", 0..=NAMES_MAX),
        ) {
            let cursor = Cursor { query, rank, names, id };
            let text = cursor.encode();
            prop_assert!(text.len() <= CURSOR_CHARS_MAX);
            prop_assert_eq!(Cursor::decode(&text), Ok(cursor));
        }

        #[test]
        fn no_text_that_was_not_written_is_a_cursor(text in "[-A-Za-z0-9_]{0,120}", bytes: Vec<u8>) {
            for text in [text, BASE64URL_NOPAD.encode(&bytes)] {
                if let Ok(cursor) = Cursor::decode(&text) {
                    prop_assert_eq!(cursor.encode(), text);
                }
            }
        }
    }

    #[test]
    fn a_malformed_cursor_is_rejected() {
        let valid = Cursor { names: vec!["default".into(), "camp".into()], ..Cursor::default() }.encode();
        let long = "A".repeat(CURSOR_CHARS_MAX + 1);
        for text in ["", "x", "****", &valid[1..], &valid[..valid.len() - 2], &format!("{valid}AA"), &long] {
            assert_eq!(Cursor::decode(text), Err(CursorError), "{text}");
        }
        let most = Cursor { names: vec!["n".repeat(255); NAMES_MAX], ..Cursor::default() };
        assert_eq!(Cursor::decode(&most.encode()), Ok(most));
    }

    #[test]
    fn the_digest_of_a_query_is_that_of_all_its_pages_and_of_no_other_query() {
        let query = SiteQuery { selector: Some("a=b".into()), ..SiteQuery::default() };
        let digest = query.digest("site.list");
        assert_eq!(query.for_page(Some(7), Some("x".into())).digest("site.list"), digest);
        assert_ne!(query.digest("host.list"), digest);
        let other = SiteQuery { descending: true, ..query };
        assert_ne!(other.digest("site.list"), digest);
    }
}

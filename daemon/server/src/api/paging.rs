//! Pages of lists: which one a request asks for, and how it is answered.

use linecamp_core::{ItemKey, KEY_NAMES, Page, PageRequest, Place};
use linecamp_model::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use linecamp_proto::api::operation::Operation;
use linecamp_proto::api::{Cursor, CursorError, List, PagedQuery};
use serde::Serialize;

use super::call::Call;
use super::error::ApiError;
use super::parse;

/// The page that a request asks for, and the query that its cursors belong to.
#[derive(Clone, Debug)]
pub(super) struct Paging {
    request: PageRequest,
    query: u64,
}

impl Paging {
    /// Parses the limit and the cursor of a request.
    pub(super) fn of<O: Operation<Query: PagedQuery>>(call: &Call<O>) -> Result<Self, ApiError> {
        Self::parse(O::SPEC.name, &call.query)
    }

    fn parse(operation: &str, query: &impl PagedQuery) -> Result<Self, ApiError> {
        let limit = parse::limit(query.limit(), PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX)?;
        let digest = query.digest(operation);
        let after = query.cursor().map(|text| place(text, digest)).transpose()?;
        Ok(Self { request: PageRequest { limit, after, is_descending: false }, query: digest })
    }

    /// Sorts the list from the highest to the lowest.
    pub(super) fn descending(mut self, is_descending: bool) -> Self {
        self.request.is_descending = is_descending;
        self
    }

    /// Returns the requested page.
    pub(super) const fn request(&self) -> &PageRequest {
        &self.request
    }

    /// Answers with the requested page of `entries`, which are few enough to have been collected.
    pub(super) fn list_of<T, U: Serialize>(
        &self,
        entries: &[T],
        key: impl Fn(&T) -> ItemKey<'_>,
        shown: impl Fn(&T) -> U,
    ) -> List<U> {
        let page = self.request.page(entries.iter().map(|entry| (key(entry), entry)), |entry| {
            let item = shown(entry);
            let bytes = serde_json::to_vec(&item).map_or(0, |json| json.len());
            Some((item, bytes))
        });
        self.list(page, |item| item)
    }

    /// Answers with a page.
    pub(super) fn list<T, U>(&self, page: Page<T>, shown: impl Fn(T) -> U) -> List<U> {
        List {
            items: page.items.into_iter().map(shown).collect(),
            next: page.next.map(|place| self.cursor(place)),
            total: Some(page.total as u64),
            offline: page.offline.map(|offline| offline as u64),
        }
    }

    /// Returns the cursor of the page that begins at a place.
    pub(super) fn cursor(&self, place: Place) -> String {
        Cursor { query: self.query, rank: place.rank, names: place.names.into(), id: place.id }.encode()
    }
}

/// Parses a cursor of the query with this digest.
fn place(text: &str, digest: u64) -> Result<Place, ApiError> {
    let invalid = |error: &dyn std::fmt::Display| ApiError::invalid("cursor", &error, None);
    let Cursor { query, rank, mut names, id } = Cursor::decode(text).map_err(|error| invalid(&error))?;
    if query != digest {
        let text = "belongs to another query; a page is requested with the same filters and order as the one before";
        return Err(invalid(&text));
    }
    names.resize(KEY_NAMES, String::new());
    let names = names.try_into().map_err(|_| invalid(&CursorError))?;
    Ok(Place { rank, names, id })
}

#[cfg(test)]
mod tests {
    use linecamp_core::PAGE_BYTES_MAX;
    use linecamp_proto::api::query::PageQuery;

    use super::*;

    fn parse(limit: Option<usize>, cursor: Option<String>) -> Result<Paging, String> {
        let parsed = Paging::parse("user.list", &PageQuery { limit, cursor });
        parsed.map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn pages_lead_through_a_list_without_a_gap() {
        let names: Vec<_> = (100..350).map(|number| format!("u{number}")).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let paging = parse(Some(100), cursor).expect("valid");
            let list = paging.list_of(&names, |name| ItemKey::new(0, [name]), Clone::clone);
            assert_eq!((list.total, list.offline), (Some(250), None));
            seen.extend(list.items);
            match list.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, names);
    }

    #[test]
    fn a_page_of_large_items_is_one_that_a_client_reads() {
        let texts: Vec<_> = ["a", "b", "c"].map(|text| text.repeat(PAGE_BYTES_MAX / 3)).into();
        let list =
            parse(None, None).expect("valid").list_of(&texts, |text| ItemKey::new(0, [&text[..1]]), Clone::clone);
        assert_eq!((list.items.len(), list.total, list.next.is_some()), (2, Some(3), true));
    }

    #[test]
    fn a_limit_out_of_range_and_a_foreign_cursor_are_rejected() {
        for limit in [0, PAGE_ITEMS_MAX + 1] {
            let error = parse(Some(limit), None).expect_err("out of range");
            assert!(error.contains("limit: is a number from 1 to 500"), "{error}");
        }
        let malformed = parse(None, Some("!".to_owned())).expect_err("malformed");
        assert!(malformed.contains("cursor: is not a cursor"), "{malformed}");
        let other = Cursor { query: PageQuery::default().digest("key.list"), ..Cursor::default() };
        let foreign = parse(None, Some(other.encode())).expect_err("another operation's");
        assert!(foreign.contains("cursor: belongs to another query"), "{foreign}");
    }
}

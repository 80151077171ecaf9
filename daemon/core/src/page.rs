//! Pages of lists: sorting and cutting, as pure functions.
//!
//! A list has an order in which no two items are equal ([`ItemKey`]). A page begins after the key of the last item of
//! the page before ([`Place`]), never after a number of items. Items that come and go between two requests therefore
//! shift nothing: every item that stays, and keeps its key, is on exactly one page.
//!
//! What is counted, is counted before a page is cut: [`Page::total`] is the same for every page of a list.

use std::cmp::Ordering;

/// How many names a key has.
pub const KEY_NAMES: usize = 6;

/// Maximum bytes of the items of one page, as estimated by what builds them. JSON adds half as much again, and a client
/// reads 16 MiB. A page above it has fewer items than requested, but at least one.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The key of an item: by what a list is sorted, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemKey<'a> {
    /// A number or a time; zero in a list that is sorted by names.
    pub rank: u64,
    /// Names; empty if there are fewer.
    pub names: [&'a str; KEY_NAMES],
    /// The ID; zeros if the names are unique.
    pub id: [u8; 16],
}

impl<'a> ItemKey<'a> {
    /// Returns the key of an item with these names, sorted by a number first.
    ///
    /// # Panics
    /// If there are more than [`KEY_NAMES`].
    pub fn new<const N: usize>(rank: u64, names: [&'a str; N]) -> Self {
        let mut key = Self { rank, ..Self::default() };
        key.names[..N].copy_from_slice(&names);
        key
    }

    /// Adds an ID.
    #[must_use]
    pub fn with_id<const N: usize>(mut self, id: &[u8; N]) -> Self {
        self.id[..N].copy_from_slice(id);
        self
    }
}

/// A place in a list: after the item that has, or had, this key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// See [`ItemKey::rank`].
    pub rank: u64,
    /// See [`ItemKey::names`].
    pub names: [String; KEY_NAMES],
    /// See [`ItemKey::id`].
    pub id: [u8; 16],
}

impl Place {
    fn key(&self) -> ItemKey<'_> {
        ItemKey { rank: self.rank, names: std::array::from_fn(|at| &*self.names[at]), id: self.id }
    }
}

impl From<ItemKey<'_>> for Place {
    fn from(key: ItemKey<'_>) -> Self {
        Self { rank: key.rank, names: key.names.map(str::to_owned), id: key.id }
    }
}

/// The page that is requested of a list.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// How many items at most, at least one.
    pub limit: usize,
    /// The place after which the page begins; `None` for the first page.
    pub after: Option<Place>,
    /// Whether the list is sorted from the highest key to the lowest.
    pub is_descending: bool,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<Place>,
    /// How many items there are on all pages.
    pub total: usize,
    /// How many of them belong to sites that are offline; `None` for items that do not belong to sites.
    pub offline: Option<usize>,
}

impl PageRequest {
    /// Returns the first page of `limit` items.
    pub const fn first(limit: usize) -> Self {
        Self { limit, after: None, is_descending: false }
    }

    /// Returns the requested page of a list that has `entries` in any order. `build` makes the items of the page, and
    /// estimates the bytes of each; an entry for which it has none is left out.
    pub fn page<'a, E, T>(
        &self,
        entries: impl IntoIterator<Item = (ItemKey<'a>, E)>,
        mut build: impl FnMut(E) -> Option<(T, usize)>,
    ) -> Page<T> {
        let (entries, total) = self.after_place(entries);
        let (entries, mut has_more) = self.cut(entries);
        let (mut items, mut bytes, mut last) = (Vec::with_capacity(entries.len()), 0, None);
        for (key, entry) in entries {
            if let Some((item, size)) = build(entry) {
                bytes += size;
                if PAGE_BYTES_MAX < bytes && !items.is_empty() {
                    has_more = true;
                    break;
                }
                items.push(item);
            }
            last = Some(key);
        }
        Page { items, next: last.filter(|_| has_more).map(Place::from), total, offline: None }
    }

    /// Returns the entries after the place, and how many there are before and after it.
    fn after_place<'a, E>(
        &self,
        entries: impl IntoIterator<Item = (ItemKey<'a>, E)>,
    ) -> (Vec<(ItemKey<'a>, E)>, usize) {
        let after = self.after.as_ref().map(Place::key);
        let (mut rest, mut total) = (Vec::new(), 0);
        for (key, entry) in entries {
            total += 1;
            if after.is_none_or(|after| self.compare(&key, &after).is_gt()) {
                rest.push((key, entry));
            }
        }
        (rest, total)
    }

    /// Returns the first entries, sorted, and whether there are more.
    fn cut<'a, E>(&self, mut entries: Vec<(ItemKey<'a>, E)>) -> (Vec<(ItemKey<'a>, E)>, bool) {
        let limit = self.limit.max(1);
        let has_more = limit < entries.len();
        if has_more {
            entries.select_nth_unstable_by(limit, |(a, _), (b, _)| self.compare(a, b));
            entries.truncate(limit);
        }
        entries.sort_unstable_by(|(a, _), (b, _)| self.compare(a, b));
        (entries, has_more)
    }

    fn compare(&self, a: &ItemKey<'_>, b: &ItemKey<'_>) -> Ordering {
        if self.is_descending { b.cmp(a) } else { a.cmp(b) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn page(request: &PageRequest, names: &BTreeSet<String>) -> Page<String> {
        let entries = names.iter().map(|name| (ItemKey::new(name.len() as u64, [name]), name));
        request.page(entries, |name| Some((name.clone(), name.len())))
    }

    proptest! {
        /// Between two pages, some items come and others go.
        #[test]
        fn an_item_that_stays_is_on_exactly_one_page(
            stay in prop::collection::btree_set("s[a-z]{1,3}", 0..40),
            others in prop::collection::vec(prop::collection::btree_set("o[a-z]{1,3}", 0..40), 1..8),
            limit in 1_usize..9,
            is_descending: bool,
        ) {
            let mut request = PageRequest { limit, after: None, is_descending };
            let mut seen = Vec::new();
            for others in others.iter().cycle() {
                let found = page(&request, &(stay.union(others).cloned().collect()));
                prop_assert_eq!(found.total, stay.len() + others.len());
                prop_assert!(found.items.len() <= limit);
                seen.extend(found.items.into_iter().filter(|name| stay.contains(name)));
                match found.next {
                    Some(next) => request.after = Some(next),
                    None => break,
                }
            }
            let mut expected: Vec<_> = stay.into_iter().collect();
            expected.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
            if is_descending {
                expected.reverse();
            }
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        let names: BTreeSet<_> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let first = page(&PageRequest::first(2), &names);
        assert_eq!((first.items, first.total), (vec!["a".to_owned(), "b".to_owned()], 4));
        let last = page(&PageRequest { after: first.next, ..PageRequest::first(2) }, &names);
        assert_eq!((last.items, last.next), (vec!["c".to_owned(), "d".to_owned()], None));
    }

    #[test]
    fn a_page_of_large_items_has_fewer_but_at_least_one() {
        let check = |bytes: usize, expected: usize| {
            let entries = ["a", "b", "c"].map(|name| (ItemKey::new(0, [name]), name));
            let found = PageRequest::first(10).page(entries, |name| Some((name, bytes)));
            assert_eq!((found.items.len(), found.next.is_some()), (expected, expected < 3), "{bytes}");
        };
        check(1, 3);
        check(PAGE_BYTES_MAX / 2, 2);
        check(2 * PAGE_BYTES_MAX, 1);
    }
}

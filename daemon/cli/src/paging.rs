//! Lists of the server, read page by page.

use std::collections::HashSet;

use linecamp_model::limits::PAGE_ITEMS_MAX;
use linecamp_proto::api::operation::{Json, Operation};
use linecamp_proto::api::{List, PagedQuery};
use serde::de::DeserializeOwned;

use crate::client::{ApiRequest, Client, ClientError};
use crate::output::Output;

/// How many items of a list to show.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct LimitArg {
    /// Maximum number of items [default: all]
    #[arg(long, value_name = "N", value_parser = limit)]
    pub(crate) limit: Option<usize>,
}

fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|limit| 0 < *limit).ok_or("expected a number from 1")
}

/// A response that is one page of something long.
pub(crate) trait Page {
    /// Adds the page that follows.
    fn append(&mut self, page: Self);
    /// Returns the cursor of the next page.
    fn next(&self) -> Option<&str>;
    /// Returns how many items it has, and how many there are on all pages.
    fn counts(&self) -> (usize, u64);
}

impl<T> Page for List<T> {
    fn append(&mut self, page: Self) {
        let mut items = std::mem::take(&mut self.items);
        items.extend(page.items);
        *self = Self { items, ..page };
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn counts(&self) -> (usize, u64) {
        (self.items.len(), self.total.unwrap_or_default())
    }
}

/// Returns what `query` matches: all, or the first items up to a limit. What is added or removed while the pages are
/// read may be missing. Progress is shown while there are more pages.
pub(crate) async fn list<O, P>(
    query: &O::Query,
    limit: LimitArg,
    client: &mut Client,
    out: &Output,
) -> Result<P, ClientError>
where
    O: Operation<Query: PagedQuery, Response = Json<P>> + Clone,
    P: Page + DeserializeOwned + Send + 'static,
{
    let wanted = limit.limit.unwrap_or(usize::MAX);
    let request = |missing: usize, cursor| {
        ApiRequest::<O>::new().query(&query.for_page(Some(PAGE_ITEMS_MAX.min(missing)), cursor))
    };
    let mut all = client.send(request(wanted, None)).await?;
    let mut cursors = HashSet::new();
    let read = loop {
        let (count, total) = all.counts();
        // A cursor that comes again would never end.
        let next = all.next().filter(|next| count < wanted && cursors.insert((*next).to_owned()));
        let Some(next) = next.map(str::to_owned) else { break Ok(()) };
        out.progress(&format!("{count} of {total}"));
        match client.send(request(wanted - count, Some(next))).await {
            Ok(page) => all.append(page),
            Err(error) => break Err(error),
        }
    };
    out.progress("");
    read?;
    if all.next().is_some() {
        let (count, total) = all.counts();
        out.note(&format!("showing {count} of {total}"));
    }
    Ok(all)
}

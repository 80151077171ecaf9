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

/// Returns the items that `query` matches: all, or the first ones up to a limit. What is added or removed while the
/// pages are read may be missing. Progress is shown while there are more pages.
pub(crate) async fn list<O, T>(
    query: &O::Query,
    limit: LimitArg,
    client: &mut Client,
    out: &Output,
) -> Result<List<T>, ClientError>
where
    O: Operation<Query: PagedQuery, Response = Json<List<T>>> + Clone,
    T: DeserializeOwned + Send + 'static,
{
    let wanted = limit.limit.unwrap_or(usize::MAX);
    let mut all: List<T> = List::part(Vec::new());
    let mut cursors = HashSet::new();
    let read = loop {
        let page = query.for_page(Some(PAGE_ITEMS_MAX.min(wanted - all.items.len())), all.next.take());
        match client.send(ApiRequest::<O>::new().query(&page)).await {
            Ok(List { items, next, total, offline }) => {
                all.items.extend(items);
                (all.next, all.total, all.offline) = (next, total, offline);
            }
            Err(error) => break Err(error),
        }
        // A cursor that comes again would never end.
        let has_more = all.next.as_ref().is_some_and(|next| cursors.insert(next.clone()));
        if !has_more || wanted <= all.items.len() {
            break Ok(());
        }
        out.progress(&format!("{} of {}", all.items.len(), all.total.unwrap_or_default()));
    };
    out.progress("");
    read?;
    if all.next.is_some() {
        out.note(&format!("showing {} of {}", all.items.len(), all.total.unwrap_or_default()));
    }
    Ok(all)
}

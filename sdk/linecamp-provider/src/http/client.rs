//! Starting HTTP requests from a [`Context`], one at a time or page after page.

use super::Method;
use super::request::RequestBuilder;
use super::response::Response;
use crate::context::Context;
use crate::error::ProviderError;

/// The most pages that [`Context::paginate`] requests. Enough for a zone of 100,000 records in pages of 100; the host's
/// own limit on requests is usually lower. Beyond it the call fails, because the pages do not seem to end.
const PAGES_MAX: usize = 1_000;

/// One page of a list, and the request for the next one.
#[derive(Debug)]
pub struct Page<T> {
    /// The items on this page.
    pub items: Vec<T>,
    /// The request for the next page; `None` on the last.
    pub next: Option<RequestBuilder>,
}

impl Context {
    /// Starts a GET request.
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Get, url)
    }

    /// Starts a POST request.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Post, url)
    }

    /// Starts a PUT request.
    pub fn put(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Put, url)
    }

    /// Starts a PATCH request.
    pub fn patch(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Patch, url)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Delete, url)
    }

    /// Starts a request.
    pub fn request(&self, method: Method, url: impl Into<String>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into())
    }

    /// Requests page after page and returns the items of all of them. Each response has passed
    /// [`error_for_status`](Response::error_for_status) before it is passed to `read`.
    ///
    /// ```no_run
    /// # use linecamp_provider::prelude::*;
    /// # #[derive(serde::Deserialize)] struct Record {}
    /// # #[derive(serde::Deserialize)] struct List { records: Vec<Record>, next: Option<u32> }
    /// # fn list(cx: &Context, url: &str) -> Result<Vec<Record>, ProviderError> {
    /// let first = cx.get(url).bearer("token");
    /// let records = cx.paginate(first, |response| {
    ///     let list: List = response.json()?;
    ///     let next = list.next.map(|page| cx.get(url).query("page", page).bearer("token"));
    ///     Ok(Page { items: list.records, next })
    /// })?;
    /// # Ok(records) }
    /// ```
    ///
    /// # Errors
    /// [`ProviderError`] of the first page that fails; [`ProviderError::Invalid`] if a page links to itself, or there
    /// are too many pages.
    pub fn paginate<T>(
        &self,
        first: RequestBuilder,
        mut read: impl FnMut(&Response) -> Result<Page<T>, ProviderError>,
    ) -> Result<Vec<T>, ProviderError> {
        let (mut items, mut request) = (Vec::new(), first);
        for _ in 0..PAGES_MAX {
            let current = request.as_request().clone();
            let page = read(&request.send()?.error_for_status()?)?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                Some(next) if *next.as_request() == current => {
                    return Err(ProviderError::invalid(format!("{} names itself as the next page", current.place())));
                }
                Some(next) => request = next,
            }
        }
        Err(ProviderError::invalid(format!("the list has more than {PAGES_MAX} pages")))
    }
}

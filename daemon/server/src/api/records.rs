//! DNS records, as last reported by the sites.

use linecamp_core::{ListedRecord, RecordFilter};
use linecamp_model::RecordState;
use linecamp_proto::api::operation::ListRecords;
use linecamp_proto::api::query::RecordQuery;
use linecamp_proto::api::{RecordPlace, RecordView};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{optional_name, unknown};
use super::routes::Encoded;
use super::sites::filter;

/// Overhead of a record beside its texts and values, in bytes: keys, quotes and commas.
const RECORD_FRAME_BYTES: usize = 256;

/// Overhead of a value, in bytes.
const VALUE_FRAME_BYTES: usize = 4;

pub(super) async fn list(call: Call<ListRecords>) -> Result<Encoded<ListRecords>, ApiError> {
    let paging = Paging::of(&call)?;
    let (filter, request) = (record_filter(&call.query)?, paging.request().clone());
    let encoded = call.fleet.list(move |lists, now| {
        Encoded::new(&paging.list(lists.record_page(&filter, &request, now, shown), |record| record))
    });
    Ok(encoded.await?)
}

fn record_filter(query: &RecordQuery) -> Result<RecordFilter, ApiError> {
    let all = || RecordState::ALL.iter().map(|state| state.as_str());
    let state = |text: &str| RecordState::parse(text).ok_or_else(|| unknown("state", text, all()));
    Ok(RecordFilter {
        sites: filter(query.selector.as_deref(), query.environment.as_deref(), query.site.as_deref())?,
        provider: optional_name("provider", query.provider.as_deref())?,
        state: query.state.as_deref().map(state).transpose()?,
    })
}

fn shown(listed: ListedRecord<'_>) -> (RecordView, usize) {
    let ListedRecord { environment, site, provider, record } = listed;
    let view = RecordView::new(RecordPlace { environment, site, provider }, record);
    let bytes = text_bytes(&view);
    (view, bytes)
}

fn text_bytes(view: &RecordView) -> usize {
    let RecordView { site, environment, record } = view;
    let texts = [site, environment, &record.provider, &record.zone, &record.name, &record.rtype, &record.detail];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let observed = record.observed.iter().flatten().chain(&record.failure);
    let values: usize = record.values.iter().chain(observed).map(|value| value.len() + VALUE_FRAME_BYTES).sum();
    RECORD_FRAME_BYTES + texts + values
}

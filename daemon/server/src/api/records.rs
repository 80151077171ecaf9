//! DNS records, as last reported by the sites.

use linecamp_core::{FleetView, SiteFilter};
use linecamp_model::{Name, Now, ProviderStatus, RecordState};
use linecamp_proto::api::operation::ListRecords;
use linecamp_proto::api::query::RecordQuery;
use linecamp_proto::api::{ErrorCode, List, RecordPlace, RecordView};

use super::call::Call;
use super::error::ApiError;
use super::parse::optional_name;
use super::sites::filter;

/// Maximum size of the records in one answer, in bytes of text: about 30,000 records. JSON adds half as much again, and
/// a client reads 16 MiB. A larger answer is rejected; the client must filter for fewer records.
const RECORDS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Overhead of a record beside its texts and values, in bytes: keys, quotes and commas.
const RECORD_FRAME_BYTES: usize = 256;

/// Overhead of a value, in bytes.
const VALUE_FRAME_BYTES: usize = 4;

/// The requested records.
#[derive(Debug)]
struct Wanted {
    filter: SiteFilter,
    provider: Option<Name>,
    state: Option<RecordState>,
}

pub(super) async fn list(call: Call<ListRecords>) -> Result<List<RecordView>, ApiError> {
    let wanted = Wanted::parse(&call.query)?;
    let found = call.fleet.query(move |fleet, now| wanted.find(fleet, now)).await?;
    let too_many = || {
        let text = "too many records for one response; filter by site, provider or state";
        ApiError::new(ErrorCode::Limit, text)
    };
    found.map(|items| List { items }).ok_or_else(too_many)
}

impl Wanted {
    fn parse(query: &RecordQuery) -> Result<Self, ApiError> {
        let state = |text: &str| {
            let states: Vec<_> = RecordState::ALL.iter().map(|state| state.as_str()).collect();
            let problem = || format!("unknown value `{text}`; use one of {}", states.join(", "));
            RecordState::parse(text).ok_or_else(|| ApiError::invalid("state", &problem(), None))
        };
        Ok(Self {
            filter: filter(query.selector.as_deref(), query.environment.as_deref(), query.site.as_deref())?,
            provider: optional_name("provider", query.provider.as_deref())?,
            state: query.state.as_deref().map(state).transpose()?,
        })
    }

    /// Returns the records ordered by environment, site, provider, zone, name and type; `None` if they are too many.
    fn find(&self, fleet: FleetView<'_>, now: Now) -> Option<Vec<RecordView>> {
        let environments = match &self.filter.environment {
            Some(environment) => vec![environment.clone()],
            None => fleet.environments().into_iter().map(|(name, _, _)| name).collect(),
        };
        let mut found = Vec::new();
        let mut bytes = 0;
        for environment in environments {
            for (site, status) in self.statuses(fleet, &environment, now) {
                let place = RecordPlace { environment: &environment, site: &site, provider: status };
                let records =
                    status.records().iter().filter(|record| self.state.is_none_or(|state| state == record.state));
                for view in records.map(|record| RecordView::new(place, record)) {
                    bytes += text_bytes(&view);
                    if RECORDS_BYTES_MAX < bytes {
                        return None;
                    }
                    found.push(view);
                }
            }
        }
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        Some(found)
    }

    fn statuses<'a>(&self, fleet: FleetView<'a>, environment: &Name, now: Now) -> Vec<(Name, &'a ProviderStatus)> {
        let filter = SiteFilter { environment: Some(environment.clone()), ..self.filter.clone() };
        let mut statuses = fleet.provider_statuses(&filter);
        statuses.retain(|(site, status)| {
            filter.site.as_ref().is_none_or(|wanted| wanted == site)
                && self.provider.as_ref().is_none_or(|wanted| *wanted == status.name)
        });
        if !filter.selector.is_all() {
            let selected: Vec<_> = fleet.sites(&filter, now).into_iter().map(|site| site.name).collect();
            statuses.retain(|(site, _)| selected.binary_search(site).is_ok());
        }
        statuses
    }
}

fn text_bytes(view: &RecordView) -> usize {
    let RecordView { site, environment, record } = view;
    let texts = [site, environment, &record.provider, &record.zone, &record.name, &record.rtype, &record.detail];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let observed = record.observed.iter().flatten().chain(&record.failure);
    let values: usize = record.values.iter().chain(observed).map(|value| value.len() + VALUE_FRAME_BYTES).sum();
    RECORD_FRAME_BYTES + texts + values
}

fn order(view: &RecordView) -> [&str; 6] {
    let RecordView { site, environment, record } = view;
    [environment, site, &record.provider, &record.zone, &record.name, &record.rtype]
}

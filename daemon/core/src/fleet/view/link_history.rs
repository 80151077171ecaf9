//! The history of a site's link.

use linecamp_model::{LinkGap, WallTime};

use super::FleetView;
use crate::fleet::command::FleetCommandError;
use crate::fleet::lookup::find_visible_site;
use crate::fleet::subject::SiteRef;

impl FleetView<'_> {
    /// Returns the times in which a site had no session, each with when it began, oldest first.
    ///
    /// # Errors
    /// No site or several sites have the name.
    pub fn link_history(self, site: &SiteRef) -> Result<Vec<(WallTime, LinkGap)>, FleetCommandError> {
        let record = self.state.sites.get(&find_visible_site(self.state, self.caller_or_console(), site)?);
        let gaps = record.into_iter().flat_map(|record| &record.gaps);
        Ok(gaps.map(|(began_at, gap)| (*began_at, gap.clone())).collect())
    }
}

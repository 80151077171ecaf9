//! `linecamp doctor`.

use std::borrow::Cow;

use linecamp_model::printable;
use linecamp_proto::api::operation::ShowRequest;
use linecamp_proto::api::{ForwardingHeaderReport, IgnoredHeaderReason, RequestHeaderReport, RequestReport};
use linecamp_table::{Cell, Table};

use crate::client::ApiRequest;
use crate::context::Context;
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DoctorCommand {
    /// Show how a request of this machine arrives at the server
    ///
    /// Shows the address, scheme, host and port that the server takes the request to come from, and which headers of a
    /// proxy it believed. The server believes only the addresses in trusted_proxies.
    #[command(after_help = "\
Example:
  linecamp doctor request")]
    Request,
}

impl DoctorCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Request => {
                let report = context.client()?.send(ApiRequest::<ShowRequest>::new()).await?;
                Ok(context.out.show(&report, |style| text(&report, style))?)
            }
        }
    }
}

fn text(report: &RequestReport, style: &TextStyle) -> String {
    let sender = match report.proxy_trusted {
        true => "trusted proxy",
        false => "not in trusted_proxies",
    };
    let connection = format!(
        "{} {} from {} ({sender})",
        report.http_version,
        match &*report.connection_scheme {
            "https" => "over TLS",
            _ => "without TLS",
        },
        report.connection_address
    );
    let lines = [("client", &report.client), ("URL", &report.url), ("connection", &connection)];
    let facts = Table::bare().with(lines.map(|(name, value)| [Cell::from(name), Cell::from(printable(value))]));
    let forwarding = Table::new(["HEADER", "VALUE", "BELIEVED"]).with(report.forwarding_headers.iter().map(row));
    let others = Table::new(["OTHER HEADER", "VALUE"]).with(report.other_headers.iter().map(other_row));
    let mut text = format!("{}\n", facts.render(style.colors));
    for table in [forwarding.render(style.colors), others.render(style.colors)] {
        text += &format!("{table}\n");
    }
    if report.headers_not_listed != 0 {
        text += &format!("{} more headers\n\n", report.headers_not_listed);
    }
    text.pop();
    text
}

fn row(header: &ForwardingHeaderReport) -> [Cell; 3] {
    let verdict = match header.reason {
        _ if header.believed => "yes",
        Some(IgnoredHeaderReason::UntrustedSender) => "no: the sender is not in trusted_proxies",
        Some(IgnoredHeaderReason::NotUsed) => "no: this header is not used",
        Some(IgnoredHeaderReason::Repeated) => "no: only one value counts",
        Some(IgnoredHeaderReason::Invalid) => "no: invalid value",
        Some(IgnoredHeaderReason::OtherScheme) => "no: only https and http count",
        Some(IgnoredHeaderReason::Unknown) | None => "no",
    };
    [Cell::from(printable(&header.name)), Cell::from(printable(&header.value)), Cell::from(verdict)]
}

fn other_row(header: &RequestHeaderReport) -> [Cell; 2] {
    let value = header.value.as_deref().map_or(Cow::Borrowed("(not shown)"), printable);
    [Cell::from(printable(&header.name)), Cell::from(value)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn a_request_is_shown_with_what_was_believed_and_why_not() {
        let header = |name: &str, value: &str, reason: Option<IgnoredHeaderReason>| ForwardingHeaderReport {
            name: name.into(),
            value: value.into(),
            believed: reason.is_none(),
            reason,
        };
        let other = |name: &str, value: Option<&str>| RequestHeaderReport {
            name: name.into(),
            value: value.map(str::to_owned),
        };
        let report = RequestReport {
            url: "https://camp.example".into(),
            client: "198.51.100.7".into(),
            scheme: "https".into(),
            host: "camp.example".into(),
            port: 443,
            connection_address: "10.0.0.1".into(),
            connection_scheme: "http".into(),
            http_version: "HTTP/1.1".into(),
            proxy_trusted: true,
            forwarding_headers: vec![
                header("host", "camp.example", None),
                header("x-forwarded-proto", "wss", Some(IgnoredHeaderReason::OtherScheme)),
                header("forwarded", "for=192.0.2.1", Some(IgnoredHeaderReason::NotUsed)),
            ],
            other_headers: vec![other("authorization", None), other("user-agent", Some("linecamp/0.1.0"))],
            headers_not_listed: 2,
        };
        insta::assert_snapshot!(text(&report, &plain()));
    }
}

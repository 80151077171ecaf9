//! `linecamp ca`.

use linecamp_model::{Pin, printable};
use linecamp_proto::api::operation::{AbortCa, AddCa, Json, Operation, RetireCa, ShowCa, SwitchCa};
use linecamp_proto::api::{CaRetirement, CaStatus};
use linecamp_table::{Cell, Table};

use crate::client::ApiRequest;
use crate::context::Context;
use crate::credentials::{LoginFile, config_path, pin_variable};
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum CaCommand {
    /// Show the certificate authorities, and the sites that lack the next one
    #[command(after_help = "\
Examples:
  linecamp ca status
  linecamp ca status -o json")]
    Status,
    /// Create the next certificate authority and tell the sites to trust it
    ///
    /// Nothing else changes: the current authority issues all certificates until `linecamp ca switch`. Back up the
    /// server afterwards.
    #[command(after_help = "\
Example:
  linecamp ca add")]
    Add,
    /// Let the next certificate authority issue all certificates
    ///
    /// Certificates and pins of the replaced authority stay valid until `linecamp ca retire`. Sites renew their
    /// certificates. New join tokens have the pin of the next authority.
    #[command(after_help = "\
Example:
  linecamp ca switch")]
    Switch,
    /// Retire the certificate authority that was replaced
    ///
    /// Its certificates and pins become invalid: old join tokens stop working, and operators log in with the new pin.
    /// Fails while a site lacks the next authority or a certificate from it.
    #[command(after_help = "\
Examples:
  linecamp ca retire
  linecamp ca retire --force")]
    Retire(Retire),
    /// Drop the next certificate authority before the switch
    #[command(after_help = "\
Example:
  linecamp ca abort")]
    Abort,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Retire {
    /// Retire it although sites lack the next one; prints these sites
    #[arg(long)]
    force: bool,
}

impl CaCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Status => send(ApiRequest::<ShowCa>::new(), context).await,
            Self::Add => send(ApiRequest::<AddCa>::new(), context).await,
            Self::Switch => send(ApiRequest::<SwitchCa>::new(), context).await,
            Self::Retire(Retire { force }) => {
                send(ApiRequest::<RetireCa>::new().body(&CaRetirement { force }), context).await
            }
            Self::Abort => send(ApiRequest::<AbortCa>::new(), context).await,
        }
    }
}

async fn send<O>(request: ApiRequest<O>, context: &Context<'_>) -> anyhow::Result<()>
where
    O: Operation<Response = Json<CaStatus>> + Clone,
{
    let status = context.client()?.send(request).await?;
    follow_pin(&status, context)?;
    Ok(context.out.show(&status, |style| render(&status, style))?)
}

/// Replaces the pin of the login by that of the authority that issues certificates now: the server has just proved by
/// the stored pin that it may say so.
fn follow_pin(status: &CaStatus, context: &Context<'_>) -> anyhow::Result<()> {
    let Some(pin) = status.pin().and_then(|pin| Pin::parse(pin).ok()).map(|pin| pin.to_string()) else {
        return Ok(());
    };
    if let Some((variable, text)) = pin_variable(context.env) {
        if text != pin {
            context.out.note(&format!("set {variable}={pin} before the previous authority is retired"));
        }
        return Ok(());
    }
    let path = config_path(context.env)?;
    let Some(mut file) = LoginFile::load(&path)? else { return Ok(()) };
    let name = file.context_name(context.login.as_ref(), context.env)?;
    let Some(login) = file.contexts.get_mut(&name) else { return Ok(()) };
    if context.ca.is_none() && login.pin.as_ref().is_some_and(|stored| *stored != pin) {
        login.pin = Some(pin.clone());
        file.save(&path)?;
        context.out.note(&format!("the login in {} now has the pin {pin}", path.display()));
    }
    Ok(())
}

fn render(status: &CaStatus, style: &TextStyle) -> String {
    let row = |authority: &linecamp_proto::api::CaAuthority| {
        [Cell::from(&authority.role), Cell::from(&authority.pin), Cell::from(&authority.expires_at)]
    };
    let authorities =
        Table::new(["AUTHORITY", "PIN", "EXPIRES"]).with(status.authorities.iter().map(row)).render(style.colors);
    authorities + "\n" + &describe(status) + &waiting(status, style)
}

/// Says how far the replacement is, and what comes next.
fn describe(status: &CaStatus) -> String {
    let waiting = status.waiting;
    let sites = status.sites;
    match status.state.as_str() {
        "added" => format!(
            "The next authority exists: {} of {sites} sites have stored it. Next: linecamp ca switch\n",
            sites - waiting.min(sites)
        ),
        "switched" => {
            let tokens = match status.old_tokens {
                0 => String::new(),
                count => format!("{count} valid join tokens have the pin of the previous authority.\n"),
            };
            format!(
                "The next authority issues certificates: {} of {sites} sites have one. Next: linecamp ca retire\n\
                 {tokens}",
                sites - waiting.min(sites)
            )
        }
        "stable" if 0 < waiting => format!(
            "The previous authority is retired. {waiting} sites lack something: when they return, they are admitted by a \
             recovery.\n"
        ),
        "stable" => "No replacement is in progress.\n".to_owned(),
        other => format!("state: {}\n", printable(other)),
    }
}

fn waiting(status: &CaStatus, style: &TextStyle) -> String {
    if status.waiting_sites.is_empty() {
        return String::new();
    }
    let row = |site: &linecamp_proto::api::CaWaitingSite| {
        [
            Cell::from(&site.name),
            Cell::from(&site.environment),
            Cell::from(&site.lacks),
            Cell::from(&site.link),
            Cell::from(style.age(&site.since)),
        ]
    };
    let table = Table::new(["SITE", "ENVIRONMENT", "LACKS", "LINK", "SINCE"])
        .with(status.waiting_sites.iter().map(row))
        .render(style.colors);
    let more = match status.waiting - status.waiting_sites.len().min(status.waiting) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("\n{table}{more}")
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::{CaAuthority, CaWaitingSite};

    use super::*;
    use crate::text_style::plain;

    fn authority(role: &str, pin: &str) -> CaAuthority {
        CaAuthority { role: role.into(), pin: pin.into(), expires_at: "2046-01-01T00:00:00Z".into() }
    }

    fn status(state: &str) -> CaStatus {
        CaStatus {
            state: state.into(),
            authorities: vec![authority("current", "sha256:aa"), authority("previous", "sha256:bb")],
            set: Some(2),
            since: Some("2026-11-22T10:00:00Z".into()),
            sites: 3,
            waiting: 2,
            waiting_sites: vec![CaWaitingSite {
                environment: "default".into(),
                name: "camp-042".into(),
                lacks: "certificate".into(),
                link: "disconnected".into(),
                since: "2026-11-22T10:00:00Z".into(),
            }],
            old_tokens: 1,
        }
    }

    #[test]
    fn the_status_names_the_sites_that_wait_and_the_next_step() {
        let text = render(&status("switched"), &plain());
        for part in [
            "sha256:aa",
            "previous",
            "1 of 3 sites",
            "linecamp ca retire",
            "1 valid join tokens",
            "camp-042",
            "certificate",
            "and 1 more",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(render(&status("added"), &plain()).contains("linecamp ca switch"));
        let stable = CaStatus { waiting: 0, waiting_sites: Vec::new(), ..status("stable") };
        assert!(render(&stable, &plain()).ends_with("No replacement is in progress.\n"));
    }
}

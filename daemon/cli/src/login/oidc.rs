//! `linecamp login --oidc`: a login at the identity provider of the server.
//!
//! With a browser on this machine, the browser goes to the server and the provider, and brings a code to this program,
//! which listens on the loopback interface (RFC 8252). The code is of no use without a verifier that never leaves this
//! program. Without a browser (`--device`), the person enters a short code in a browser on another machine, and this
//! program asks the server until that has happened. The provider's tokens and the server's secret there never come
//! here.

use std::time::Duration;

use anyhow::Context as _;
use data_encoding::BASE64URL_NOPAD;
use linecamp_model::{SecretHash, printable};
use linecamp_proto::api::account::LoggedIn;
use linecamp_proto::api::oidc_login::{DeviceLoginHandle, DeviceLoginState, OidcCode, OidcLoginQuery};
use linecamp_proto::api::operation::{BeginDeviceLogin, BeginOidcLogin, FinishDeviceLogin, RedeemOidcLogin};
use linecamp_transport::random_bytes;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::{ApiRequest, Client};
use crate::context::Context;

/// How long the browser may take. The server forgets the login after the same time.
const BROWSER_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long a login on another device may take, and a pause between two questions whether it is done, whatever the
/// server says.
const DEVICE_LIMIT: Duration = Duration::from_secs(60 * 60);
const DEVICE_PAUSE_SECONDS_MAX: u64 = 60;

/// How long a connection of a browser may take to send its request: browsers open some that they do not use.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// The longest line of a request, in bytes. A longer one is not from the server's redirect.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// A request to the listener.
#[derive(Debug, PartialEq, Eq)]
enum BrowserReturn {
    Code(String),
    /// The login was refused, and why.
    Refused(String),
    /// Something else: an icon, or a page that another program opened.
    Other,
}

/// Logs in with a browser on this machine.
pub(super) async fn with_browser(client: &mut Client, context: &Context<'_>) -> anyhow::Result<LoggedIn> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen for the browser on 127.0.0.1")?;
    let port = listener.local_addr().context("cannot listen for the browser on 127.0.0.1")?.port();
    let (verifier, state) = (random_text()?, random_text()?);
    let challenge = BASE64URL_NOPAD.encode(SecretHash::of(verifier.as_bytes()).as_bytes());
    let query =
        OidcLoginQuery { return_to: None, port: Some(port), challenge: Some(challenge), state: Some(state.clone()) };
    let url = ApiRequest::<BeginOidcLogin>::new().query(&query).url(&client.server());
    context.out.note(&format!("open this URL in a browser on this machine, and log in:\n\n  {url}\n"));
    let returned = timeout(BROWSER_LIMIT, wait_for_browser(&listener, &state)).await;
    let code = returned.with_context(|| {
        format!("no browser has logged in within {} minutes; without one, use --device", BROWSER_LIMIT.as_secs() / 60)
    })??;
    let code = OidcCode { code, verifier };
    Ok(client.send(ApiRequest::<RedeemOidcLogin>::new().body(&code)).await?)
}

/// Logs in with a browser on another machine.
pub(super) async fn with_device(client: &mut Client, context: &Context<'_>) -> anyhow::Result<LoggedIn> {
    let begun = client.send(ApiRequest::<BeginDeviceLogin>::new()).await?;
    let limit = Instant::now() + DEVICE_LIMIT.min(Duration::from_secs(begun.expires_in_seconds));
    let complete = begun.verification_uri_complete.as_deref();
    let complete = complete.map(|url| format!("\nor open {}", printable(url))).unwrap_or_default();
    context.out.note(&format!(
        "open {} in a browser on any machine, and enter the code {}{complete}\n",
        printable(&begun.verification_uri),
        printable(&begun.user_code),
    ));
    let mut seconds = begun.interval_seconds;
    let handle = DeviceLoginHandle { handle: begun.handle };
    loop {
        sleep(Duration::from_secs(seconds.clamp(1, DEVICE_PAUSE_SECONDS_MAX))).await;
        anyhow::ensure!(Instant::now() < limit, "nobody has entered the code in time; log in again");
        match client.send(ApiRequest::<FinishDeviceLogin>::new().body(&handle)).await {
            Ok(DeviceLoginState { logged_in: Some(logged_in), .. }) => return Ok(logged_in),
            Ok(state) => seconds = state.retry_after_seconds.unwrap_or_default(),
            // The server keeps the login, unless it was restarted.
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait_for_browser(listener: &TcpListener, state: &str) -> anyhow::Result<String> {
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept the browser's connection")?;
        match answer(stream, state).await {
            BrowserReturn::Code(code) => return Ok(code),
            BrowserReturn::Refused(text) => anyhow::bail!("{}", printable(&text)),
            BrowserReturn::Other => {}
        }
    }
}

/// Reads one request and answers it. What goes wrong concerns this connection only.
async fn answer(stream: TcpStream, state: &str) -> BrowserReturn {
    let deadline = Instant::now() + REQUEST_LIMIT;
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut limited = (&mut stream).take(LINE_BYTES_MAX);
    if !matches!(timeout_at(deadline, limited.read_until(b'\n', &mut line)).await, Ok(Ok(_))) {
        return BrowserReturn::Other;
    }
    let returned = parse(&String::from_utf8_lossy(&line), state);
    let (status, text) = match &returned {
        BrowserReturn::Code(_) => ("200 OK", "The login continues in the terminal. You can close this window."),
        BrowserReturn::Refused(_) => ("403 Forbidden", "The login was refused; the terminal says why."),
        BrowserReturn::Other => ("404 Not Found", "There is nothing here."),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    // A browser that is gone has brought its code.
    drop(timeout_at(deadline, finish(stream, response)).await);
    returned
}

/// Sends the response, and reads the rest of the request: otherwise the browser might not see the response.
async fn finish(mut stream: BufReader<TcpStream>, response: String) -> std::io::Result<()> {
    stream.get_mut().write_all(response.as_bytes()).await?;
    stream.get_mut().shutdown().await?;
    tokio::io::copy(&mut (&mut stream).take(LINE_BYTES_MAX * 4), &mut tokio::io::sink()).await.map(drop)
}

/// Parses the first line of a request. Only one with the state of this login counts.
fn parse(line: &str, state: &str) -> BrowserReturn {
    let target = line.strip_prefix("GET /?").and_then(|rest| rest.split_once(" HTTP/1."));
    let Some((query, _)) = target else { return BrowserReturn::Other };
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name)?.1;
        percent_decode_str(found).decode_utf8().ok().map(|text| text.into_owned())
    };
    if value("state").as_deref() != Some(state) {
        return BrowserReturn::Other;
    }
    match (value("code"), value("error_description")) {
        (Some(code), _) => BrowserReturn::Code(code),
        (None, Some(text)) => BrowserReturn::Refused(text),
        (None, None) => BrowserReturn::Refused("the login was refused".to_owned()),
    }
}

fn random_text() -> anyhow::Result<String> {
    Ok(BASE64URL_NOPAD.encode(&random_bytes::<32>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_return_of_this_login_counts() {
        let check = |line: &str, expected: BrowserReturn| assert_eq!(parse(line, "s-1"), expected, "{line}");
        check("GET /?code=c%2F1&state=s-1 HTTP/1.1\r\n", BrowserReturn::Code("c/1".into()));
        check(
            "GET /?error=access_denied&error_description=no%20role&state=s-1 HTTP/1.1",
            BrowserReturn::Refused("no role".into()),
        );
        for other in [
            "GET /?code=c&state=s-2 HTTP/1.1",
            "GET /?code=c HTTP/1.1",
            "POST /?code=c&state=s-1 HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "GET /?code=c&state=s-1",
            "",
        ] {
            check(other, BrowserReturn::Other);
        }
    }
}

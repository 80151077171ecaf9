//! Alternatives to a plugin: a process started for each request, and a local service queried over HTTP.
//!
//! Both have their cheapest form: a shell that reads a line and answers it, and a server that answers immediately over
//! a persistent connection. Neither restricts which endpoints it may reach.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::machine::Burst;
use crate::numbers::{median, micros, percentile};
use crate::paths::Bench;
use crate::results::{Figure, Table};

/// The size of the smallest call's answer: a plugin's description of itself is some hundreds of bytes.
const ANSWER: &str =
    r#"{"name": "dns-fake", "version": "0.1.0", "summary": "Manages DNS records in a small zone API."}"#;

pub(super) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    // The burst also covers what is started here: the shells and the server's thread.
    let _burst = Burst::begin(&[]);
    let spawns = bench.scale(500, 20);
    let times = (0..spawns).map(|_| time_process()).collect::<anyhow::Result<Vec<_>>>()?;
    add_row(
        table,
        "a process that answers one line",
        &times,
        "`sh` that reads a line and prints it, until it has ended",
    );

    let address = serve()?;
    let (mut sender, connection) = handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    let requests = bench.scale(5_000, 100);
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        times.push(time_request(&mut sender, address).await?);
    }
    let how = "POST over one connection that stays open to a server in another thread, without TLS or a password";
    add_row(table, "a webhook on loopback", &times, how);
    Ok(())
}

fn add_row(table: &mut Table, line: &str, times: &[Duration], what: &str) {
    let how = format!("{what}; median of {}, p99 {:.0} µs", times.len(), micros(percentile(times, 0.99)));
    table.record(line, Figure::new(micros(median(times)), "µs"), &how);
}

fn time_process() -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new("sh");
    command.args(["-c", "read -r line; echo \"$line\""]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("failed to start sh")?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    stdin.write_all(format!("{ANSWER}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut answer)?;
    child.wait()?;
    let took = began.elapsed();
    ensure!(answer.trim_end() == ANSWER, "sh answered `{answer}`");
    Ok(took)
}

/// Starts a server on a separate thread, for the lifetime of this process.
fn serve() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to listen")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = crate::runtime()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // If the connection ends, the pending request reports why.
            let server = hyper::server::conn::http1::Builder::new();
            drop(server.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
            anyhow::Ok(())
        })
    });
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    request.into_body().collect().await?;
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes()))))
}

async fn time_request(sender: &mut SendRequest<Full<Bytes>>, address: SocketAddr) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let request = Request::post("/describe").header(hyper::header::HOST, address.to_string());
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(Bytes::from_static(b"{}")))?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    let took = began.elapsed();
    ensure!(body == ANSWER, "the webhook answered something else");
    Ok(took)
}

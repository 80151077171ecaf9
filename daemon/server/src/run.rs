//! The command `linecamp-server run`: the server, its log and its signal handling.

use std::path::PathBuf;

use linecamp_server::log::Log;
use linecamp_server::{Config, Layout, Overrides, Server, Traces};
use linecamp_service::{ServiceManager, report_rejected_config};
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;

/// The sources of the configuration, at startup and on each reload.
pub(crate) struct Source {
    pub(crate) layout: Layout,
    pub(crate) path: Option<PathBuf>,
    pub(crate) overrides: Overrides,
}

impl Source {
    fn read(&self) -> Result<Config, Failure> {
        let config = Config::load(self.layout.clone(), self.path.as_deref(), self.overrides.clone())?;
        Log::check(&config.log)?;
        Ok(config)
    }
}

/// Runs the server until a stop is requested.
pub(crate) fn run(source: &Source) -> Result<(), Failure> {
    let config = source.read()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let collector = config.otlp_collector.as_ref();
    let traces = collector.map(|collector| Traces::start(collector, runtime.handle().clone())).transpose()?;
    let log = Log::init(&config.log, traces.as_ref())?;
    let served = runtime.block_on(serve(config, &log, source));
    if let Some(traces) = traces {
        // The runtime sends what the blocking call waits for.
        drop(runtime.block_on(runtime.spawn_blocking(|| traces.stop())));
    }
    served
}

async fn serve(config: Config, log: &Log, source: &Source) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(Failure::Runtime);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut server = Server::start(config).await?;
    tracing::info!("https listening on {}", server.https_addr());
    if let Some(http) = server.http_addr() {
        tracing::info!("http listening on {http}, for proxies that end TLS");
    }
    tracing::info!("quic listening on {}", server.quic_addr());
    let mut manager = ServiceManager::from_environment();
    manager.ready();
    manager.status(&format!("https on {}, quic on {}", server.https_addr(), server.quic_addr()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                manager.reloading();
                let note = reload(&mut server, log, source);
                manager.note(note);
                manager.ready();
            }
            ended = server.ended() => {
                ended?;
                break;
            }
        }
    }
    server.stop().await?;
    Ok(())
}

/// Reloads the configuration and applies what can be applied immediately. Returns the status for the service manager to
/// show from now on. A configuration that cannot be read changes nothing.
fn reload(server: &mut Server, log: &Log, source: &Source) -> Option<String> {
    let config = match source.read() {
        Ok(config) => config,
        Err(failure) => return Some(report_rejected_config(&failure)),
    };
    if let Err(error) = log.set(&config.log) {
        tracing::warn!(%error, "invalid log filter ignored");
    }
    server.reload(config).report()
}

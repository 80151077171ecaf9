//! Fact collection ↔ the state machine's `CollectFacts`.

use std::sync::Arc;

use linecamp_core::Facts;
use tokio::sync::mpsc;

use crate::facts::FactSources;

/// Collects facts in the background, one round at a time.
#[derive(Debug)]
pub(crate) struct FactsDriver {
    sources: Arc<FactSources>,
    collected: mpsc::Receiver<Facts>,
    collector: mpsc::Sender<Facts>,
    is_collecting: bool,
}

impl FactsDriver {
    pub(crate) fn new(sources: FactSources) -> Self {
        let (collector, collected) = mpsc::channel(1);
        Self { sources: Arc::new(sources), collected, collector, is_collecting: false }
    }

    /// Sets the sources for the next round on.
    pub(crate) fn set_sources(&mut self, sources: FactSources) {
        self.sources = Arc::new(sources);
    }

    /// Starts a round unless one is in progress.
    pub(crate) fn collect(&mut self) {
        if self.is_collecting {
            return;
        }
        self.is_collecting = true;
        let (sources, collector) = (Arc::clone(&self.sources), self.collector.clone());
        tokio::spawn(async move {
            // If the loop is gone, the facts are dropped.
            let _ = collector.send(sources.collect().await).await;
        });
    }

    /// Returns the facts of a finished round. Cancel-safe.
    pub(crate) async fn collected(&mut self) -> Facts {
        match self.collected.recv().await {
            Some(facts) => {
                self.is_collecting = false;
                facts
            }
            // Cannot happen: `self` holds a sender.
            None => std::future::pending().await,
        }
    }
}

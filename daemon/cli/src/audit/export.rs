//! `linecamp audit export`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use linecamp_proto::api::AuditPage;
use linecamp_proto::api::query::AuditQuery;

use super::page;
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// New file to write; by default stdout
    file: Option<PathBuf>,
    /// Only entries above this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
}

impl Export {
    pub(super) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let client = &mut context.client()?;
        let mut file = match &self.file {
            Some(path) => {
                let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                Some(BufWriter::new(created.with_context(|| format!("cannot create {}", path.display()))?))
            }
            None => None,
        };
        let (mut last, mut count) = (self.after, 0_u64);
        loop {
            let query = AuditQuery { after: Some(last), ..AuditQuery::default() };
            let AuditPage { items, head, .. } = page(client, query).await?;
            let mut lines = String::new();
            for entry in &items {
                lines += &serde_json::to_string(entry)?;
                lines.push('\n');
            }
            match &mut file {
                Some(file) => file.write_all(lines.as_bytes()).context("cannot write the file")?,
                None => context.out.print(&lines)?,
            }
            count += items.len() as u64;
            match items.last() {
                Some(entry) => last = entry.number,
                None => {
                    if let Some(file) = &mut file {
                        file.flush().and_then(|()| file.get_ref().sync_all()).context("cannot write the file")?;
                    }
                    context.out.note(&format!("{count} entries exported; head {}@{}", head.hash, head.number));
                    return Ok(());
                }
            }
        }
    }
}

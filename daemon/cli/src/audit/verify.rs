//! `linecamp audit verify`.

use std::path::{Path, PathBuf};

use linecamp_model::{AuditBreak, AuditHash, AuditHead, AuditVerifier};
use linecamp_proto::api::AuditEntry;
use linecamp_proto::api::query::AuditQuery;
use serde::Serialize;

use super::page;
use crate::argument::ArgumentError;
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::input_file;

/// Maximum size of an exported file: the largest log that a server keeps.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Exported file to verify; by default the log of the server
    file: Option<PathBuf>,
    /// Head that was printed before: the log must contain it
    #[arg(long, value_name = "HASH@NUMBER", value_parser = parse_head)]
    head: Vec<AuditHead>,
    /// File that was exported before: the log must contain its last entry
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
}

/// The result of a verification.
#[derive(Debug, Serialize)]
struct Verified {
    /// How many entries were verified.
    entries: u64,
    /// The number of the first one.
    first: u64,
    /// The head, to be kept.
    head: String,
    /// Whether the log contains a head that was known.
    compared: bool,
}

fn parse_head(text: &str) -> Result<AuditHead, String> {
    AuditHead::parse(text).ok_or_else(|| "expected HASH@NUMBER, as `linecamp audit verify` prints it".to_owned())
}

impl Verify {
    pub(super) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut known = self.head;
        for path in &self.against {
            let lines = read_lines(path)?;
            let start = start_of(path, &lines)?;
            known.push(verify_lines(start, Vec::new(), &lines).map_err(CommandFailure::AuditBroken)?.0);
        }
        let has_known = !known.is_empty();
        let verified = match &self.file {
            Some(path) => {
                let lines = read_lines(path)?;
                let start = start_of(path, &lines)?;
                let (head, compared) = verify_lines(start, known, &lines).map_err(CommandFailure::AuditBroken)?;
                Verified {
                    entries: head.number - start.number,
                    first: start.number + 1,
                    head: head.to_string(),
                    compared,
                }
            }
            None => verify_server(known, context).await?,
        };
        context.out.show(&verified, |_| render(&verified))?;
        match (has_known, verified.compared) {
            (true, false) => Err(CommandFailure::AuditNotCompared.into()),
            (false, _) => {
                context.out.note(
                    "no known head to compare with: a cut end and a rewritten log are not detected; keep the head, and \
                     give it with --head next time",
                );
                Ok(())
            }
            (true, true) => Ok(()),
        }
    }
}

fn render(verified: &Verified) -> String {
    let Verified { entries, first, head, compared } = verified;
    let compared = if *compared { ", and the known heads are in it" } else { "" };
    match entries {
        0 => "The audit log is empty.\n".to_owned(),
        _ => format!("{entries} entries verified, from {first} on{compared}.\nhead {head}\n"),
    }
}

/// Verifies the log of the server, page by page.
async fn verify_server(known: Vec<AuditHead>, context: &Context<'_>) -> anyhow::Result<Verified> {
    let client = &mut context.client()?;
    let broken = CommandFailure::AuditBroken;
    let mut next = page(client, AuditQuery { after: Some(0), ..AuditQuery::default() }).await?;
    let start = next.start.to_head().ok_or(CommandFailure::AuditHash)?;
    let mut verifier = AuditVerifier::new(start, known).map_err(broken)?;
    while let Some(last) = next.items.last().map(|entry| entry.number) {
        for entry in &next.items {
            check(&mut verifier, entry).map_err(broken)?;
        }
        next = page(client, AuditQuery { after: Some(last), ..AuditQuery::default() }).await?;
    }
    let (end, compared) = verifier.finish().map_err(broken)?;
    // The head is stored apart from the entries: the last one is compared with it.
    let head = next.head.to_head().ok_or(CommandFailure::AuditHash)?;
    if end.number < head.number {
        return Err(broken(AuditBreak::CutOff { last: end.number, known: head.number }).into());
    }
    if end != head {
        return Err(broken(AuditBreak::Rewritten { number: end.number }).into());
    }
    Ok(Verified { entries: end.number - start.number, first: start.number + 1, head: end.to_string(), compared })
}

fn check(verifier: &mut AuditVerifier, entry: &AuditEntry) -> Result<(), AuditBreak> {
    let changed = AuditBreak::Changed { number: entry.number };
    let (previous, hash) = AuditHash::parse(&entry.previous).zip(AuditHash::parse(&entry.hash)).ok_or(changed)?;
    let fields = entry.fields();
    verifier.check((entry.number, previous, hash), fields.iter().map(|(name, value)| (*name, value.as_str())))
}

fn read_lines(path: &Path) -> Result<Vec<AuditEntry>, ArgumentError> {
    let text = input_file::read_text(path, FILE_BYTES_MAX)?;
    let entry = |(line, number): (&str, usize)| {
        let parsed = serde_json::from_str(line);
        parsed.map_err(|error| input_file::invalid(path, format!("line {number} is no entry of an audit log: {error}")))
    };
    text.lines().zip(1..).map(entry).collect()
}

/// Returns what the first entry of a file follows, as the file says.
fn start_of(path: &Path, lines: &[AuditEntry]) -> Result<AuditHead, ArgumentError> {
    let first = lines.first().ok_or_else(|| input_file::invalid(path, "the file has no entries".to_owned()))?;
    let hash = AuditHash::parse(&first.previous);
    let hash = hash.ok_or_else(|| input_file::invalid(path, "line 1 has no valid hash".to_owned()))?;
    Ok(AuditHead { number: first.number.saturating_sub(1), hash })
}

fn verify_lines(
    start: AuditHead,
    known: Vec<AuditHead>,
    lines: &[AuditEntry],
) -> Result<(AuditHead, bool), AuditBreak> {
    let mut verifier = AuditVerifier::new(start, known)?;
    for entry in lines {
        check(&mut verifier, entry)?;
    }
    verifier.finish()
}

//! The file that installs a site where the server's packages cannot be fetched: a tar archive with the server's script,
//! its packages for every architecture, and the token.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use linecamp_proto::api::TokenCreated;
use linecamp_proto::api::path::{self, at};

use crate::client::{ApiRequest, Client};

/// The directory in the archive.
const DIRECTORY: &str = "linecamp-site";

/// Who reads it can join.
const MODE: u32 = 0o600;

/// Fetches what is needed and writes it to `file`, which must not exist. Returns its size in bytes.
pub(crate) async fn write(client: &mut Client, created: &TokenCreated, file: &Path) -> anyhow::Result<u64> {
    if created.packages.is_empty() {
        bail!("the server has no packages to install sites with: it was not installed from its own package");
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
    let place = || format!("failed to write {}", file.display());
    let mut archive = tar::Builder::new(made.with_context(place)?);
    let script = client.fetch(ApiRequest::get(path::INSTALL)).await?;
    add(&mut archive, "install", &script).with_context(place)?;
    add(&mut archive, "token", format!("{}\n", created.join).as_bytes()).with_context(place)?;
    for name in &created.packages {
        // It becomes a path here.
        if name.contains('/') || name.starts_with('.') {
            bail!("the server names a package `{}`, which is no file's name", name.escape_debug());
        }
        let package = client.fetch(ApiRequest::get(at(path::INSTALL_PACKAGE, name))).await?;
        add(&mut archive, name, &package).with_context(place)?;
    }
    let written = archive.into_inner().with_context(place)?;
    written.sync_all().with_context(place)?;
    Ok(written.metadata().with_context(place)?.len())
}

fn add(archive: &mut tar::Builder<std::fs::File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(MODE);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, format!("{DIRECTORY}/{name}"), bytes)
}

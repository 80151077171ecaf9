//! The offline installer: a tar archive with the install script, the packages for every architecture and a join token,
//! for sites that cannot download packages from the server.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use linecamp_proto::api::TokenCreated;
use linecamp_proto::api::operation::{ShowInstaller, ShowPackage};

use crate::client::{ApiRequest, Client};
use crate::exit::CommandFailure;

/// The directory in the archive.
const DIRECTORY: &str = "linecamp-site";

/// The archive contains a join token: readable by its owner only.
const MODE: u32 = 0o600;

/// Downloads the parts and writes the archive to `file`, which must not exist. Returns its size in bytes.
pub(crate) async fn write(client: &mut Client, created: &TokenCreated, file: &Path) -> anyhow::Result<u64> {
    if created.packages.is_empty() {
        return Err(CommandFailure::NoPackages.into());
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
    let place = || format!("cannot write {}", file.display());
    let mut archive = tar::Builder::new(opened.with_context(place)?);
    let script = client.fetch(ApiRequest::<ShowInstaller>::new()).await?;
    add(&mut archive, "install", &script).with_context(place)?;
    add(&mut archive, "token", format!("{}\n", created.join).as_bytes()).with_context(place)?;
    for name in &created.packages {
        // The name becomes a path.
        if name.contains('/') || name.starts_with('.') {
            return Err(CommandFailure::PackageName(name.escape_debug().to_string()).into());
        }
        let package = client.fetch(ApiRequest::<ShowPackage>::at(name)).await?;
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

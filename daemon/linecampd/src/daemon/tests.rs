use std::path::Path;

use super::*;
use crate::config::ConfigFile;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn run_in(directory: &Path) -> DaemonError {
    let config = Config::resolve(ConfigFile::default(), &|_| None).unwrap();
    block_on(run(DataDirectory::new(directory), config, None)).unwrap_err()
}

#[test]
fn a_directory_without_a_site_names_the_join_command() {
    let directory = tempfile::tempdir().unwrap();
    let error = run_in(directory.path());
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("linecampd join - --data"), "{error}");
}

#[test]
fn a_second_daemon_is_rejected_and_names_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    let _first = DataDirGuard::acquire(data).unwrap();
    let error = run_in(directory.path());
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
}

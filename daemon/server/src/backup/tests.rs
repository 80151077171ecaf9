use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use linecamp_backup::{BackupError, Lock, Passphrase, Unlock};
use linecamp_model::{FleetChange, Name, PluginDigest, PluginFile, RotationStep, WallTime};
use linecamp_transport::{Authority, SystemClock, WallClock as _};
use tempfile::TempDir;

use super::*;
use crate::api_keys::create_key;
use crate::data_directory::Layout;
use crate::drivers::store;
use crate::init::init;
use crate::server_url::ServerUrl;

/// The smallest file that is accepted: the header of a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

struct Fixture {
    dir: TempDir,
    layout: Layout,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let layout = Layout::new(dir.path().join("data"));
        init(&layout, &ServerUrl::parse("https://camp.example:8443").unwrap(), &[]).unwrap();
        Self { dir, layout }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> BackupFile {
        BackupFile::Path(self.path("camp.backup"))
    }

    fn back_up(&self, lock: &Lock) -> Result<BackupReport, ServerError> {
        let file = self.file();
        back_up(&BackupRequest { layout: &self.layout, config: None, file: &file, lock }, &mut |_| {})
    }

    fn restore(&self, unlock: &Unlock, kept: &[Name]) -> Result<RestoreReport, ServerError> {
        let (file, layout) = (self.file(), Layout::new(self.path("restored")));
        restore(&RestoreRequest { file: &file, unlock, layout: &layout, kept_keys: kept }, &mut |_| {})
    }

    /// Lists a plugin, with a component if `component` is given.
    fn push(&self, listed: &[u8], component: Option<&[u8]>) {
        let digest = PluginDigest::of(listed);
        let name = Name::parse("dns-fake").unwrap();
        let file = PluginFile { name, bytes: listed.len() as u64, pushed_at: WallTime::EPOCH, description: None };
        store::write_once(&self.layout.database(), &[FleetChange::Plugin(digest, Some(file))]).unwrap();
        if let Some(component) = component {
            fs::create_dir_all(self.layout.plugins()).unwrap();
            fs::write(self.layout.dir().join(members::plugin_name(digest)), component).unwrap();
        }
    }

    /// What is left beside the data directory and the backup.
    fn leftovers(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !["data", "camp.backup"].contains(&&**name)).collect()
    }
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::of_text(text).unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn a_server_is_restored_as_it_was_with_its_keys_held() {
    let fixture = Fixture::new();
    let ci = Name::parse("ci").unwrap();
    create_key(&fixture.layout, ci.clone()).unwrap();
    fixture.push(COMPONENT, Some(COMPONENT));
    fs::write(fixture.layout.plugins().join("0.part"), "an upload in progress").unwrap();
    // The server holds this lock while it runs.
    let running = fixture.layout.lock().unwrap();
    let report = fixture.back_up(&Lock::Open).unwrap();
    drop(running);
    assert_eq!((report.checked.plugins, report.warnings.len(), report.checked.warnings.len()), (1, 0, 0));
    assert!(!report.checked.is_encrypted);
    let mode = fs::metadata(fixture.path("camp.backup")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
    assert_eq!(verify(&fixture.file(), &Unlock::Open).unwrap().records, report.checked.records);

    let restored = fixture.restore(&Unlock::Open, std::slice::from_ref(&ci)).unwrap();
    assert_eq!(restored.held.api_keys, [Name::parse("admin").unwrap()]);
    let target = Layout::new(fixture.path("restored"));
    assert_eq!(files(&target.ca()), files(&fixture.layout.ca()));
    assert_eq!(files(&target.plugins()).into_values().collect::<Vec<_>>(), [COMPONENT]);
    assert_eq!(fs::read(target.config()).unwrap(), fs::read(fixture.layout.config()).unwrap());
    let mut names: Vec<_> =
        fs::read_dir(target.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["ca", "fleet.db", "lock", "plugins", "server.toml"]);
    let opened = store::open(&target.database()).unwrap();
    let is_held = |record: &&FleetChange| matches!(record, FleetChange::HeldApiKey(..));
    assert_eq!(opened.saved.records.iter().filter(is_held).count(), 1);
    assert!(opened.saved.records.iter().any(|record| matches!(record, FleetChange::Restored(Some(_)))));
}

#[test]
fn a_component_that_is_missing_or_corrupt_does_not_prevent_a_backup() {
    let fixture = Fixture::new();
    fixture.push(b"missing", None);
    fixture.push(b"corrupt", Some(COMPONENT));
    fixture.push(COMPONENT, Some(COMPONENT));
    let report = fixture.back_up(&Lock::Open).unwrap();
    assert_eq!(report.checked.plugins, 1);
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert_eq!(report.checked.warnings.len(), 2, "{:?}", report.checked.warnings);
    assert!(report.checked.warnings.iter().all(|warning| warning.contains("push the plugin again")));
}

#[test]
fn an_encrypted_backup_is_restored_with_its_passphrase_only() {
    let fixture = Fixture::new();
    let report = fixture.back_up(&Lock::Passphrase(passphrase("right"))).unwrap();
    assert!(report.checked.is_encrypted);
    let key = fs::read(fixture.layout.ca().join("key.pem")).unwrap();
    let file = fs::read(fixture.path("camp.backup")).unwrap();
    assert!(!file.windows(key.len()).any(|part| part == key), "the authority's key is not in the clear");
    let check = |unlock: &Unlock, words: &str| {
        let error = fixture.restore(unlock, &[]).unwrap_err();
        assert!(linecamp_transport::error_chain(&error).contains(words), "{error:?}");
        assert!(error.blames_input());
        assert_eq!(fixture.leftovers(), Vec::<String>::new());
    };
    check(&Unlock::Passphrase(passphrase("wrong")), "wrong passphrase");
    check(&Unlock::Open, "give it with --passphrase-file FILE");
    fixture.restore(&Unlock::Passphrase(passphrase("right")), &[]).unwrap();
}

#[test]
fn a_backup_is_restored_into_an_empty_directory_only() {
    let fixture = Fixture::new();
    fixture.back_up(&Lock::Open).unwrap();
    let dir = fixture.path("restored");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("note"), "mine").unwrap();
    let error = fixture.restore(&Unlock::Open, &[]).unwrap_err();
    assert!(matches!(error, ServerError::NotEmpty { .. }) && error.blames_input(), "{error}");
    assert_eq!(files(&dir).into_keys().collect::<Vec<_>>(), ["note"]);
    fs::remove_file(dir.join("note")).unwrap();
    // An interrupted restore, and what a new file system has.
    fs::create_dir_all(dir.join("restore.partial/plugins")).unwrap();
    fs::create_dir(dir.join("lost+found")).unwrap();
    fixture.restore(&Unlock::Open, &[]).unwrap();
    assert!(!dir.join("restore.partial").exists());
    assert!(matches!(fixture.restore(&Unlock::Open, &[]).unwrap_err(), ServerError::NotEmpty { .. }));
}

#[test]
fn a_corrupt_backup_leaves_nothing_behind() {
    let fixture = Fixture::new();
    fixture.push(COMPONENT, Some(COMPONENT));
    fixture.back_up(&Lock::Open).unwrap();
    let file = fs::read(fixture.path("camp.backup")).unwrap();
    let check = |corrupt: &[u8], is_new: bool| {
        fs::write(fixture.path("camp.backup"), corrupt).unwrap();
        if !is_new {
            fs::create_dir(fixture.path("restored")).unwrap();
        }
        let error = fixture.restore(&Unlock::Open, &[]).unwrap_err();
        assert!(error.needs_operator(), "{error:?}");
        if !is_new {
            assert_eq!(fs::read_dir(fixture.path("restored")).unwrap().count(), 0, "empty as before");
            fs::remove_dir(fixture.path("restored")).unwrap();
        }
        assert_eq!(fixture.leftovers(), Vec::<String>::new());
    };
    for length in [0, 511, 600, 4096, file.len() / 2, file.len() - 3000] {
        check(&file[..length], length % 2 == 0);
    }
    for at in [600, 1024 + 512 + 100, file.len() / 2] {
        let mut flipped = file.clone();
        flipped[at] ^= 4;
        check(&flipped, true);
    }
    fs::write(fixture.path("camp.backup"), &file).unwrap();
    let nobody = Name::parse("nobody").unwrap();
    assert!(matches!(fixture.restore(&Unlock::Open, &[nobody]), Err(ServerError::KeptKeyUnknown { .. })));
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
}

#[test]
fn a_failed_backup_keeps_the_earlier_one() {
    let fixture = Fixture::new();
    fixture.back_up(&Lock::Open).unwrap();
    let before = fs::read(fixture.path("camp.backup")).unwrap();
    fs::write(fixture.layout.ca().join("certificate.pem"), "corrupt").unwrap();
    fixture.back_up(&Lock::Open).unwrap_err();
    assert_eq!(fs::read(fixture.path("camp.backup")).unwrap(), before);
    assert_eq!(fixture.leftovers(), Vec::<String>::new());

    let held = File::create(fixture.path(".camp.backup.partial")).unwrap();
    held.lock().unwrap();
    let fixed = Fixture::new();
    let file = fixture.file();
    let request = BackupRequest { layout: &fixed.layout, config: None, file: &file, lock: &Lock::Open };
    let error = back_up(&request, &mut |_| {}).unwrap_err();
    assert!(linecamp_transport::error_chain(&error).contains("another backup writes this file"), "{error:?}");
    drop(held);
    back_up(&request, &mut |_| {}).unwrap();
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
}

#[test]
fn a_backup_needs_the_authority_and_a_database() {
    let fixture = Fixture::new();
    let contents: BTreeMap<&str, Vec<u8>> = [("ca/key.pem", b"key".to_vec())].into();
    let member = |(name, bytes): (&&str, &Vec<u8>)| linecamp_backup::ManifestEntry {
        name: linecamp_backup::MemberName::parse(name).unwrap(),
        bytes: bytes.len() as u64,
        sha256: linecamp_backup::checksum(bytes),
    };
    let manifest = linecamp_backup::Manifest {
        server: "0.1.0".to_owned(),
        taken_at: WallTime::EPOCH,
        members: contents.iter().map(member).collect(),
    };
    let file = File::create(fixture.path("camp.backup")).unwrap();
    linecamp_backup::write(file, &manifest, &Lock::Open, |entry| Ok(&contents[entry.name.as_str()][..])).unwrap();
    let error = verify(&fixture.file(), &Unlock::Open).unwrap_err();
    assert!(error.to_string().contains("it has no fleet.db"), "{error}");

    let absent = BackupFile::Path(fixture.path("absent"));
    match verify(&absent, &Unlock::Open).unwrap_err() {
        ServerError::Backup { source, .. } => assert!(matches!(*source, BackupError::Io(_))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_is_backed_up_and_restored_in_every_phase_of_a_rotation() {
    let fixture = Fixture::new();
    let authority = Authority::load(&fixture.layout.ca()).unwrap();
    for step in [RotationStep::Add, RotationStep::Switch, RotationStep::Retire] {
        authority.rotate(step, SystemClock.now()).unwrap();
        fixture.back_up(&Lock::Open).unwrap();
        verify(&fixture.file(), &Unlock::Open).unwrap();
        fixture.restore(&Unlock::Open, &[]).unwrap();
        let restored = fixture.path("restored");
        assert_eq!(Authority::load(&restored.join("ca")).unwrap().pin(), authority.pin(), "{step:?}");
        fs::remove_dir_all(restored).unwrap();
    }
}

/// The process is killed before each of the renames that put a backup into place.
#[test]
fn a_restore_that_was_killed_is_repeated() {
    let fixture = Fixture::new();
    fixture.push(COMPONENT, Some(COMPONENT));
    fixture.back_up(&Lock::Open).unwrap();
    fixture.restore(&Unlock::Open, &[]).unwrap();
    let (dir, staging) = (fixture.path("restored"), fixture.path("restored/restore.partial"));
    let complete = files_below(&dir);
    let names = ["fleet.db", "server.toml", "plugins", "ca"];
    for killed_after in 0..names.len() {
        fs::create_dir(&staging).unwrap();
        for name in &names[..=killed_after] {
            fs::rename(dir.join(name), staging.join(name)).unwrap();
        }
        fixture.restore(&Unlock::Open, &[]).unwrap();
        assert_eq!(files_below(&dir), complete, "{killed_after}");
    }
    // A file that is not from the backup is not removed.
    fs::create_dir(&staging).unwrap();
    fs::rename(dir.join("fleet.db"), staging.join("fleet.db")).unwrap();
    fs::write(dir.join("note"), "mine").unwrap();
    assert!(matches!(fixture.restore(&Unlock::Open, &[]).unwrap_err(), ServerError::NotEmpty { .. }));
    assert!(dir.join("ca").exists() && dir.join("note").exists());
}

/// Returns the names of the files in a directory and below it.
fn files_below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => names.push(path.display().to_string()),
            }
        }
    }
    names.sort();
    names
}

#[test]
fn a_backup_in_a_directory_of_others_follows_no_link_and_is_private() {
    let fixture = Fixture::new();
    let (partial, victim) = (fixture.path(".camp.backup.partial"), fixture.path("data/victim"));
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, &partial).unwrap();
    fixture.back_up(&Lock::Open).unwrap_err();
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&victim, &partial).unwrap();
    fixture.back_up(&Lock::Open).unwrap_err();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "left").unwrap();
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o666)).unwrap();
    fixture.back_up(&Lock::Open).unwrap();
    let mode = fs::metadata(fixture.path("camp.backup")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_restore_disables_users_and_keeps_only_keys_of_the_console() {
    let fixture = Fixture::new();
    fixture.back_up(&Lock::Open).unwrap();
    let restored = fixture.restore(&Unlock::Open, &[]).unwrap();
    let admin = Name::parse("admin").unwrap();
    assert_eq!(restored.held.disabled_users, std::slice::from_ref(&admin));
    // The operator at the console is let in.
    let layout = Layout::new(fixture.path("restored"));
    assert!(crate::users::reset_password(&layout, &admin).unwrap().is_new_admin);
    let opened = store::open(&layout.database()).unwrap();
    opened.store.close();
    let can_log_in =
        |record: &FleetChange| matches!(record, FleetChange::User(_, Some(user)) if user.is_admin_with_login());
    assert!(opened.saved.records.iter().any(can_log_in));
}

//! nginx as a proxy that ends TLS.

use std::net::TcpStream;
use std::path::Path;

use crate::fleet::Fleet;
use crate::name_server::find;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// A running nginx. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
}

impl Nginx {
    /// Starts nginx with this configuration of its servers, one of which listens on `port`; `None` if it is not
    /// installed, and the skip is recorded.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(fleet: &Fleet, servers: &str, port: u16) -> Option<Self> {
        let program = find("nginx", "nginx")?;
        let home = fleet.directory().join("nginx");
        std::fs::create_dir_all(&home).expect("a directory can be made");
        let file = home.join("nginx.conf");
        std::fs::write(&file, configuration(&home, servers)).expect("a file");
        let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
        let (prefix, file) = (text(&home), text(&file));
        let arguments = ["-p", &prefix, "-e", "stderr", "-c", &file];
        let mut process = fleet.process("nginx", &arguments, "nginx.log").at(program);
        process.start();
        let is_up = wait_until(PATIENCE, || {
            let is_listening = TcpStream::connect(("127.0.0.1", port)).is_ok();
            (is_listening || !process.is_running()).then_some(is_listening)
        });
        assert_eq!(is_up, Some(true), "nginx did not start:\n{}", process.log());
        Some(Self { process })
    }

    /// Returns its log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// One process in the foreground, with all files below `home`.
fn configuration(home: &Path, servers: &str) -> String {
    let home = home.display();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {home}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log \
         off;\n{paths}{servers}}}\n"
    )
}

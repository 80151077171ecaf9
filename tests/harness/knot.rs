//! Knot DNS.

use crate::dig::TsigKey;
use crate::name_server::ServerInstance;
use crate::rfc2136_server::{PLUGIN_TYPES, Product, ServedZone, UpdateServer};

impl UpdateServer {
    /// Starts Knot DNS without zones; `None` if it is not installed.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn knot() -> Option<Self> {
        Self::start(Product { product: "Knot DNS", program: "knotd", arguments: &["-c"], configuration })
    }
}

fn configuration(instance: &ServerInstance, zones: &[ServedZone]) -> String {
    let (plugin, operator) = (TsigKey::PLUGIN.name, TsigKey::OPERATOR.name);
    let zone = |ServedZone { name, is_signed }: &ServedZone| {
        let signing = if *is_signed { "on" } else { "off" };
        format!(
            "  - domain: {name}\n    file: {name}.zone\n    acl: [{plugin}, {operator}]\n    dnssec-signing: {signing}\n"
        )
    };
    let zones = match zones {
        [] => String::new(),
        zones => format!("zone:\n{}", zones.iter().map(zone).collect::<String>()),
    };
    format!("{}{}{}{zones}", server(instance), keys(), access())
}

fn server(instance: &ServerInstance) -> String {
    let (server, home) = (instance.port.address(), instance.path(""));
    format!(
        "server:
  rundir: \"{home}\"
  listen: {}@{}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: \"{home}\"
template:
  - id: default
    storage: \"{home}\"
    zonefile-sync: 0
",
        server.ip(),
        server.port()
    )
}

fn keys() -> String {
    let key = |key: TsigKey| {
        format!("  - id: {}\n    algorithm: {}\n    secret: {}\n", key.name, TsigKey::ALGORITHM, key.secret)
    };
    format!("key:\n{}{}", key(TsigKey::PLUGIN), key(TsigKey::OPERATOR))
}

fn access() -> String {
    let (plugin, operator) = (TsigKey::PLUGIN.name, TsigKey::OPERATOR.name);
    format!(
        "acl:
  - id: {operator}
    key: {operator}
    action: [update, transfer]
  - id: {plugin}
    key: {plugin}
    action: update
    update-type: [{}]
",
        PLUGIN_TYPES.join(", ")
    )
}

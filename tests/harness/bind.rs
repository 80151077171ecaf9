//! BIND 9.

use crate::dig::TsigKey;
use crate::name_server::ServerInstance;
use crate::rfc2136_server::{PLUGIN_TYPES, Product, ServedZone, UpdateServer};

impl UpdateServer {
    /// Starts BIND 9 without zones; `None` if it is not installed.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn bind() -> Option<Self> {
        let arguments = &["-g", "-n", "1", "-c"];
        Self::start(Product { product: "BIND 9", program: "named", arguments, configuration })
    }
}

fn configuration(instance: &ServerInstance, zones: &[ServedZone]) -> String {
    let zones: String = zones.iter().map(zone_clause).collect();
    let keys = [TsigKey::PLUGIN, TsigKey::OPERATOR].map(key_clause).concat();
    format!("{}controls {{ }};\n{keys}{zones}", options(instance))
}

fn options(instance: &ServerInstance) -> String {
    let (port, home) = (instance.port.address().port(), instance.path(""));
    format!(
        "options {{
  directory \"{home}\";
  managed-keys-directory \"{home}\";
  pid-file \"{home}named.pid\";
  session-keyfile \"{home}session.key\";
  lock-file none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  notify no;
  allow-transfer {{ none; }};
}};
"
    )
}

fn key_clause(key: TsigKey) -> String {
    format!("key \"{}\" {{ algorithm {}; secret \"{}\"; }};\n", key.name, TsigKey::ALGORITHM, key.secret)
}

fn zone_clause(zone: &ServedZone) -> String {
    let ServedZone { name: zone, is_signed } = zone;
    let signing = if *is_signed { "\n  dnssec-policy default;" } else { "" };
    let (plugin, operator, types) = (TsigKey::PLUGIN.name, TsigKey::OPERATOR.name, PLUGIN_TYPES.join(" "));
    format!(
        "zone \"{zone}\" {{
  type primary;{signing}
  file \"{zone}.zone\";
  allow-transfer {{ key {operator}; }};
  update-policy {{ grant {operator} zonesub ANY; grant {plugin} zonesub {types}; }};
}};
"
    )
}

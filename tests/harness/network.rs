//! A site and its server with a router between them, each a host with its own network.
//!
//! ```text
//! site 10.1.0.2 ── lan 10.1.0.1 [router] wan 198.51.100.1 ── server 198.51.100.200
//! ```
//!
//! The hosts are kernel network namespaces. The router forwards, hides the site behind its own address (NAT) as a home
//! router does, and accepts only replies from outside. The site's address can change, and the router can lose its NAT
//! mappings, lose packets, delay them, or drop UDP.
//!
//! Invariants: a namespace lives as long as a process in it, a `cat` whose input the test holds. So nothing is left
//! behind, however the test ends, and the networks of several tests have the same addresses without interfering.
//!
//! [`Network::start_with_ipv6`] gives each host a second address: 2001:db8:1::2, 2001:db8:2::200. IPv6 is forwarded as
//! it is, without NAT, and a host that changes its address loses it. Behind the router are ranges of dead addresses:
//! packets to them are dropped without an answer.
//!
//! If the user is not root, or a tool is missing, a test that needs a network is skipped with a message. If the kernel
//! has no netfilter queues, only [`Network::delay`] is skipped. Reordering and duplicates are not supported, and loss
//! and blocking do not affect IPv6.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::binaries::program;
use crate::namespace::NetworkNamespace;
use crate::skip::skip;
use crate::wait::{PATIENCE, wait_until};

/// Third-party tools this needs.
const TOOLS: [&str; 6] = ["ip", "nft", "iptables", "conntrack", "nsenter", "unshare"];

/// The server's address: from a range reserved for documentation (RFC 5737), so that no real host is reached by
/// mistake.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 200)), 8443);

/// The server's address after a move.
const MOVED_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 201)), 8443);

/// The server's IPv6 address, from a range reserved for documentation (RFC 3849).
const SERVER_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x200);

/// The ranges of dead addresses, which are reserved for documentation (RFC 5737 and RFC 3849).
const DEAD: [&str; 2] = ["203.0.113.0/24", "2001:db8:dead::/48"];

/// The queue of delayed packets. The namespace has no other.
const QUEUE: &str = "1";

/// The router's initial rules. NAT ports come from a range that identifies the current binding.
const RULES: &str = r#"
table ip router {
    chain out { type nat hook postrouting priority 100 ; }
    chain in { type filter hook input priority 0 ; iifname "wan" ct state new drop ; }
    chain through { type filter hook forward priority 0 ; }
    chain reports { type filter hook output priority 0 ; }
}
"#;

/// The address of the site's gateway on the LAN behind it, and that of the machines there.
const BEHIND: [&str; 2] = ["10.200.0.1", "10.200.0.2"];

/// A place in a network, where machines can be.
#[derive(Clone, Debug)]
pub struct Place(pub(crate) NetworkNamespace);

/// A router between a site and its server. Dropping it removes the whole network.
#[derive(Debug)]
pub struct Network {
    site: Host,
    router: Host,
    server: Host,
    /// What reaches nothing but the site, if there is such a place.
    behind: Option<Host>,
    /// The number of the site's network, the router's outer address, and the thousand of its NAT ports.
    lan: u8,
    wan: u8,
    thousand: u8,
    has_ipv6: bool,
    hosts: NamedTempFile,
    delay: Option<NamespaceHolder>,
}

impl Network {
    /// Connects a site to a server; `None` if that is not possible, and the skip is recorded.
    ///
    /// # Panics
    /// If the kernel rejects a part of it. The other methods panic likewise.
    pub fn start() -> Option<Self> {
        if let Some(why) = missing() {
            skip("router", &why);
            return None;
        }
        let (site, router, server) = (Host::start(), Host::start(), Host::start());
        let hosts = NamedTempFile::new().expect("a file can be made");
        let mut network = Self {
            site,
            router,
            server,
            behind: None,
            lan: 1,
            wan: 1,
            thousand: 20,
            has_ipv6: false,
            hosts,
            delay: None,
        };
        network.connect();
        Some(network)
    }

    /// Like [`Network::start`], with IPv6 too. At the site, `name` resolves to these addresses, in this order before
    /// the resolver sorts them.
    pub fn start_with_ipv6(name: &str, addresses: &[IpAddr]) -> Option<Self> {
        let mut network = Self::start()?;
        network.has_ipv6 = true;
        network.connect_ipv6();
        let lines: String = addresses.iter().map(|address| format!("{address} {name}\n")).collect();
        network.hosts.write_all(lines.as_bytes()).expect("a file can be written");
        let hosts = network.hosts.path().to_owned();
        network.site.namespace = network.site.namespace.with_hosts(hosts);
        Some(network)
    }

    /// Returns the server's addresses: IPv4, IPv6.
    pub fn server_addresses() -> (IpAddr, IpAddr) {
        (SERVER.ip(), SERVER_IPV6.into())
    }

    /// Returns dead addresses, by number: IPv4, IPv6.
    pub fn dead_addresses(number: u8) -> (IpAddr, IpAddr) {
        let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, number.into());
        (Ipv4Addr::new(203, 0, 113, number).into(), ipv6.into())
    }

    /// Returns the place of the site.
    pub fn site_place(&self) -> Place {
        Place(self.site.namespace.clone())
    }

    /// Adds a LAN behind the site, and returns the place of its machines: they reach the site, which forwards nothing,
    /// and have no route to anything else. Two machines there have the same address.
    pub fn lan_behind_site(&mut self) -> Place {
        let host = Host::start();
        let id = host.holder.0.id();
        self.site.ip(&format!(
            "link add behind type veth peer name eth0 netns {id}\nlink set behind up\n\
             address add {}/24 dev behind\n",
            BEHIND[0]
        ));
        host.ip(&format!("link set lo up\nlink set eth0 up\naddress add {}/24 dev eth0\n", BEHIND[1]));
        let place = Place(host.namespace.clone());
        self.behind = Some(host);
        place
    }

    /// Removes IPv4 from the site's network.
    pub fn remove_ipv4_of_site(&self) {
        self.site.run("ip", &["-4", "address", "flush", "dev", "eth0"], "");
    }

    /// Returns where the server listens.
    pub(crate) fn listen_address(&self) -> SocketAddr {
        if self.has_ipv6 { SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), SERVER.port()) } else { SERVER }
    }

    /// Returns the server's address, for sites and for operators.
    pub fn server_address(&self) -> SocketAddr {
        SERVER
    }

    /// Moves the server's host to its second address: it loses the first. Nothing listens there yet.
    pub fn change_server_address(&self) {
        let address = MOVED_SERVER.ip();
        self.server.ip(&format!("address flush dev eth0 scope global\naddress add {address}/24 dev eth0\n"));
    }

    /// Returns the server's second address.
    pub fn moved_server_address() -> SocketAddr {
        MOVED_SERVER
    }

    pub(crate) fn server(&self) -> &NetworkNamespace {
        &self.server.namespace
    }

    pub(crate) fn site(&self) -> &NetworkNamespace {
        &self.site.namespace
    }

    /// Moves the site to another network behind the same router: it gets another address and loses the old one, and the
    /// router loses its address in the old network.
    pub fn change_site_address(&mut self) {
        self.lan += 1;
        self.address_lan();
    }

    /// Gives the site a stable IPv6 address, and lets its kernel prefer a temporary one (RFC 8981) beside it. The route
    /// leads nowhere.
    pub fn use_temporary_ipv6_addresses(&self, stable: Ipv6Addr) {
        self.site.run("sh", &["-c", "echo 2 > /proc/sys/net/ipv6/conf/eth0/use_tempaddr"], "");
        self.site.ip(&format!(
            "address add {stable}/64 dev eth0 valid_lft 86400 preferred_lft 80000 mngtmpaddr nodad\n\
             route add default via fe80::99 dev eth0\n"
        ));
        let listed = || self.site.run("ip", &["-6", "address", "show", "dev", "eth0", "temporary", "-tentative"], "");
        let made = wait_until(PATIENCE, || listed().contains("inet6").then_some(()));
        made.expect("the kernel makes a temporary address");
    }

    /// Clears the router's NAT mappings, like a restart: from here on the server sees the site at another port, and
    /// packets to the old one are dropped.
    pub fn rebind_nat(&mut self) {
        self.thousand += 1;
        self.hide_site();
    }

    /// Changes the router's outer address, as some carriers do every night.
    pub fn change_outer_address(&mut self) {
        self.wan += 1;
        self.address_wan();
        self.hide_site();
    }

    /// Returns the address and the ports at which the server sees the site.
    pub fn seen_from_outside(&self) -> (Ipv4Addr, RangeInclusive<u16>) {
        let first = u16::from(self.thousand) * 1000;
        (Ipv4Addr::new(198, 51, 100, self.wan), first..=first + 999)
    }

    /// Drops this percentage of packets at random, in each direction.
    pub fn lose(&self, percent: u8) {
        self.filter(&format!("numgen random mod 100 < {percent} counter drop"));
    }

    /// Drops all UDP packets. TCP passes.
    pub fn block_udp(&self) {
        self.filter("meta l4proto udp counter drop");
    }

    /// Limits packets between the router and the server to this size. The router tells senders the size, unless it is
    /// silent; the site forgets what it was told before.
    pub fn narrow(&self, mtu: u16, is_silent: bool) {
        self.router.ip(&format!("link set wan mtu {mtu}\n"));
        self.server.ip(&format!("link set eth0 mtu {mtu}\n"));
        self.site.ip("route flush cache\n");
        let rule = "add rule ip router reports icmp type destination-unreachable drop\n";
        let rule = if is_silent { rule } else { "" };
        self.router.nft(&format!("flush chain ip router reports\n{rule}"));
    }

    /// Removes all packet loss and blocking.
    pub fn heal(&self) {
        self.router.nft("flush chain ip router through\n");
    }

    /// Returns the number of packets dropped since the last rule was set.
    pub fn lost(&self) -> u64 {
        let listed = self.router.run("nft", &["list", "chain", "ip", "router", "through"], "");
        let count = listed.split_once("packets ").and_then(|(_, rest)| rest.split_whitespace().next());
        count.and_then(|count| count.parse().ok()).expect("the rule counts")
    }

    /// Delays each packet by this time, in each direction, permanently. Returns false if the kernel does not support
    /// it; the skip is then recorded.
    pub fn delay(&mut self, delay: Duration) -> bool {
        let arguments = ["-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", QUEUE];
        let said = self.router.namespace.command("iptables").args(arguments).output().expect("iptables starts");
        if !said.status.success() {
            skip("long-line", &format!("no queues: {}", String::from_utf8_lossy(&said.stderr).trim()));
            return false;
        }
        let mut hold = self.router.namespace.command(program("hold-packets"));
        hold.arg(QUEUE).arg(delay.as_millis().to_string());
        let mut holder = NamespaceHolder::start(hold);
        let mut line = String::new();
        // Without an answer it has exited, and reported why on the test's stderr.
        let _ = BufReader::new(holder.0.stdout.as_mut().expect("it is piped")).read_line(&mut line);
        assert_eq!(line, "ready\n", "hold-packets did not start");
        self.delay = Some(holder);
        true
    }

    fn connect(&mut self) {
        for (link, host) in [("lan", &self.site), ("wan", &self.server)] {
            let id = host.holder.0.id();
            self.router.ip(&format!("link add {link} type veth peer name eth0 netns {id}\nlink set {link} up\n"));
            host.ip("link set lo up\nlink set eth0 up\n");
        }
        self.router.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], "");
        self.router.nft(RULES);
        self.server.ip(&format!("address add {}/24 dev eth0\n", SERVER.ip()));
        self.address_lan();
        self.address_wan();
        self.hide_site();
    }

    fn connect_ipv6(&self) {
        self.router.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"], "");
        // Without duplicate address detection, which would take a second.
        self.router.ip("address add 2001:db8:1::1/64 dev lan nodad\naddress add 2001:db8:2::1/64 dev wan nodad\n");
        self.site.ip("address add 2001:db8:1::2/64 dev eth0 nodad\nroute add ::/0 via 2001:db8:1::1\n");
        self.server.ip(&format!("address add {SERVER_IPV6}/64 dev eth0 nodad\nroute add ::/0 via 2001:db8:2::1\n"));
        let routes: String = DEAD.iter().map(|range| format!("route add blackhole {range}\n")).collect();
        self.router.ip(&routes);
    }

    fn address_lan(&self) {
        let net = format!("10.{}.0", self.lan);
        self.router.ip(&format!("address flush dev lan scope global\naddress add {net}.1/24 dev lan\n"));
        self.site.ip(&format!(
            "address flush dev eth0 scope global\naddress add {net}.2/24 dev eth0\nroute add default via {net}.1\n"
        ));
    }

    fn address_wan(&self) {
        let (address, _) = self.seen_from_outside();
        self.router.ip(&format!("address flush dev wan scope global\naddress add {address}/24 dev wan\n"));
    }

    /// Sets the NAT rule and clears all existing mappings.
    fn hide_site(&self) {
        let (address, ports) = self.seen_from_outside();
        let hidden = format!("snat to {address}:{}-{}", ports.start(), ports.end());
        self.router.nft(&format!(
            "flush chain ip router out\nadd rule ip router out oifname \"wan\" meta l4proto {{ tcp, udp }} {hidden}\n"
        ));
        self.router.run("conntrack", &["-F"], "");
    }

    fn filter(&self, rule: &str) {
        self.router.nft(&format!("flush chain ip router through\nadd rule ip router through {rule}\n"));
    }
}

/// A host: a network namespace, and the process that keeps it alive.
#[derive(Debug)]
struct Host {
    holder: NamespaceHolder,
    namespace: NetworkNamespace,
}

impl Host {
    fn start() -> Self {
        let mut cat = Command::new("unshare");
        cat.args(["--net", "cat"]);
        let mut holder = NamespaceHolder::start(cat);
        let (input, output) = (holder.0.stdin.as_mut(), holder.0.stdout.as_mut());
        let mut echo = [0];
        // It echoes its input only once it has its namespace.
        let echoed = input.expect("it is piped").write_all(b"\n");
        let echoed = echoed.and_then(|()| output.expect("it is piped").read_exact(&mut echo));
        echoed.expect("a namespace can be made");
        let namespace = NetworkNamespace::within(Path::new("/proc").join(holder.0.id().to_string()).join("ns/net"));
        Self { holder, namespace }
    }

    /// Runs several `ip` commands, one per line.
    fn ip(&self, lines: &str) {
        self.run("ip", &["-batch", "-"], lines);
    }

    fn nft(&self, rules: &str) {
        self.run("nft", &["-f", "-"], rules);
    }

    /// Runs a tool there, asserts that it succeeds, and returns its output.
    fn run(&self, tool: &str, arguments: &[&str], input: &str) -> String {
        let mut command = self.namespace.command(tool);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("failed to start {tool}: {error}"));
        let written = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let said = child.wait_with_output().expect("a child can be waited for");
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{tool} {arguments:?} failed: {errors}{input}");
        written.expect("a successful command has read its input");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}

/// A process that exits with the test, however the test ends, because its input is closed then.
#[derive(Debug)]
struct NamespaceHolder(Child);

impl NamespaceHolder {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}")))
    }
}

impl Drop for NamespaceHolder {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns why a network is not possible here.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("creating networks requires root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&str| std::env::split_paths(&path).any(|directory| directory.join(tool).exists());
    if let Some(tool) = TOOLS.iter().find(|tool| !is_there(tool)) {
        return Some(format!("`{tool}` is not installed"));
    }
    let tried = Command::new("unshare").args(["--net", "true"]).output().expect("unshare is there");
    (!tried.status.success()).then(|| String::from_utf8_lossy(&tried.stderr).trim().to_owned())
}

//! The codes of findings, for programs.

use serde::Serialize;

/// Declares [`FindingCode`] and the list of its values, from one list.
macro_rules! finding_codes {
    ($($(#[$doc:meta])* $code:ident,)*) => {
        /// What a check found: the closed list of codes that programs may match on. In JSON `disk-full` and so on.
        /// Stable: codes are added, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FindingCode {
            $($(#[$doc])* $code,)*
        }

        impl FindingCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$code,)*];
        }
    };
}

finding_codes! {
    /// The check passed.
    Ok,
    /// The check did not finish within its time limit.
    CheckTimedOut,
    /// The check could not be started.
    CheckNotStarted,
    /// This user may not read what the check examines: run the doctor as root.
    AccessDenied,
    /// The check needs the configuration, which cannot be read: see `configuration`.
    ConfigUnreadable,
    /// The data directory does not exist.
    DirectoryMissing,
    /// The site has not joined a server.
    NotJoined,
    /// The data directory contains no server.
    NotInitialized,
    /// The daemon or server is not running.
    NotRunning,

    /// The configuration is invalid.
    ConfigInvalid,
    /// The configuration is valid, but has warnings, or names files that do not exist.
    ConfigWarning,

    /// The data directory is a file.
    NotADirectory,
    /// A required file is missing.
    FileMissing,
    /// A file cannot be read.
    FileUnreadable,
    /// A file or the directory belongs to another user.
    WrongOwner,
    /// Other users have access to a private file, or its owner has none.
    WrongMode,

    /// The site's certificate has expired.
    CertificateExpired,
    /// The daemon joins when it starts.
    JoinPending,
    /// The configured join token is not usable.
    TokenInvalid,
    /// The identity is incomplete or corrupt.
    IdentityCorrupt,

    /// The certificate authority is incomplete or corrupt.
    AuthorityCorrupt,
    /// The certificate authority expires within a year.
    AuthorityExpiring,
    /// The clock is before the start of the authority's validity.
    AuthorityNotYetValid,

    /// A running server uses the database, and checked it at startup.
    DatabaseInUse,
    /// The database is missing.
    DatabaseMissing,
    /// A newer version wrote the database.
    DatabaseTooNew,
    /// The database has a format that is no longer read.
    DatabaseTooOld,
    /// The database is corrupt.
    DatabaseCorrupt,
    /// The database cannot be read.
    DatabaseUnreadable,

    /// The server was restored from a backup, and something is still held.
    RestoreUnsettled,

    /// The disk has less than 16 MiB free, or a quota is used up.
    DiskFull,
    /// The disk has less than 100 MiB free.
    DiskSpaceLow,
    /// No inode is free.
    InodesExhausted,
    /// Less than 1,000 inodes are free.
    InodesLow,
    /// The file system is read-only.
    DiskReadOnly,
    /// This user may not write to the directory.
    DiskNotWritable,
    /// The disk reports an error.
    DiskFailing,
    /// A write took more than a second.
    DiskSlow,

    /// The daemon answers slowly.
    DaemonBusy,
    /// The daemon is running but does not answer.
    DaemonHung,
    /// The site has joined, but no daemon is running.
    DaemonStopped,
    /// The daemon is running without its local socket.
    SocketUnavailable,

    /// The daemon is not connected to a server.
    LinkDown,

    /// The site has active conditions.
    ConditionsActive,

    /// Systemd is not running on this machine.
    NoSystemd,
    /// Systemd does not report the state of the unit.
    SystemdNotAnswering,
    /// The installed service uses another data directory.
    OtherDirectory,
    /// The program is running, but systemd did not start it.
    StartedManually,
    /// Systemd has no such unit.
    UnitMissing,
    /// The unit is masked.
    UnitMasked,
    /// The unit does not start at boot.
    UnitDisabled,
    /// Systemd has restarted the unit since it was started.
    UnitRestarted,
    /// The unit is not started.
    UnitInactive,
    /// A condition of the unit is not met.
    UnitConditionNotMet,
    /// The unit has failed, or is starting or stopping.
    UnitFailed,
    /// Systemd cannot load the unit.
    UnitNotLoaded,

    /// The process may open too few files.
    FileLimitLow,

    /// The kernel grants smaller socket buffers than the link requests.
    UdpBuffersSmall,
    /// The kernel's limits of socket buffers cannot be read.
    UdpBuffersUnknown,

    /// There is no Docker on this machine.
    DockerAbsent,
    /// Docker does not answer.
    DockerNotAnswering,
    /// This user may not open Docker's socket.
    DockerAccessDenied,

    /// Less than 256 MiB of memory is available.
    MemoryInsufficient,
    /// Less than 1 GiB of memory is available.
    MemoryLow,
    /// The available memory cannot be read.
    MemoryUnknown,
    /// The processor has no AES instructions.
    AesMissing,
    /// The processor's instructions cannot be read.
    ProcessorUnknown,
    /// The kernel is older than the daemon supports.
    KernelTooOld,
    /// The kernel is old: the link costs more processor time.
    KernelOld,
    /// The kernel's version cannot be read.
    KernelUnknown,

    /// Other users can write to the plugin directory.
    PluginsExposed,
    /// There are neither plugins nor a plugin compiler.
    PluginsAbsent,
    /// The plugin compiler is missing.
    CompilerMissing,

    /// A name has no address.
    NameNotResolved,

    /// There is no route to the server.
    NoRoute,
    /// The path's MTU is too small for a link.
    MtuTooSmall,
    /// The path's MTU leaves little room for a tunnel.
    MtuSmall,

    /// This machine cannot open a socket, or start the check.
    NoSocket,
    /// There is no address to check.
    NoAddress,

    /// Nothing listens on the UDP port.
    PortClosed,
    /// UDP gets no answer, while TCP does: a firewall drops it.
    UdpBlocked,
    /// Neither UDP nor TCP gets an answer.
    ServerSilent,
    /// A small packet is answered, but no handshake.
    HandshakeLost,
    /// Packets to the server cannot be sent.
    NotSent,

    /// There is no authority to verify the server with.
    NoTrust,
    /// The handshake did not complete: see `udp`.
    NoHandshake,
    /// Another authority issued the server's certificate.
    WrongAuthority,
    /// The server's certificate is expired or not yet valid, by this machine's clock.
    ServerCertificateExpired,
    /// The server's certificate is for another name.
    WrongName,
    /// A QUIC server answers that is not a compatible linecamp-server.
    IncompatibleServer,

    /// No time to compare with: no server reported its time, or systemd does not know.
    ClockUnknown,
    /// The clock is ahead of the server's.
    ClockAhead,
    /// The clock is behind the server's.
    ClockBehind,
    /// Systemd reports that the clock is not synchronized.
    ClockNotSynchronized,

    /// The running process has another version than the installed program.
    RestartNeeded,
    /// The server has an older version.
    ServerOlder,
    /// This version is more than one behind the server's.
    VersionBehind,

    /// Another process uses the port.
    PortInUse,
    /// This user may not open the port.
    PortDenied,
    /// This machine does not have the address.
    AddressUnavailable,
    /// The port cannot be opened for another reason.
    PortUnavailable,

    /// The server's answer has another time than this machine.
    ClockDiffers,
    /// The server answers with an error status.
    Unhealthy,
    /// Another process or server answers at the address.
    OtherServer,
    /// The certificate that the operator supplied for HTTPS is rejected.
    CertificateRejected,
    /// The server is running but does not answer.
    NotAnswering,
    /// The address for sites cannot be reached from this machine.
    NotReachableFromHere,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_documented_and_no_other() {
        let page = include_str!("../../../packaging/docs/troubleshooting.md");
        let (_, chapter) = page.split_once("## Codes of findings").expect("the page has the chapter");
        let chapter = chapter.split("\n## ").next().expect("a chapter has a text");
        let code = |row: &str| Some(row.split('|').nth(2)?.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let documented: BTreeSet<String> = chapter.lines().filter_map(code).collect();
        let name = |code| serde_json::to_value(code).expect("an enum serializes").as_str().map(str::to_owned);
        let codes: BTreeSet<String> = FindingCode::ALL.iter().filter_map(name).collect();
        assert_eq!(documented, codes);
        assert_eq!(codes.len(), FindingCode::ALL.len());
    }
}

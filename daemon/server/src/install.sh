#!/bin/sh
# Makes this machine a site of the Linecamp server at @URL@, or a host of a site: installs the daemon, joins, starts the service, and prints
# the result. It can be run again: completed steps are skipped. On a machine that joined and is not connected, a token
# of the same server replaces the server's addresses.
#
#   sh SCRIPT [--host --site SITE] [--name NAME] [--label KEY=VALUE]... < FILE_WITH_TOKEN@HOST:PORT
#
# The token is read from stdin, or from the file `token` next to this script. A package next to it is used instead of
# downloading it. Every package is verified against the digest in this script, and this script against the digest in
# the command that downloaded it.
set -eu

url='@URL@'
version='@VERSION@'
data=/var/lib/linecamp
membership=$data/identity/membership.pem
kept_token=/etc/linecamp/secrets/join-token
kept_join=/etc/linecamp/linecampd.d/50-join.toml

say() { printf 'linecamp: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Prints the package for an architecture, and its digest.
package_of() {
    case $1 in
@PACKAGES@
    esac
}

fetch() {
    if [ -f "$here/$1" ]; then
        cp "$here/$1" "$work/$1"
    else
        # The server is not authenticated, because the digest is known.
        /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::https::Verify-Peer=false \
            -o Acquire::https::Verify-Host=false download-file "$url/install/$1" "$work/$1" "SHA256:$2" >&2 ||
            fail "cannot download $1 from $url. Check that TCP to it is open. An install command from before the" \
                "server's last upgrade is invalid too: create a new one with \`linecamp token create\`"
    fi
    printf '%s  %s\n' "$2" "$work/$1" | sha256sum --check --status ||
        fail "$1 does not match its digest"
}

install_daemon() {
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' linecampd 2> /dev/null || true)
    case $installed in
    'ii '*) if dpkg --compare-versions "${installed#ii }" ge "$version"; then return; fi ;;
    esac
    arch=$(dpkg --print-architecture)
    found=$(package_of "$arch")
    [ -n "$found" ] || fail "the server has no package for $arch"
    set -- $found
    fetch "$1" "$2"
    DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install "$work/$1" > "$work/log" 2>&1 ||
        { cat "$work/log" >&2; fail "dpkg cannot install $1"; }
}

# The default name is the host name, in the characters of a site name.
name_of() { uname -n | tr '[:upper:]' '[:lower:]' | sed 's/\..*//; s/[^a-z0-9-]/-/g; s/^-*//; s/-*$//'; }

# Whether the site already uses the token's addresses.
knows_servers() {
    told=$(printf '%s\n' "${target#*@}" | tr ',' '\n' | sort)
    known=$(sed -n 's/^Server: //p' "$membership" | sort)
    [ "$told" = "$known" ]
}

# Gives a machine that joined other addresses of its server: they replace the earlier ones once they have carried a
# link. A connected daemon is told the addresses by its server, so it is left alone. The daemon runs again in any case:
# a signal takes effect when the join has ended.
update_servers() {
    rm -f "$kept_token" "$kept_join"
    case $target in lct_*@*) ;; *) return ;; esac
    if knows_servers; then return; fi
    if is_connected; then
        say "this machine has joined, and its daemon is connected; the token is not used. If its server has just moved," \
            "run this again when \`linecampd status\` shows that the link is lost"
        return
    fi
    stopped=1
    systemctl stop linecampd.service
    status=0
    printf '%s\n' "$target" | runuser -u linecamp -- linecampd join - --timeout 120s > "$work/log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        cat "$work/log" >&2
        fail "this machine has joined before; its server addresses are unchanged"
    fi
    grep '^warning: ' "$work/log" >&2 || true
}

# Ends the script: the daemon that it stopped runs again.
finish() {
    status=$?
    if [ -n "$stopped" ]; then
        systemctl start linecampd.service || say "the daemon does not start. See: systemctl status linecampd"
    fi
    rm -rf "$work"
    exit "$status"
}

join() {
    if [ -e "$membership" ]; then
        update_servers
        return
    fi
    case $target in
    lct_*@*) ;;
    *) fail "no join token: write TOKEN@HOST:PORT to stdin, as printed by \`linecamp token create\`" ;;
    esac
    status=0
    printf '%s\n' "$target" | runuser -u linecamp -- linecampd join - --timeout 20s "$@" > "$work/log" 2>&1 || status=$?
    case $status in
    0) rm -f "$kept_token" "$kept_join" ;;
    1)
        # No server answered: the daemon keeps trying to join.
        connect_seconds=2
        cat "$work/log" >&2
        (umask 077 && printf '%s\n' "$target" > "$kept_token")
        {
            printf '[join]\ntoken_file = "/run/credentials/linecampd.service/secret_join-token"\nname = "%s"\n' "$name"
            if [ -n "$host" ]; then echo 'host = true'; fi
            if [ -n "$site" ]; then printf 'site = "%s"\n' "$site"; fi
        } > "$kept_join"
        ;;
    *) cat "$work/log" >&2; fail "this machine could not join" ;;
    esac
}

# The status text is for people; whether the site is connected is read from JSON.
status_text() { systemctl show --property=StatusText --value linecampd.service; }
is_connected() { linecampd status --output json 2> /dev/null | grep -q '"state": "connected"'; }

start_daemon() {
    systemctl enable --quiet linecampd.service
    if ! systemctl start linecampd.service; then
        stopped=
        fail "the daemon does not start. See: systemctl status linecampd; journalctl -u linecampd"
    fi
    stopped=
    tries=0
    while [ "$tries" -lt "$connect_seconds" ] && ! is_connected; do
        tries=$((tries + 1))
        sleep 1
    done
    if is_connected; then
        say "$name has joined; its daemon is running and $(status_text)"
    else
        say "$name: the daemon is running but not connected ($(status_text)); it keeps trying." \
            "Diagnose with: linecampd doctor"
    fi
}

[ "$(id -u)" = 0 ] || fail "root privileges are required; run this with sudo"
command -v dpkg > /dev/null ||
    fail "this script needs a Debian-based system. On others, install the package and run: linecampd join"
[ -d /run/systemd/system ] || fail "this script needs systemd, which is not running here"

# Seconds to wait for a connection.
connect_seconds=30
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
# Not empty while the daemon is stopped.
stopped=
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
target=
if [ -f "$here/token" ]; then target=$(cat "$here/token"); elif [ ! -t 0 ]; then read -r target || true; fi

name=
host=
site=
for argument in "$@"; do
    case ${previous-} in
    --name) name=$argument ;;
    --site) site=$argument ;;
    esac
    case $argument in
    --name=*) name=${argument#--name=} ;;
    --site=*) site=${argument#--site=} ;;
    --host) host=1 ;;
    esac
    previous=$argument
done
if [ -z "$name" ]; then
    name=$(name_of)
    set -- "$@" --name "$name"
fi

install_daemon
join "$@"
start_daemon

#!/bin/sh
# Makes this machine a site of a Linecamp server, or a host of a site: installs the daemon, joins, starts the service,
# and prints the result. It can be run again: completed steps are skipped. On a machine that joined and is not
# connected, a token of the same @PARENT@ replaces the addresses of the @PARENT@.
#
#   sh SCRIPT [--site SITE] [--name NAME] [--label KEY=VALUE]... < FILE_WITH_TOKEN@HOST:PORT
#
# With --site, the machine joins the server as a host of that site.
#
# The token is read from stdin, or from the file `token` next to this script. A package next to it is used instead of
# downloading it. A site keeps its packages, to serve them to its hosts. Every package is verified against the digest in
# this script, and this script against the digest in the command that downloaded it.
set -eu

# Where to download from; empty for the addresses in the token.
url='@URL@'
# What the machine joins: a server as a site or, with --site, as a host, or a gateway as a host.
parent='@PARENT@'
is_host='@HOST@'
version='@VERSION@'
data=/var/lib/linecamp
packages=/var/cache/linecamp/packages
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

# The URLs to download from, one a line.
urls() {
    if [ -n "$url" ]; then echo "$url"; else printf '%s\n' "${target#*@}" | tr ',' '\n' | sed 's|^|http://|'; fi
}

# The other end is not authenticated, because the digest is known.
download() {
    for from in $(urls); do
        if @DOWNLOADER@ @OPTIONS@ \
            download-file "$from/install/$1" "$work/$1" "SHA256:$2" >&2; then return; fi
    done
    fail "cannot download $1 from" $(urls)". Check that TCP to it is open. An install command from before the" \
        "last upgrade of the $parent is invalid too: create a new one with \`@CREATE@\`"
}

fetch() {
    if [ -f "$here/$1" ]; then cp "$here/$1" "$work/$1"; else download "$1" "$2"; fi
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
    [ -n "$found" ] || fail "the $parent has no package for $arch"
    set -- $found
    fetch "$1" "$2"
    DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install "$work/$1" > "$work/log" 2>&1 ||
        { cat "$work/log" >&2; fail "dpkg cannot install $1"; }
}

# Keeps the packages of this version that are here, which a gateway serves to the machines of its LAN.
keep_packages() {
    if [ -n "$is_host" ]; then return; fi
    for package in "$here"/linecampd_"$version"_*.deb "$work"/linecampd_"$version"_*.deb; do
        if [ -f "$package" ]; then
            install -d -m 755 "${packages%/*}" "$packages"
            install -m 644 "$package" "$packages/.new" && mv "$packages/.new" "$packages/${package##*/}"
        fi
    done
}

# The default name is the host name, in the characters of a name.
name_of() { uname -n | tr '[:upper:]' '[:lower:]' | sed 's/\..*//; s/[^a-z0-9-]/-/g; s/^-*//; s/-*$//'; }

# Whether the machine already uses the token's addresses.
knows_servers() {
    told=$(printf '%s\n' "${target#*@}" | tr ',' '\n' | sort)
    known=$(sed -n 's/^Server: //p' "$membership" | sort)
    [ "$told" = "$known" ]
}

# Gives a machine that joined other addresses of its parent: they replace the earlier ones once they have carried a
# link. A connected daemon is told the addresses by its parent, so it is left alone. The daemon runs again in any case:
# a signal takes effect when the join has ended.
update_servers() {
    rm -f "$kept_token" "$kept_join"
    case $target in lct_*@*) ;; *) return ;; esac
    if knows_servers; then return; fi
    if is_connected; then
        say "this machine has joined, and its daemon is connected; the token is not used. If its $parent has just moved," \
            "run this again when \`linecampd status\` shows that the link is lost"
        return
    fi
    stopped=1
    systemctl stop linecampd.service
    status=0
    printf '%s\n' "$target" | runuser -u linecamp -- linecampd join - ${is_host:+--host} ${site:+--site "$site"} \
        --timeout 120s > "$work/log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        cat "$work/log" >&2
        fail "this machine has joined before; its $parent addresses are unchanged"
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
    *) fail "no join token: write TOKEN@HOST:PORT to stdin, as printed by \`@CREATE@\`" ;;
    esac
    status=0
    printf '%s\n' "$target" | runuser -u linecamp -- linecampd join - ${is_host:+--host} --timeout 20s "$@" \
        > "$work/log" 2>&1 || status=$?
    case $status in
    0) rm -f "$kept_token" "$kept_join" ;;
    1)
        # Nothing answered: the daemon keeps trying to join. The labels are stored.
        connect_seconds=2
        cat "$work/log" >&2
        (umask 077 && printf '%s\n' "$target" > "$kept_token")
        {
            printf '[join]\ntoken_file = "/run/credentials/linecampd.service/secret_join-token"\nname = "%s"\n' "$name"
            if [ -n "$is_host" ]; then echo 'host = true'; fi
            if [ -n "$site" ]; then printf 'site = "%s"\n' "$site"; fi
        } > "$kept_join"
        ;;
    *) cat "$work/log" >&2; fail "this machine could not join" ;;
    esac
}

# The status text is for people; whether the machine is connected is read from JSON.
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
site=
for argument in "$@"; do
    case ${previous-} in
    --name) name=$argument ;;
    --site) site=$argument ;;
    esac
    case $argument in
    --name=*) name=${argument#--name=} ;;
    --site=*) site=${argument#--site=} ;;
    esac
    previous=$argument
done
if [ -n "$site" ]; then is_host=yes; fi
if [ -z "$name" ]; then
    name=$(name_of)
    set -- "$@" --name "$name"
fi

install_daemon
keep_packages
join "$@"
start_daemon

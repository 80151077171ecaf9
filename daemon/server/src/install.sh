#!/bin/sh
# Makes this machine a site of the Linecamp server at @URL@: installs the daemon, joins, starts it, and says in one
# sentence what state that reached. What is done already is not done again.
#
#   sh SCRIPT [--name NAME] [--label KEY=VALUE]... < FILE_WITH_TOKEN@HOST:PORT
#
# The token is read from stdin, or from the file `token` beside this script; a package beside it is not fetched. Every
# package is compared with the digest that stands here, and this script with the one in the line that fetched it.
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
        # Whom it comes from is not asked: what it is, is known.
        /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::https::Verify-Peer=false \
            -o Acquire::https::Verify-Host=false download-file "$url/install/$1" "$work/$1" "SHA256:$2" >&2 ||
            fail "$1 could not be fetched from $url; is TCP to it open? A line that is older than the server's last" \
                "upgrade is refused, too: make a new one with \`linecamp token create\`"
    fi
    printf '%s  %s\n' "$2" "$work/$1" | sha256sum --check --status || fail "$1 is not what it should be: its digest is another"
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
        { cat "$work/log" >&2; fail "dpkg could not install $1"; }
}

# A name of its own is made of the machine's.
name_of() { uname -n | tr '[:upper:]' '[:lower:]' | sed 's/\..*//; s/[^a-z0-9-]/-/g; s/^-*//; s/-*$//'; }

join() {
    if [ -e "$membership" ]; then
        rm -f "$kept_token" "$kept_join"
        return
    fi
    case $target in
    lct_*@*) ;;
    *) fail "a join token is missing: write TOKEN@HOST:PORT to stdin, as \`linecamp token create\` shows it" ;;
    esac
    status=0
    printf '%s\n' "$target" | runuser -u linecamp -- linecampd join - --timeout 20s "$@" > "$work/log" 2>&1 || status=$?
    case $status in
    0) rm -f "$kept_token" "$kept_join" ;;
    1)
        # Nobody answers: the daemon tries until somebody does.
        patience=2
        cat "$work/log" >&2
        (umask 077 && printf '%s\n' "$target" > "$kept_token")
        printf '[join]\ntoken_file = "/run/credentials/linecampd.service/secret_join-token"\nname = "%s"\n' "$name" \
            > "$kept_join"
        ;;
    *) cat "$work/log" >&2; fail "this machine could not join" ;;
    esac
}

words() { systemctl show --property=StatusText --value linecampd.service; }

begin() {
    systemctl enable --quiet linecampd.service
    systemctl start linecampd.service ||
        fail "the daemon does not start; ask: systemctl status linecampd; journalctl -u linecampd"
    tries=0
    while [ "$tries" -lt "$patience" ]; do
        case $(words) in 'linked to '*) break ;; esac
        tries=$((tries + 1))
        sleep 1
    done
    state=$(words)
    case $state in
    'linked to '*) say "$name is a site, its daemon runs and is $state" ;;
    *) say "$name: the daemon runs and has no link yet ($state); it goes on trying, and \`linecampd doctor\` says what is in its way" ;;
    esac
}

[ "$(id -u)" = 0 ] || fail "this needs root; run it with sudo"
command -v dpkg > /dev/null || fail "this is for Debian and its like; elsewhere install the package and run: linecampd join"
[ -d /run/systemd/system ] || fail "systemd does not run here, and the daemon is its service"

# Seconds to wait for a link.
patience=30
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=
if [ -f "$here/token" ]; then target=$(cat "$here/token"); elif [ ! -t 0 ]; then read -r target || true; fi

name=
for word in "$@"; do
    case ${previous-} in --name) name=$word ;; esac
    case $word in --name=*) name=${word#--name=} ;; esac
    previous=$word
done
if [ -z "$name" ]; then
    name=$(name_of)
    set -- "$@" --name "$name"
fi

install_daemon
join "$@"
begin

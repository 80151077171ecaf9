install -d -m 0700 -o linecamp -g linecamp /var/lib/linecamp
install -d -m 0755 /etc/linecamp/linecampd.d
install -d -m 0700 /etc/linecamp/secrets
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
# $1 is 1 at the first installation and greater at an upgrade, which restarts a running service and starts no other.
if [ "$1" -eq 1 ]; then systemctl enable linecampd.service > /dev/null 2>&1 || true; fi
if [ "$1" -gt 1 ] && [ -d /run/systemd/system ]; then systemctl try-restart linecampd.service || true; fi

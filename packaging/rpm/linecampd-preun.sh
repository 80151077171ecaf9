# $1 is 0 when the last version is removed.
if [ "$1" -eq 0 ]; then systemctl --no-reload disable --now linecampd.service > /dev/null 2>&1 || true; fi

# $1 is 0 when the last one goes.
if [ "$1" -eq 0 ]; then systemctl --no-reload disable --now linecampd.service > /dev/null 2>&1 || true; fi

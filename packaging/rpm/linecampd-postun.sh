# Data and settings are kept: rpm has no purge.
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

# What it kept stays: rpm knows no purge.
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

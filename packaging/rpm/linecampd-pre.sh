getent passwd linecamp > /dev/null ||
    useradd --system --user-group --home-dir /var/lib/linecamp --shell /sbin/nologin linecamp

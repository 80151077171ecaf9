getent passwd linecamp-server > /dev/null ||
    useradd --system --user-group --home-dir /var/lib/linecamp-server --shell /sbin/nologin linecamp-server

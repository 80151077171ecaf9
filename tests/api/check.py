"""Compares a server with its OpenAPI document: schemathesis makes valid and invalid requests from it.

    pip install --requirement tests/api/requirements.txt
    npm install --prefix provider oidc-provider
    python tests/api/check.py --binaries target/debug --provider provider [--role ROLE] [OPERATION...]

It starts a server with sites and users, and an identity provider, and runs every check with a key of the role: viewer,
operator or admin, or none. It fails if a check does, if an operation did not succeed once with the key of an admin, or
if one succeeded that the role may not perform.
`tests/it/api_document.rs` runs it with each role.
"""

import argparse
import collections
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import requests
from identity_provider import Provider
from urllib3.util import Retry

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "daemon/proto/openapi.json"
PASSWORD = "a much better password"
SITES = [f"site-{number}" for number in range(4)]
# Hosts of the first site, which requests may remove.
HOSTS = [f"host-{number}" for number in range(8)]
# What settles what is held, and how many tokens each has.
SETTLING = ["POST /api/v1/restore/accept", "POST /api/v1/restore/reject"]
HELD_TOKENS = 40
ROLES = ["viewer", "operator", "admin"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server of its own, which was restored from a backup, with join tokens that are held since.

    It is reached without TLS: the replacement of its authority replaces its certificate.
    """

    def __init__(self, binaries, modules, home):
        self.binaries, self.home, self.process = binaries, home, None
        tls, plain = free_port(), free_port()
        self.address, self.url = f"127.0.0.1:{tls}", f"http://127.0.0.1:{plain}"
        first, self.data = home / "first", home / "server"
        init = self.run("linecamp-server", "init", "--data", first, "--server-url", f"https://{self.address}")
        self.key = next(line.split()[-1] for line in init.splitlines() if "admin key:" in line)
        version = json.loads(self.run("linecamp-server", "version", "-o", "json"))["version"]
        self.package = f"linecampd_{version}_amd64.deb"
        (home / "packages").mkdir()
        (home / "packages" / self.package).write_text("a package")
        self.provider = Provider(modules, home, free_port(), f"https://{self.address}")
        (home / "server.toml").write_text(
            f'site_packages = "{home}/packages"\nhttp = "127.0.0.1:{plain}"\ntrusted_proxies = ["127.0.0.1"]\n'
            + self.provider.server_settings
        )
        self.start(first)
        self.held = {label: [self.token("default")["token"]["id"] for _ in range(HELD_TOKENS)] for label in SETTLING}
        backup = home / "server.backup"
        self.run("linecamp-server", "backup", backup, "--data", first)
        self.stop()
        self.run("linecamp-server", "restore", backup, "--data", self.data, "--keep-key", "admin")
        self.start(self.data)

    def start(self, data):
        command = [self.binaries / "linecamp-server", "run", "--data", data, "--config", self.home / "server.toml"]
        command += ["--https", self.address, "--quic", self.address]
        self.process = subprocess.Popen(command, stdout=open(self.home / "server.log", "a"), stderr=subprocess.STDOUT)
        # A connection is tried again, less and less often.
        client = requests.Session()
        client.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.05)))
        client.get(self.url + "/healthz", timeout=30)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def run(self, program, *arguments):
        return subprocess.run([self.binaries / program, *arguments], check=True, capture_output=True, text=True).stdout

    def post(self, path, body, key=None):
        headers = {"Authorization": f"Bearer {key or self.key}", "X-Forwarded-Proto": "https"}
        answer = requests.post(self.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, f"{path}: {answer.text}"
        return answer.json()

    def token(self, environment, **more):
        return self.post("/api/v1/tokens", {"environment": environment, "ttl_seconds": 600, "uses": 1} | more)

    def join(self, name, environment):
        target = f"{self.token(environment)['join'].split('@')[0]}@{self.address}"
        self.run("linecampd", "join", target, "--data", self.home / name, "--name", name)

    def join_host(self, name, site):
        target = f"{self.token('default', hosts_of=site)['join'].split('@')[0]}@{self.address}"
        data = self.home / name
        self.run("linecampd", "join", target, "--host", "--site", site, "--data", data, "--name", name)

    def key_of(self, role):
        """Creates a user who has changed the first password, and a key."""
        user, once = f"the-{role}", "a first password"
        self.post("/api/v1/users", {"name": user, "role": role, "password": once})
        session = self.post("/api/v1/login", {"name": user, "password": once, "bearer": True})["secret"]
        self.post("/api/v1/password", {"old_password": once, "new_password": PASSWORD}, session)
        return self.post("/api/v1/keys", {"name": "own", "user": user})["secret"]


def unexpected(answers, document, role):
    """The operations that should have succeeded once and did not, and those that should not have succeeded."""
    seen = collections.defaultdict(set)
    for line in answers.read_text().splitlines():
        label, status = line.rsplit(" ", 1)
        seen[label].add(int(status))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            succeeded = any(200 <= status < 400 for status in seen[label])
            if role == "admin" and not succeeded:
                yield f"{label} did not succeed once: {sorted(seen[label])}"
            if succeeded and not may(role, operation.get("x-linecamp-requires", "nothing")):
                yield f"{label} succeeded, and requires: {operation['x-linecamp-requires']}"


def may(role, requirement):
    """Whether a role, in all environments, is enough for a requirement."""
    required = requirement.split()[0]
    if required == "nothing":
        return True
    return role != "none" and (required == "a" or ROLES.index(required) <= ROLES.index(role))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--binaries", type=pathlib.Path, required=True)
    arguments.add_argument("--provider", type=pathlib.Path, required=True)
    arguments.add_argument("--role", default="admin", choices=[*ROLES, "none"])
    arguments.add_argument("--document", type=pathlib.Path, default=DOCUMENT)
    arguments.add_argument("operations", nargs="*", metavar="OPERATION")
    given = arguments.parse_args()
    document = json.loads(given.document.read_text())
    with tempfile.TemporaryDirectory(prefix="linecamp-api-") as directory:
        home = pathlib.Path(directory)
        server = Server(given.binaries.resolve(), given.provider.resolve(), home)
        try:
            code = check(server, given, home)
            if not given.operations:
                found = list(unexpected(home / "answers", document, given.role))
                print("\n".join(found))
                code = code or bool(found)
        finally:
            server.process.kill()
            server.provider.process.kill()
    sys.exit(code)


def check(server, given, home):
    server.post("/api/v1/environments", {"name": "lab"})
    server.post("/api/v1/environments", {"name": "gate", "approval": True})
    for site in SITES:
        server.join(site, "default")
    server.join("pending", "gate")
    for host in HOSTS:
        server.join_host(host, SITES[0])
    config = (HERE / "schemathesis.toml").read_text()
    own = server.key_of(given.role) if given.role != "none" else None
    if own:
        config += f'\n[auth.openapi.bearer]\nbearer = "{own}"\n'
    (home / "schemathesis.toml").write_text(config)
    settings = {"url": server.url, "key": server.key, "own": own, "role": given.role, "file": str(home / "answers")}
    settings |= {"sites": SITES, "hosts": HOSTS, "pending": "pending", "package": server.package, "password": PASSWORD}
    settings["held"] = server.held
    settings |= {"server_url": f"https://{server.address}", "issuer": server.provider.issuer}
    settings["issuer_authority"] = str(server.provider.authority)
    environment = os.environ | {"LINECAMP_API": json.dumps(settings)}
    environment["LINECAMP_API_OBJECTS"] = str(HERE / "objects.py")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", home / "schemathesis.toml"]
    command += ["run", given.document.resolve(), "--url", server.url]
    for operation in given.operations:
        command += ["--include-operation-id", operation]
    return subprocess.run(command, cwd=home, env=environment).returncode


if __name__ == "__main__":
    main()

"""Compares a server with its OpenAPI document: schemathesis makes valid and invalid requests from it.

    pip install schemathesis==4.32.5
    python tests/api/check.py --binaries target/debug [--role viewer|operator|admin|none] [OPERATION...]

It starts a server with sites and users, runs every check with a key of the role, and prints which operations did not
succeed once. It is not part of `cargo xtask test` yet.
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
from urllib3.util import Retry

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "daemon/proto/openapi.json"
PASSWORD = "a much better password"
SITES = [f"site-{number}" for number in range(4)]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server of its own, reached without TLS: the replacement of its authority replaces its certificate."""

    def __init__(self, binaries, home):
        self.binaries, self.home = binaries, home
        tls, plain = free_port(), free_port()
        self.address, self.url = f"127.0.0.1:{tls}", f"http://127.0.0.1:{plain}"
        self.data = home / "server"
        init = self.run("linecamp-server", "init", "--data", self.data, "--server-url", f"https://{self.address}")
        self.key = next(line.split()[-1] for line in init.splitlines() if "admin key:" in line)
        version = json.loads(self.run("linecamp-server", "version", "-o", "json"))["version"]
        self.package = f"linecampd_{version}_amd64.deb"
        (home / "packages").mkdir()
        (home / "packages" / self.package).write_text("a package")
        config = home / "server.toml"
        config.write_text(
            f'site_packages = "{home}/packages"\nhttp = "127.0.0.1:{plain}"\ntrusted_proxies = ["127.0.0.1"]\n'
        )
        command = [binaries / "linecamp-server", "run", "--data", self.data, "--config", config]
        command += ["--https", self.address, "--quic", self.address]
        self.process = subprocess.Popen(command, stdout=open(home / "server.log", "w"), stderr=subprocess.STDOUT)
        self.wait()

    def run(self, program, *arguments):
        return subprocess.run([self.binaries / program, *arguments], check=True, capture_output=True, text=True).stdout

    def wait(self):
        """Waits until the server answers: a connection is tried again, less and less often."""
        client = requests.Session()
        client.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.05)))
        client.get(self.url + "/healthz", timeout=30)

    def post(self, path, body, key=None):
        headers = {"Authorization": f"Bearer {key or self.key}", "X-Forwarded-Proto": "https"}
        answer = requests.post(self.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, f"{path}: {answer.text}"
        return answer.json()

    def join(self, name, environment):
        token = self.post("/api/v1/tokens", {"environment": environment, "ttl_seconds": 600, "uses": 1})["join"]
        target = f"{token.split('@')[0]}@{self.address}"
        self.run("linecampd", "join", target, "--data", self.home / name, "--name", name)

    def key_of(self, role):
        """Creates a user who has changed the first password, and a key."""
        user, once = f"the-{role}", "a first password"
        self.post("/api/v1/users", {"name": user, "role": role, "password": once})
        session = self.post("/api/v1/login", {"name": user, "password": once, "bearer": True})["secret"]
        self.post("/api/v1/password", {"old_password": once, "new_password": PASSWORD}, session)
        return self.post("/api/v1/keys", {"name": "own", "user": user})["secret"]


def missed(answers):
    """The operations that did not answer with the status of their success."""
    seen = collections.defaultdict(set)
    for line in answers.read_text().splitlines():
        operation, status = line.rsplit(" ", 1)
        seen[operation].add(int(status) // 100)
    return sorted(operation for operation, classes in seen.items() if 2 not in classes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--binaries", type=pathlib.Path, required=True)
    arguments.add_argument("--role", default="admin", choices=["viewer", "operator", "admin", "none"])
    arguments.add_argument("operations", nargs="*", metavar="OPERATION")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="linecamp-api-") as directory:
        home = pathlib.Path(directory)
        server = Server(given.binaries.resolve(), home)
        try:
            server.post("/api/v1/environments", {"name": "lab"})
            server.post("/api/v1/environments", {"name": "gate", "approval": True})
            for site in SITES:
                server.join(site, "default")
            server.join("pending", "gate")
            config = (HERE / "schemathesis.toml").read_text()
            if given.role != "none":
                config += f'\n[auth.openapi.bearer]\nbearer = "{server.key_of(given.role)}"\n'
            (home / "schemathesis.toml").write_text(config)
            settings = {"url": server.url, "key": server.key, "role": given.role, "file": str(home / "answers")}
            settings |= {"sites": SITES, "pending": "pending", "package": server.package, "password": PASSWORD}
            environment = os.environ | {"LINECAMP_API": json.dumps(settings)}
            environment["LINECAMP_API_OBJECTS"] = str(HERE / "objects.py")
            command = [sys.executable, "-m", "schemathesis.cli", "--config-file", home / "schemathesis.toml"]
            command += ["run", DOCUMENT, "--url", server.url]
            for operation in given.operations:
                command += ["--include-operation-id", operation]
            code = subprocess.run(command, cwd=home, env=environment).returncode
            print("\nwithout a success:", ", ".join(missed(home / "answers")) or "none")
        finally:
            server.process.kill()
    sys.exit(code)


if __name__ == "__main__":
    main()

"""An identity provider for the operations of a login, and the browser of a person who logs in there."""

import base64
import hashlib
import json
import pathlib
import re
import secrets
import subprocess
import urllib.parse

import requests

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "harness/oidc_provider.mjs"
SECRET = "only for tests"
# Pages and redirects of one login.
STEPS_MAX = 20
# Nothing listens there: only the code that a browser would bring is looked at.
PROGRAM_PORT = 40000


class Provider:
    """A provider of the npm package `oidc-provider`, installed in the directory `modules`."""

    def __init__(self, modules, home, port, server_url):
        self.issuer, self.authority = f"https://127.0.0.1:{port}", home / "authority.pem"
        self.settings = home / "provider.json"
        people, secret = home / "people.json", home / "secret"
        make(self.authority, "/CN=authority")
        signed = ["-CA", self.authority, "-CAkey", key_of(self.authority), "-addext", "basicConstraints=CA:FALSE"]
        certificate = make(home / "provider.pem", "/CN=provider", *signed, "-addext", "subjectAltName=IP:127.0.0.1")
        people.write_text(json.dumps({"u-1": {"preferred_username": "mara", "groups": ["ops"]}}))
        secret.write_text(SECRET + "\n")
        settings = {"issuer": self.issuer, "listen": ["127.0.0.1", port], "secret": SECRET, "people": str(people)}
        settings |= {"certificate": str(certificate), "key": str(key_of(certificate))}
        settings["redirect_uri"] = f"{server_url}/api/v1/login/oidc/callback"
        self.settings.write_text(json.dumps(settings))
        self.server_settings = (
            f'oidc_issuer = "{self.issuer}"\noidc_client_secret_file = "{secret}"\n'
            f'oidc_ca_file = "{self.authority}"\noidc_groups = [{{ group = "ops", role = "viewer" }}]\n'
        )
        log = home / "provider.log"
        command = ["node", SCRIPT, modules, self.settings]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(log, "w"), text=True)
        # Its only line; none if it ends.
        if "listening" not in self.process.stdout.readline():
            raise RuntimeError(f"the provider did not start: {log.read_text()}")


def make(certificate, subject, *more):
    """Makes a certificate and its key: of an authority, or signed by one."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "10", "-subj", subject, *more, "-keyout", key_of(certificate), "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def key_of(certificate):
    return certificate.with_suffix(".key")


def log_in(begin, issuer, authority):
    """Logs in at the provider as a person. `begin` is where the server has sent the browser. Returns the query with
    which the provider sends it back."""
    browser = requests.Session()
    # Authorities in the environment would take the place of this one.
    browser.trust_env, browser.verify = False, authority
    answer = browser.get(begin, allow_redirects=False, timeout=30)
    for _ in range(STEPS_MAX):
        location = answer.headers.get("Location")
        if location is None:
            answer = browser.post(*form(answer), allow_redirects=False, timeout=30)
            continue
        location = urllib.parse.urljoin(answer.url, location)
        if not location.startswith(issuer):
            return query(location)
        answer = browser.get(location, allow_redirects=False, timeout=30)
    raise RuntimeError(f"the provider asks again and again: {answer.url}")


def form(page):
    """Fills in the form of a page: returns where it is sent, and its fields."""
    found = next(one for one in re.findall(r"<form.*?</form>", page.text, re.S) if 'method="post"' in one)
    fields = {}
    for tag in re.findall(r"<input[^>]*>", found):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in attributes:
            fields[attributes["name"]] = attributes.get("value", "")
    fields.update({name: "u-1" for name in ("login", "password") if name in fields})
    return urllib.parse.urljoin(page.url, re.search(r'action="([^"]*)"', found)[1].replace("&amp;", "&")), fields


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def program():
    """What a program that waits for a browser sends: its secret, and the query with which the login begins."""
    verifier = secrets.token_urlsafe(32)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return verifier, {"port": PROGRAM_PORT, "challenge": digest, "state": secrets.token_urlsafe(16)}

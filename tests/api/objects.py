"""Gives the requests that schemathesis makes objects that exist.

A generated name or ID names nothing, so every operation would answer that nothing was found. Most requests that are
valid otherwise therefore get the name of an object, created with the admin's key just before where the operation
removes it. Every eighth keeps what was generated. What is generated to be invalid stays so, and sequences (the phase
`stateful`) use the objects that they create.

LINECAMP_API has the settings in JSON. `check.py` sets it, and sees from the file of answers which operations succeeded.
"""

import itertools
import json
import os
import pathlib
import sys
import threading

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation as Location

sys.path.append(str(pathlib.Path(__file__).resolve().parent))
import identity_provider

SETTINGS = json.loads(os.environ["LINECAMP_API"])
PASSWORD = "a much better password"
# The magic number of WebAssembly, and the version of components.
EMPTY_COMPONENT = b"\0asm\x0d\0\x01\0"
GENERATED_EVERY = 8
# Items of one request that accepts or rejects what is held.
HELD_ITEMS_MAX = 500

# The failed logins of the requests delay others from their address.
OWN_ADDRESS = {"X-Forwarded-For": "192.0.2.1"}

numbers = itertools.count()
lock = threading.Lock()
admin = requests.Session()
admin.headers["X-Forwarded-Proto"] = "https"
admin.headers["Authorization"] = f"Bearer {SETTINGS['key']}"
results = open(SETTINGS["file"], "a", buffering=1)


def call(method, path, body=None, **more):
    media = "application/merge-patch+json" if method == "PATCH" else "application/json"
    if body is not None:
        more.update(data=json.dumps(body), headers={"Content-Type": media} | more.pop("headers", {}))
    return admin.request(method, SETTINGS["url"] + path, timeout=30, **more)


def created(path, body, **more):
    answer = call("POST", path, body, **more)
    assert answer.status_code < 300, f"POST {path}: {answer.text}"
    return answer.json()


def fresh(kind):
    return f"{kind}-{next(numbers)}"


def user():
    return created("/api/v1/users", {"name": fresh("user"), "password": PASSWORD})["name"]


def key():
    return created("/api/v1/keys", {"name": fresh("key")})["key"]["id"]


def token():
    return created("/api/v1/tokens", {"environment": "lab", "ttl_seconds": 600, "uses": 1})["token"]["id"]


def environment():
    return created("/api/v1/environments", {"name": fresh("env")})["name"]


def session():
    """Logs in as a user who has changed the password, and returns the ID and the secret."""
    login = {"name": lasting("member", member), "password": PASSWORD, "bearer": True}
    answer = call("POST", "/api/v1/login", login, headers=OWN_ADDRESS)
    if answer.status_code == 401:
        # A sequence has disabled the user, or set another password.
        KEPT.pop("member")
        return session()
    assert answer.status_code < 300, answer.text
    return answer.json()["caller"]["session"]["id"], answer.json()["secret"]


def member():
    """A user who is an admin, and has a password of their own."""
    name = fresh("member")
    once = "the first password"
    created("/api/v1/users", {"name": name, "role": "admin", "password": once})
    login = {"name": name, "password": once, "bearer": True}
    secret = created("/api/v1/login", login, headers=OWN_ADDRESS)["secret"]
    own = {"Authorization": f"Bearer {secret}"}
    created("/api/v1/password", {"old_password": once, "new_password": PASSWORD}, headers=own)
    return name


def settings(name):
    return {"name": name, "plugin": "dns-fake", "owner": "acme", "zones": ["example.org"]}


def provider():
    body = {"environment": "lab", "sites": "no=such", "settings": settings(fresh("dns"))}
    return created("/api/v1/providers", body)["name"]


def component():
    """A component that does nothing, and has a custom section, so that each has another digest."""
    content = bytes([1]) + b"x" + fresh("component").encode()
    return EMPTY_COMPONENT + b"\0" + bytes([len(content)]) + content


def plugin():
    url = f"{SETTINGS['url']}/api/v1/plugins?name={fresh('plugin')}"
    answer = admin.post(url, data=component(), headers={"Content-Type": "application/octet-stream"}, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json()["digest"]


def site_id():
    return call("GET", f"/api/v1/sites/{site()}").json()["id"]


def bulk_action():
    body = {"action": "activate", "sites": {site_id(): None}}
    return created("/api/v1/bulk-actions", body)["id"]


def begun_login(query):
    """Begins a login at the identity provider, and logs in there as a person. Returns the query with which the
    browser comes back, and its cookie."""
    # The provider sends the browser to this URL only, and other requests change it.
    call("PATCH", "/api/v1/server", {"server_url": SETTINGS["server_url"]})
    begun = public("GET", "/api/v1/login/oidc", params=query)
    location, issuer = begun.headers["Location"], SETTINGS["issuer"]
    callback = identity_provider.log_in(location, issuer, SETTINGS["issuer_authority"])
    return callback, begun.headers["Set-Cookie"].split(";")[0]


def program_login():
    """Logs in for a program. Returns what it exchanges for a session."""
    verifier, query = identity_provider.program()
    callback, cookie = begun_login(query)
    back = public("GET", "/api/v1/login/oidc/callback", params=callback, headers={"Cookie": cookie})
    return {"code": identity_provider.query(back.headers["Location"])["code"], "verifier": verifier}


def device_login():
    return {"handle": public("POST", "/api/v1/login/oidc/device").json()["handle"]}


def public(method, path, headers=None, **more):
    """Sends a request without credentials. Each has another address: a login that is not complete delays others."""
    own = {"X-Forwarded-Proto": "https", "X-Forwarded-For": address()} | (headers or {})
    url = SETTINGS["url"] + path
    answer = requests.request(method, url, headers=own, allow_redirects=False, timeout=30, **more)
    assert answer.status_code < 400, f"{method} {path}: {answer.text}"
    return answer


def address():
    return f"192.0.2.{2 + next(numbers) % 250}"


KEPT = {}


def lasting(kind, make):
    """Returns an object that no request removes."""
    if kind not in KEPT:
        KEPT[kind] = make()
    return KEPT[kind]


def site():
    return SETTINGS["sites"][0]


def spare_site():
    """A site that may be removed: another one each time, as long as there are any."""
    spare = KEPT.setdefault("spare", list(SETTINGS["sites"][1:]))
    return spare.pop() if len(spare) > 1 else spare[0]


def spare_host():
    """A host that may be removed: another one each time, as long as there are any."""
    spare = KEPT.setdefault("spare hosts", list(SETTINGS["hosts"]))
    return spare.pop() if len(spare) > 1 else spare[0]


def session_id():
    return session()[0]


# What a request may remove: a new one each time.
REMOVED = {
    "DELETE /api/v1/users/{name}": user,
    "DELETE /api/v1/keys/{id}": key,
    "DELETE /api/v1/sessions/{id}": session_id,
    "DELETE /api/v1/tokens/{id}": token,
    "DELETE /api/v1/providers/{name}": provider,
    "DELETE /api/v1/plugins/{digest}": plugin,
    "DELETE /api/v1/sites/{name}": spare_site,
    "DELETE /api/v1/hosts/{name}": spare_host,
}

# What stays, by the noun in the path.
STAYING = {
    "users": user,
    "keys": key,
    "sessions": session_id,
    "tokens": token,
    "environments": environment,
    "providers": provider,
    "plugins": plugin,
    "sites": site,
    "bulk-actions": bulk_action,
    "hosts": site,
}


def parameter(case, label):
    """Returns the name or the ID of an object for a request."""
    if label == "GET /install/{name}":
        return SETTINGS["package"]
    if label == "POST /api/v1/sites/{name}/accept":
        return SETTINGS["pending"]
    if label == "POST /api/v1/providers/{name}/preview":
        return fresh("preview")
    noun = label.split("/")[3]
    succeeds = SETTINGS["role"] == "admin" and not any(is_negative(case, location) for location in Location)
    if label in REMOVED and succeeds:
        try:
            return REMOVED[label]()
        except AssertionError:
            # The requests have created as many as the server holds.
            pass
    return lasting(noun, STAYING[noun])


def before_ca(step):
    """The steps of the replacement of the authority come in an order."""
    state = call("GET", "/api/v1/ca").json()["state"]
    wanted = {"add": "stable", "abort": "added", "switch": "added", "retire": "switched"}[step]
    if state == "switched" and wanted != state:
        call("POST", "/api/v1/ca/retire", {"force": True})
        state = "stable"
    if state == "added" and wanted == "stable":
        call("POST", "/api/v1/ca/abort")
    if state == "stable" and wanted != "stable":
        call("POST", "/api/v1/ca/add")
        state = "added"
    if state == "added" and wanted == "switched":
        call("POST", "/api/v1/ca/switch")


def is_negative(case, location):
    components = case.meta.components if case.meta else {}
    found = components.get(location)
    return found is not None and found.mode.is_negative


def complete(case, label):
    """What one part of a request requires of another, which a schema cannot say."""
    name = None
    if case.path_parameters:
        ((parameter_name, name),) = case.path_parameters.items()
        if next(numbers) % GENERATED_EVERY and not is_negative(case, Location.PATH):
            case.path_parameters[parameter_name] = name = parameter(case, label)
            find_it(case)
    complete_parts(case, label, name)


def find_it(case):
    """The object is in no generated environment, at no generated site, and has no generated version."""
    if case.query and not is_negative(case, Location.QUERY):
        case.query.pop("environment", None)
        case.query.pop("site", None)
    if case.headers and not is_negative(case, Location.HEADER):
        case.headers.pop("If-Match", None)


def complete_parts(case, label, name):
    query, body = case.query or {}, case.body
    if case.headers and case.headers.get("If-Match") == "":
        # schemathesis writes no quotes into a header.
        case.headers.pop("If-Match")
    if not is_negative(case, Location.QUERY):
        # A cursor is the `next` of another answer.
        query.pop("cursor", None)
        if label == "GET /api/v1/audit" and "after" in query:
            query.pop("before", None)
    if label == "GET /api/v1/events" and not is_negative(case, Location.QUERY):
        # Nobody waits for an event here.
        if "wait" in query:
            query.update(wait=0, after=query.get("after", 0))
        if "environment" in query:
            query.setdefault("site", site())
    if label == "GET /api/v1/stream" and not is_negative(case, Location.QUERY):
        # An unknown message: the first one of the stream tells it, and nobody waits.
        query["last_event_id"] = "unknown"
        case.query = query
    if label == "GET /api/v1/login/oidc" and not is_negative(case, Location.QUERY):
        # A page of the server or a program that waits: not both.
        program = {"port", "challenge", "state"}
        for unused in {"return_to"} if program <= query.keys() else program:
            query.pop(unused, None)
    if label == "GET /api/v1/login/oidc/callback" and not is_negative(case, Location.QUERY):
        case.query, cookie = begun_login({})
        case.headers["Cookie"], case.headers["X-Forwarded-For"] = cookie, address()
    if is_negative(case, Location.BODY):
        return
    if label == "POST /api/v1/login/oidc/token":
        body.update(program_login())
        case.headers["X-Forwarded-For"] = address()
    if label == "POST /api/v1/login/oidc/device/token":
        body.update(device_login())
        case.headers["X-Forwarded-For"] = address()
    if label == "POST /api/v1/plugins":
        # What the server stores is a component, here without a description in front of it.
        case.body = component()
        query.pop("description_bytes", None)
    if isinstance(body, dict):
        complete_body(label, name, body)


def complete_body(label, name, body):
    if label.startswith("POST /api/v1/restore/"):
        # The lists are limited together.
        for kind, items in body.items():
            body[kind] = items[: HELD_ITEMS_MAX // 3]
        held = SETTINGS["held"][label]
        if held and next(numbers) % GENERATED_EVERY:
            body.update(sites=[], api_keys=[], tokens=[held.pop()])
    if label in ("PATCH /api/v1/sites/{name}", "PATCH /api/v1/hosts/{name}") and "name" in body:
        # Later requests find it by its name.
        body["name"] = name
    if label in ("POST /api/v1/tokens", "POST /api/v1/providers", "POST /api/v1/providers/{name}/preview"):
        body["environment"] = "lab"
    if "replaces" in body:
        # A token that replaces the machine of a site has one use and no labels.
        body.update(uses=1, labels={})
        body.pop("hosts_of", None)
    if name and isinstance(body.get("settings"), dict):
        # A provider is not renamed.
        body["settings"]["name"] = name
    if label == "POST /api/v1/login":
        body.update(name=lasting("member", member), password=PASSWORD)
    if label == "POST /api/v1/password":
        body.update(old_password=SETTINGS["password"], new_password=SETTINGS["password"])
    if label == "POST /api/v1/bulk-actions":
        # Only labels change: with a generation that the spec never has, a site stays as it is.
        body["sites"] = {lasting("site_id", site_id): None if body.get("action") == "label" else 999_999_999}
    if label == "POST /api/v1/keys":
        body["name"] = fresh("key")


# A key has no session to end, and no login to complete: these get a session of their own.
OF_A_SESSION = ("POST /api/v1/logout", "POST /api/v1/setup")
# The users of the keys with which the requests are made.
PROTECTED = ("the-viewer", "the-operator", "the-admin", "admin")


def is_protected(user_name):
    """Whether it is one of them, or a user with which the requests log in."""
    return user_name in PROTECTED or user_name.startswith("member-")


def protect(case, label):
    """Sequences use what lists show. They do not remove the keys and users of the test itself."""
    found = case.path_parameters or {}
    for part, value in found.items():
        if value is None:
            # What a list showed has no such field.
            found[part] = parameter(case, label)
    if label.startswith(("DELETE /api/v1/keys", "POST /api/v1/keys/")):
        owner = call("GET", f"/api/v1/keys/{found.get('id')}").json().get("name")
        if owner in ("own", "admin"):
            case.path_parameters["id"] = key()
    if "/api/v1/users/{name}" in label and not label.startswith("GET") and is_protected(str(found.get("name"))):
        case.path_parameters["name"] = user()


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    phase = case.meta.phase.name.value if case.meta else ""
    with lock:
        if case.headers and "Idempotency-Key" in case.headers and not is_negative(case, Location.HEADER):
            # Each request is another one.
            case.headers["Idempotency-Key"] = fresh("idempotency-key")
        own = f"Bearer {SETTINGS['own']}"
        if SETTINGS["role"] == "admin" and label in OF_A_SESSION and (case.headers or {}).get("Authorization") == own:
            try:
                case.headers["Authorization"] = f"Bearer {session()[1]}"
            except AssertionError:
                # So many generated logins have failed that the next one must wait.
                pass
        if phase == "stateful":
            protect(case, label)
            complete_parts(case, label, next(iter((case.path_parameters or {}).values()), None))
            return
        if "/api/v1/ca/" in label and SETTINGS["role"] == "admin":
            before_ca(label.rsplit("/", 1)[1])
        complete(case, label)


@schemathesis.hook
def after_call(context, case, response):
    results.write(f"{case.operation.label} {response.status_code}\n")

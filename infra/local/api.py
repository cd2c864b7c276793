"""Holds a stack's API to its document: who may ask what, and generated cases.

    api.py [--name NAME] [--cases N]

The stack has to be up, with its stand-ins. Shops are paired by their codes and books are connected over their sign-in
pages, so that generated cases meet something. Nothing may be answered with a 5xx, and nothing that the document lacks.
"""

from __future__ import annotations

import argparse
import collections
import html
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import tools
from tools import LOCAL, ROOT, say, step

DOCUMENT = ROOT / "docs" / "openapi.json"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# The first seed; each further round takes the next.
SEED = 20_261_101
ROUNDS_MAX = 20
# Each operation's cases stay in their order. One thread: of several that parse Python at once some fail on Python 3.11
# ("AST constructor recursion depth mismatch", CPython issue 106905).
WORKERS = "1"
# From so many cases on what lies at the edges of each shape is tried too, about 1,100 cases by itself.
EDGES_FROM_CASES = 2_000
# Which shop speaks to which book, and the provider between them.
SCENE = (
    ("xero", "SHOP_URL", "BOOK_URL"),
    ("sage_accounting", "SHOP_SAGE_URL", "BOOK_SAGE_URL"),
    ("freeagent", "SHOP_FREEAGENT_URL", "BOOK_FREEAGENT_URL"),
)
# The shop whose module asks, and gives its key up.
MODULE_SHOP = "SHOP_ACCOUNTING_URL"
BOOKKEEPER, PASSWORD = "bookkeeper@example.com", "let-me-in"
HELD_MAX_SECONDS = 20


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def ask(method: str, url: str, body: Any = None, token: str | None = None,
        form: dict[str, str] | None = None) -> Answer:
    headers = {"Accept": "application/json"}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if form is not None:
        data, headers["Content-Type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 (addresses of our own)
    try:
        with _OPENER.open(request, timeout=40) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def must(answer: Answer, what: str) -> Any:
    if answer.status != 200:
        sys.exit(f"{what}: {answer.status} {answer.body.decode(errors='replace')[:300]}")
    return answer.json()


# ------------------------------------------------------------------ the scene


def pairs(ledger: str, token: str, shop: str, provider: str) -> dict[str, Any]:
    code = must(ask("POST", f"{shop}/_control/pairing-code", {"provider": provider}), "a pairing code")["pairing_code"]
    body = {"magento_base_url": shop, "pairing_code": code}
    paired = ask("POST", f"{ledger}/v1/magento/connect?provider={provider}", body, token)
    return must(paired, f"pairing with {provider}")


def consents(authorize_url: str) -> str:
    """A person logs in, chooses the first organisation and agrees; where the browser is sent to."""
    page, address = ask("GET", authorize_url), authorize_url
    for _ in range(4):
        if page.status in (302, 303):
            return page.headers["Location"]
        text = page.body.decode()
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text))
        choice = re.search(r'name="organisation" value="([^"]*)"', text)
        if fields.get("step") == "login":
            fields |= {"email": BOOKKEEPER, "password": PASSWORD}
        else:
            fields |= {"decision": "allow"} | ({"organisation": html.unescape(choice[1])} if choice else {})
        action = re.search(r'action="([^"]*)"', text)
        address = urllib.parse.urljoin(address, html.unescape(action[1]) if action else "")
        page = ask("POST", address, form=fields)
    sys.exit(f"nobody gets through the pages of {authorize_url.split('?')[0]}")


def connects(ledger: str, token: str, book: str, binding: str) -> None:
    """The binding has its book, and another connection to it waits for being confirmed."""
    identity = must(ask("GET", f"{book}/_control/identity"), "the book's sign-in")
    app = {"client_id": "generated-cases", "secret": "a-secret-of-the-stand-in",
           "redirect_uris": [f"{ledger}/oauth/callback"]}
    must(ask("POST", f"{book}/_control/identity/apps", app), "an app of the book")
    revoke = identity["revocation_path"]
    hosts = {"authorize": book + identity["authorize_path"], "token": book + identity["token_path"], "api": book}
    hosts |= {"revoke": book + revoke} if revoke else {}
    wanted = {"client_id": app["client_id"], "client_secret": app["secret"], "hosts": hosts}
    must(ask("PUT", f"{ledger}/v1/bindings/{binding}/app", wanted, token), "the binding's app")
    connection = f"{ledger}/v1/bindings/{binding}/connection"
    for confirms in (True, False):
        started = must(ask("POST", connection, token=token), "a connection")
        back = ask("GET", consents(started["authorize_url"]))
        if back.status != 200:
            sys.exit(f"the way back from the book: {back.status} {back.body.decode()[-300:]}")
        pending = must(ask("GET", connection, token=token), "the pending connection")
        if confirms:
            chosen = {"organisation": pending["organisations"][0]["id"]}
            must(ask("POST", f"{connection}/confirm", chosen, token), "confirming")


def scene(env: dict[str, str]) -> dict[str, Any]:
    """Paired shops, connected books, a few runs."""
    ledger, token = env["LEDGER_URL"], env["OPERATOR_TOKEN"]
    tenants, bindings, runs, links, jobs, providers = [], [], [], [], [], {}
    for provider, shop, book in SCENE:
        paired = pairs(ledger, token, env[shop], provider)
        tenant, binding = paired["tenant"]["tenant"], paired["binding"]["binding"]
        connects(ledger, token, env[book], binding)
        ask("PUT", f"{ledger}/v1/bindings/{binding}/mode", {"mode": "preview"}, token)
        preset = must(ask("GET", f"{env[shop]}/_control/presets"), "presets")[0]
        must(ask("POST", f"{env[shop]}/_control/presets/{preset}", {}), "an invoice")
        must(ask("POST", f"{env[shop]}/_control/cron", {}), "the shop's cron")
        found: list[str] = []
        end = time.monotonic() + HELD_MAX_SECONDS
        while not found and time.monotonic() < end:
            listed = must(ask("GET", f"{ledger}/v1/tenants/{tenant}/runs", token=token), "runs")["runs"]
            found = [run["run"] for run in listed]
        tenants, bindings, runs = [*tenants, tenant], [*bindings, binding], [*runs, *found]
        link = must(ask("POST", f"{ledger}/v1/bindings/{binding}/link", token=token), "a connect link")
        links.append(link["url"].rpartition("/")[2])
        job = {"kind": "chips", "since": "2026-01-01T00:00:00Z"}
        # There is one already where this stack was asked before.
        ask("POST", f"{ledger}/v1/bindings/{binding}/jobs", job, token)
        jobs.append(must(ask("GET", f"{ledger}/v1/bindings/{binding}/jobs", token=token), "jobs")["jobs"][0]["job"])
        providers[binding] = provider
    module = pairs(ledger, token, env[MODULE_SHOP], "xero")
    ended = module["binding"]["binding"]
    return {
        "known": {"tenant": tenants, "binding": bindings, "organization_id": bindings, "run": runs,
                  "magento_id": ["1", "2"], "job": jobs, "token": links},
        # What ends something is done to a binding that nothing else needs.
        "ends": {"POST /v1/bindings/{binding}/disconnection": [ended]},
        "providers": providers,
        "module_shop": env[MODULE_SHOP],
        "own": [value for name, value in env.items() if name.startswith(("SHOP_", "BOOK_")) and "://" in value],
    }


# ------------------------------------------------------------------ who may ask


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method.upper(), path, operation) for path, item in document["paths"].items()
            for method, operation in item.items() if method in ("get", "put", "post", "delete")]


def guarded(env: dict[str, str], document: dict[str, Any], places: dict[str, Any], viewer: str) -> int:
    """Every operation without a token, and every write with a viewer's; how many were asked."""
    asked = 0
    known = {name: values[0] for name, values in places["known"].items() if values}
    # A link is used up by being opened.
    known |= {"kind": "invoice", "provider": places["providers"][known["binding"]], "token": "none"}
    for method, path, operation in operations(document):
        url = env["LEDGER_URL"] + re.sub(r"\{(\w+)\}", lambda name: urllib.parse.quote(known[name[1]], safe=""), path)
        parameters = operation.get("parameters", [])
        query = {it["name"]: "1" for it in parameters if it["in"] == "query" and it.get("required")}
        url += f"?{urllib.parse.urlencode(query)}" if query else ""
        needs = [scheme for entry in operation["security"] for scheme in entry]
        body = {} if "requestBody" in operation else None
        answer, asked = ask(method, url, body), asked + 1
        challenged = answer.headers.get("WWW-Authenticate") == "Bearer"
        if needs and (answer.status != 401 or not challenged):
            sys.exit(f"{method} {path} without a token: {answer.status}")
        if not needs and answer.status == 401:
            sys.exit(f"{method} {path} is said to need no token")
        if answer.headers.get("Cache-Control") != "no-store":
            sys.exit(f"{method} {path} may be kept by whoever passes it on")
        if "operator" in needs and method != "GET":
            answer, asked = ask(method, url, sample(document, operation), viewer), asked + 1
            if answer.status != 403 or answer.json()["code"] != "forbidden":
                sys.exit(f"{method} {path} as a viewer: {answer.status} {answer.body.decode(errors='replace')[:200]}")
    return asked


SAMPLES = {"magento_base_url": "https://shop.invalid", "pairing_code": "0123456789abcdef", "mode": "paused",
           "kind": "chips", "since": "2026-01-01T00:00:00Z", "sync_type": "invoices", "sync_types": [], "version": 0}


def sample(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """A body that can be read, so that it is the caller who is refused."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    usual = {"object": {}, "array": [], "boolean": False, "integer": 0}
    return {name: SAMPLES.get(name, usual.get(schema["properties"][name].get("type"), "x"))
            for name in schema.get("required", [])}


# ------------------------------------------------------------------ generated cases


def generated(env: dict[str, str], places: dict[str, Any], cases: int, folder: Any) -> collections.Counter[str]:
    """At least so many cases; what they were answered with."""
    binaries = tools.ensure("api")
    together: collections.Counter[str] = collections.Counter()
    count = len(operations(json.loads(DOCUMENT.read_text(encoding="utf-8"))))
    for number in range(ROUNDS_MAX):
        wanted = cases - sum(together.values())
        if wanted <= 0:
            break
        tally = folder / "api-tally.json"
        tally.unlink(missing_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "infra" / "local"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
            "SCHEMATHESIS_HOOKS": "api_hooks",
            "LEDGER_API_PLACES": json.dumps(places), "LEDGER_API_TALLY": str(tally),
            "OPERATOR_TOKEN": env["OPERATOR_TOKEN"],
        }
        phase = "coverage" if number == 0 and cases >= EDGES_FROM_CASES else "fuzzing"
        command = [
            str(binaries / "schemathesis"), "--config-file", str(ROOT / "infra" / "local" / "api.toml"),
            "run", str(DOCUMENT), "--url", env["LEDGER_URL"], "--checks", CHECKS,
            "--phases", phase, "--mode", "all", "--max-examples", str(max(1, -(-wanted // count))),
            "--seed", str(SEED + number), "--generation-database", "none", "--workers", WORKERS,
            "--no-color", "--no-shrink", "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
            "--max-redirects", "0", "--request-timeout", "60",
        ]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        (folder / "logs" / f"api-{number + 1}.log").write_text(ended.stdout + ended.stderr, encoding="utf-8")
        if ended.returncode != 0:
            say(ended.stdout[-12_000:])
            say(ended.stderr[-4_000:])
            sys.exit(f"the API does not do what {DOCUMENT.relative_to(ROOT)} says")
        together += collections.Counter(json.loads(tally.read_text(encoding="utf-8")))
    return together


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="default", help="which stack")
    parser.add_argument("--cases", type=int, default=1_000, help="how many at least")
    arguments = parser.parse_args()
    folder = LOCAL if arguments.name == "default" else LOCAL / arguments.name
    lines = (folder / "stack.env").read_text(encoding="utf-8").splitlines()
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    served = must(ask("GET", f"{env['LEDGER_URL']}/openapi.json"), "the served document")
    if served != document:
        sys.exit(f"the stack serves another document than {DOCUMENT.relative_to(ROOT)}")

    def token(user: str, *groups: str) -> str:
        stack = [sys.executable, str(ROOT / "infra" / "local" / "stack.py"), "--name", arguments.name]
        told = subprocess.run([*stack, "token", user, *groups], capture_output=True, text=True, check=True)
        return told.stdout.strip()

    # The one that the stack wrote down may be an hour old.
    env["OPERATOR_TOKEN"] = token("generates-cases", "admin")
    with step("pairing shops and connecting books"):
        places = scene(env)
    with step("asking without a token, and as a viewer"):
        viewer = token("looks-only", "viewer", *(f"tenant:{tenant}" for tenant in places["known"]["tenant"]))
        asked = guarded(env, document, places, viewer)
    with step(f"at least {arguments.cases} generated cases"):
        tally = generated(env, places, arguments.cases, folder)
    by_status = collections.Counter[str]()
    for name, times in tally.items():
        by_status[name.rpartition(" ")[2]] += times
    touched = {name.rpartition(" ")[0] for name in tally}
    answers = json.dumps(tally, indent=1, sort_keys=True)
    (folder / "logs" / "api-answers.json").write_text(answers, encoding="utf-8")
    told = ", ".join(f"{status} {times} times" for status, times in sorted(by_status.items()))
    print(f"{sum(tally.values())} generated cases over {len(touched)} operations ({told}), "
          f"{asked} questions of who may ask: no 5xx, nothing undocumented")
    return 0


if __name__ == "__main__":
    sys.exit(main())

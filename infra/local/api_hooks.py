"""Brings generated cases near to what a stack has: most name a real shop, binding or run, and none leads outside.

Loaded by the generator. `LEDGER_API_PLACES` is JSON that `api.py` writes; answers are counted in `LEDGER_API_TALLY`.
"""

from __future__ import annotations

import collections
import json
import os
import threading
import time
import urllib.request
import zlib
from typing import Any

import schemathesis

PLACES = json.loads(os.environ["LEDGER_API_PLACES"])
# A shop's token is good for minutes.
SIGNED_AGAIN_AFTER_SECONDS = 20
ENTITIES = ("invoice", "creditmemo", "customer", "product", "order")
# Nobody listens here.
NOWHERE = "http://127.0.0.1:9"

_tally: collections.Counter[str] = collections.Counter()
_counting = threading.Lock()
_signed: dict[str, Any] = {"at": 0.0, "authorization": ""}


def _drawn(case: Any, salt: str, out_of: int) -> int:
    """The same case draws the same, in every run."""
    text = f"{salt}{case.method}{case.path}{case.path_parameters!r}{case.query!r}{case.body!r}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % out_of


def _authorization(case: Any) -> str | None:
    security = case.operation.definition.raw.get("security") or []
    if any("shop" in scheme for scheme in security):
        if time.monotonic() - _signed["at"] > SIGNED_AGAIN_AFTER_SECONDS:
            request = urllib.request.Request(  # noqa: S310 (an address of our own)
                f"{PLACES['module_shop']}/_control/sign", b'{"seconds_from_now":0}',
                {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                _signed["authorization"] = json.load(answer)["authorization"]
            _signed["at"] = time.monotonic()
        return _signed["authorization"]
    return f"Bearer {os.environ['OPERATOR_TOKEN']}" if security else None


def _real(case: Any) -> None:
    parameters = case.path_parameters
    name = f"{case.method.upper()} {case.operation.path}"
    if not isinstance(parameters, dict):
        return
    for parameter in list(parameters):
        known = PLACES["known"].get(parameter, [])
        if name in PLACES["ends"]:
            known = PLACES["ends"][name]
        if known and _drawn(case, parameter, 4) > 0:
            parameters[parameter] = known[_drawn(case, f"which {parameter}", len(known))]
        if str(parameters[parameter]).strip(" .") == "":
            # A client takes such parts out of a path, and it would be another route's.
            parameters[parameter] = "-"
    if case.path.startswith("/embed/"):
        # Of more parts than one it would be the gateway that answers, not the function.
        parameters["tenant"] = str(parameters["tenant"]).replace("/", "-")
    # An integration is of its binding's provider.
    if "organization_id" in parameters and parameters["organization_id"] in PLACES["providers"]:
        parameters["provider"] = PLACES["providers"][parameters["organization_id"]]


def _kept_inside(value: Any) -> Any:
    """Addresses that somebody else may have become addresses of nobody."""
    if isinstance(value, dict):
        return {key: _kept_inside(it) for key, it in value.items()}
    if isinstance(value, list):
        return [_kept_inside(it) for it in value]
    if isinstance(value, str) and "://" in value:
        if value.startswith(tuple(PLACES["own"])):
            return value
        rest = value.split("://", 1)[1]
        return NOWHERE + (rest[rest.index("/"):] if "/" in rest else "")
    return value


def _likely(case: Any) -> None:
    """Bodies and queries that chance alone would not come upon."""
    body = case.body if isinstance(case.body, dict) else {}
    if case.path == "/v1/magento/connect" and _drawn(case, "shop", 2):
        body["magento_base_url"] = PLACES["module_shop"]
    if case.path.endswith("/settings") and _drawn(case, "version", 2):
        body["version"] = 0
    if case.path.endswith("/xrefs/import") and _drawn(case, "csv", 3):
        provider = PLACES["providers"].get((case.path_parameters or {}).get("binding"), "xero")
        lines = [f"{kind},{_drawn(case, kind, 9)},{provider},{body.get('csv', '')}" for kind in ENTITIES]
        body["csv"] = "\n".join(["entity_type,magento_id,provider,provider_entity_id", *lines])
    if case.path == "/v1/status" and isinstance(case.query, dict) and _drawn(case, "entity", 3):
        case.query["entity_type"] = ENTITIES[_drawn(case, "which entity", len(ENTITIES))]
        case.query["entity_id"] = str(1 + _drawn(case, "id", 9))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    del context, kwargs
    _real(case)
    _likely(case)
    case.body = _kept_inside(case.body)
    authorization = _authorization(case)
    headers = dict(case.headers or {})
    headers.pop("Authorization", None)
    if authorization:
        headers["Authorization"] = authorization
    case.headers = headers


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    del context
    path = os.environ["LEDGER_API_TALLY"]
    with _counting:
        _tally[f"{case.method.upper()} {case.operation.path} {response.status_code}"] += 1
        with open(f"{path}.new", "w", encoding="utf-8") as handle:
            json.dump(_tally, handle)
        os.replace(f"{path}.new", path)

"""Signs an operator in to a local stack's user pool, over the pool's own sign-in page: what `ledger login` does in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

CALLBACK = "http://localhost:8250/callback"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The code is in the redirect, which nobody listens for."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def make_user(cognito: Any, pool: str, name: str, groups: list[str]) -> str:
    """Makes a user, or gives an existing one a new password, and puts them into exactly these groups."""
    password = f"Local-{secrets.token_urlsafe(18)}-1a"
    try:
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    except cognito.exceptions.UsernameExistsException:
        pass
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
    there = {group["GroupName"] for group in cognito.admin_list_groups_for_user(UserPoolId=pool, Username=name)["Groups"]}
    for group in there - set(groups):
        cognito.admin_remove_user_from_group(UserPoolId=pool, Username=name, GroupName=group)
    known = {group["GroupName"] for group in cognito.list_groups(UserPoolId=pool)["Groups"]}
    for group in set(groups) - there:
        if group not in known:
            cognito.create_group(UserPoolId=pool, GroupName=group)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    return password


def make_client(cognito: Any, pool: str) -> str:
    """Another client of a pool, like the command line's."""
    made = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="another", GenerateSecret=False, AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["code"], AllowedOAuthScopes=["openid"], SupportedIdentityProviders=["COGNITO"],
        CallbackURLs=[CALLBACK], ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    return made["UserPoolClient"]["ClientId"]


def sign_in(endpoint: str, client: str, name: str, password: str) -> dict[str, str]:
    """Tokens of a user, by authorization code and PKCE."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    form = {
        "client_id": client, "redirect_uri": CALLBACK, "scope": "openid", "state": secrets.token_urlsafe(16),
        "response_type": "code", "code_challenge": challenge, "code_challenge_method": "S256", "nonce": "",
        "username": name, "password": password,
    }
    location = _location(f"{endpoint}/login", form)
    answered = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)
    if answered.get("state") != [form["state"]] or "code" not in answered:
        raise SystemExit(f"the user pool did not sign {name} in")
    exchange = {
        "grant_type": "authorization_code", "client_id": client, "code": answered["code"][0],
        "redirect_uri": CALLBACK, "code_verifier": verifier,
    }
    request = urllib.request.Request(f"{endpoint}/oauth2/token", urllib.parse.urlencode(exchange).encode())  # noqa: S310
    with _OPENER.open(request, timeout=10) as answer:
        return json.load(answer)


def _location(url: str, form: dict[str, str]) -> str:
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode())  # noqa: S310 (an address of our own)
    try:
        with _OPENER.open(request, timeout=10) as answer:
            return answer.headers.get("Location", "")
    except urllib.error.HTTPError as redirect:
        return redirect.headers.get("Location", "")

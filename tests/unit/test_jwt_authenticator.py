# SPDX-License-Identifier: MIT
"""JWTAuthenticator: which tokens are taken from where, and what they say."""

from __future__ import annotations

import base64
import json
import logging
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from asgi_driver import Connection, until
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fraiseql_asgi import (
    CloseConnection,
    ConfigError,
    JWTAuthenticator,
    SecurityContext,
    SubscriptionManager,
)

SECRET = "0123456789abcdef0123456789abcdef"


def token(
    _key: Any = SECRET, _algorithm: str = "HS256", _kid: str | None = None, **claims: Any
) -> str:
    claims = {"sub": "ann", "exp": int(time.time()) + 60} | claims
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, _key, _algorithm, headers=None if _kid is None else {"kid": _kid})


def make(**settings: Any) -> JWTAuthenticator:
    return JWTAuthenticator(**{"secret": SECRET, "algorithms": ["HS256"]} | settings)


def asked(authenticator: JWTAuthenticator, text: object, **scope: Any) -> SecurityContext | None:
    return authenticator({"authorization": text}, scope)


def pem(key: Any) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "fraiseql_asgi")
    return lambda: [record.getMessage() for record in caplog.records]


# -- what a token says --------------------------------------------------------


def test_claims_become_a_context() -> None:
    exp = int(time.time()) + 60
    context = asked(
        make(),
        token(exp=exp, tenant_id=7, roles=["a", "b"], boundaries="orders users", extra={"x": 1}),
    )
    assert context is not None
    assert (context.user_id, context.tenant_id) == ("ann", "7")
    assert (set(context.roles), set(context.boundaries)) == ({"a", "b"}, {"orders", "users"})
    assert context.expires_at is not None
    assert context.expires_at.timestamp() == exp
    assert context.claims["extra"] == {"x": 1}


def test_claims_have_other_names() -> None:
    authenticator = make(
        user_id="uid",
        tenant_id="https://example.com/tenant",
        roles="realm_access.roles",
        boundaries="no.such.path",
        claims=["email", "missing"],
        leeway=5,
    )
    exp = int(time.time()) + 60
    context = asked(
        authenticator,
        token(
            exp=exp,
            uid=12,
            email="a@b",
            realm_access={"roles": ["admin"]},
            **{"https://example.com/tenant": "acme"},
        ),
    )
    assert context is not None
    assert (context.user_id, context.tenant_id) == ("12", "acme")
    assert (list(context.roles), list(context.boundaries)) == (["admin"], [])
    assert dict(context.claims) == {"email": "a@b"}
    assert context.expires_at is not None
    assert context.expires_at.timestamp() == exp + 5


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"sub": None}, "no claim 'sub'"),
        ({"sub": ""}, "no claim 'sub'"),
        ({"sub": "anonymous"}, "nobody's name"),
        ({"tenant_id": ["x"]}, "'tenant_id' is no text but list"),
        ({"tenant_id": True}, "'tenant_id' is no text but bool"),
        ({"roles": [1]}, "'roles' is no list of texts"),
        ({"roles": {"admin": True}}, "'roles' is no list of texts"),
        ({"exp": None}, 'missing the "exp" claim'),
        ({"exp": 10**18}, "expires_at"),
        ({"nbf": 4_102_444_800}, "not yet valid"),
        ({"aud": "somebody"}, "audience"),
    ],
)
def test_a_token_that_says_nobody_is_refused(
    claims: dict[str, Any], told: str, log: Callable[[], list[str]]
) -> None:
    assert asked(make(), token(**claims)) is None
    (line,) = log()
    assert told.lower() in line.lower()


def test_an_expired_token_is_told() -> None:
    old = token(exp=int(time.time()) - 3)
    with pytest.raises(CloseConnection) as caught:
        asked(make(), old)
    assert (caught.value.code, caught.value.reason) == (4403, "Token expired")
    assert asked(make(leeway=30), old) is not None


def test_a_token_without_an_end_may_be_allowed() -> None:
    context = asked(make(require_expiry=False), token(exp=None))
    assert context is not None
    assert context.expires_at is None


def test_issuer_and_audience_are_checked() -> None:
    authenticator = make(issuer="https://a", audience=["web", "app"])
    assert asked(authenticator, token(iss="https://a", aud="app")) is not None
    for claims in ({}, {"iss": "https://a"}, {"aud": "app"}, {"iss": "https://b", "aud": "app"}):
        assert asked(authenticator, token(**claims)) is None
    assert asked(authenticator, token(iss="https://a", aud=["x", "y"])) is None


# -- where it comes from ------------------------------------------------------


def test_bearer_may_be_left_out() -> None:
    text = token()
    for shown in (text, f"Bearer {text}", f"bearer  {text} "):
        assert asked(make(), shown) is not None
    assert make()({"Authorization": text}) is not None


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Basic abc", "a b c", "x" * 20_000, "é.é.é", "..", 7, {}, []]
)
def test_what_is_no_token_is_refused(shown: object, log: Callable[[], list[str]]) -> None:
    assert asked(make(), shown) is None
    (line,) = log()
    assert len(line) < 300


def test_the_first_place_that_has_one_counts() -> None:
    authenticator = make(cookie="session")
    names = ("payload", "header", "cookie")
    texts = {name: token(sub=name) for name in names}
    scope = {
        "headers": [
            (b"host", b"x"),
            (b"cookie", f"a=b; session={texts['cookie']}; c".encode()),
        ]
    }
    with_header = {
        "headers": [*scope["headers"], (b"authorization", b"Bearer " + texts["header"].encode())]
    }
    for payload, where, expected in (
        ({"authorization": texts["payload"]}, with_header, "payload"),
        ({"authorization": None}, with_header, "header"),
        ({}, with_header, "header"),
        ({}, scope, "cookie"),
    ):
        context = authenticator(payload, where)
        assert context is not None
        assert context.user_id == expected
    # One that is wrong is not made good by another.
    assert authenticator({"authorization": "wrong"}, with_header) is None
    assert make()({}, scope) is None
    assert authenticator({}, {"headers": [(b"cookie", f'session="{texts["cookie"]}"'.encode())]})
    assert authenticator({}, {"headers": [(b"cookie", b"a=b"), *scope["headers"]]})
    assert authenticator({}, {"headers": [(b"cookie", b'session="\xff\\')]}) is None
    assert authenticator({}, None) is None


def test_anonymous_clients_may_be_allowed() -> None:
    authenticator = make(allow_anonymous=True)
    assert authenticator({}, {"headers": []}) == SecurityContext("anonymous")
    assert asked(authenticator, "wrong") is None
    assert asked(authenticator, "") is None


# -- keys ---------------------------------------------------------------------


def forged(header: dict[str, Any], signature: str = "") -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part(header)}.{part({'sub': 'ann', 'exp': int(time.time()) + 60})}.{signature}"


def test_a_token_does_not_choose_how_it_is_checked(rsa_key: rsa.RSAPrivateKey) -> None:
    public = make(secret=None, public_key=pem(rsa_key), algorithms=["RS256"])
    assert asked(public, token(rsa_key, "RS256")) is not None
    assert asked(public, token(rsa_key, "RS384")) is None
    for none in ("none", "None", "NONE"):
        assert asked(public, forged({"alg": none})) is None
        assert asked(make(), forged({"alg": none})) is None
    # The public key, which everybody has, as a secret.
    import hashlib
    import hmac

    head = forged({"alg": "HS256", "typ": "JWT"}).rpartition(".")[0]
    digest = hmac.new(pem(rsa_key).encode(), head.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked(public, f"{head}.{signature}") is None
    assert asked(make(), token("another secret of enough bytes, really")) is None


def test_keys_of_all_kinds(rsa_key: rsa.RSAPrivateKey, tmp_path: pathlib.Path) -> None:
    ec_key, ed_key = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    for key, name in ((rsa_key, "RS256"), (rsa_key, "PS512"), (ec_key, "ES256"), (ed_key, "EdDSA")):
        path = tmp_path / f"{name}.pem"
        path.write_text(pem(key))
        for given in (pem(key), pem(key).encode(), path, str(path)):
            authenticator = JWTAuthenticator(public_key=given, algorithms=[name])
            assert asked(authenticator, token(key, name)) is not None
    for name, n in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        authenticator = JWTAuthenticator(secret=b"s" * n, algorithms=[name])
        assert asked(authenticator, token("s" * n, name)) is not None


def jwk(key: Any, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(
        key.public_key(), as_dict=True
    )
    return made | more


@pytest.fixture
def jwks(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    path = tmp_path / "keys.json"

    def write(*keys: dict[str, Any]) -> pathlib.Path:
        new = tmp_path / "keys.json.new"
        new.write_text(json.dumps({"keys": keys}))
        new.replace(path)
        return path

    return write


def test_a_key_set_has_one_key_for_each_token(
    rsa_key: rsa.RSAPrivateKey, jwks: Callable[..., pathlib.Path]
) -> None:
    ec_key = ec.generate_private_key(ec.SECP256R1())
    other = rsa.generate_private_key(65537, 2048)
    path = jwks(
        jwk(rsa_key, kid="1"),
        jwk(ec_key, "ES256", kid="2", use="sig", alg="ES256"),
        jwk(other, kid="3", use="enc"),
        {"kty": "of the future", "kid": "4"},
        {"kty": "oct", "k": "c2hvcnQ", "kid": "5"},
    )
    authenticator = JWTAuthenticator(jwks=path, algorithms=["RS256", "ES256"])
    assert asked(authenticator, token(rsa_key, "RS256", "1")) is not None
    assert asked(authenticator, token(ec_key, "ES256", "2")) is not None
    # Without an id where one key fits; with an id that is another's, or nobody's.
    assert asked(authenticator, token(rsa_key, "RS256")) is not None
    assert asked(authenticator, token(rsa_key, "RS256", "2")) is None
    assert asked(authenticator, token(rsa_key, "RS256", "9")) is None
    assert asked(authenticator, token(other, "RS256", "3")) is None
    assert asked(authenticator, token(other, "RS256", "1")) is None
    assert asked(authenticator, token(rsa_key, "RS384", "1")) is None
    assert asked(authenticator, token("c2hvcnQ" * 8, "HS256", "5")) is None
    assert asked(authenticator, forged({"alg": "RS256", "kid": {}})) is None
    assert asked(authenticator, forged({})) is None


def test_a_key_set_is_read_again_when_it_changes(
    rsa_key: rsa.RSAPrivateKey,
    jwks: Callable[..., pathlib.Path],
    log: Callable[[], list[str]],
) -> None:
    other = rsa.generate_private_key(65537, 2048)
    old, new = token(rsa_key, "RS256", "1"), token(other, "RS256", "2")
    path = jwks(jwk(rsa_key, kid="1"))
    authenticator = JWTAuthenticator(jwks=path, algorithms=["RS256"])
    assert asked(authenticator, new) is None
    jwks(jwk(rsa_key, kid="1"), jwk(other, kid="2"))
    assert asked(authenticator, new) is not None
    assert asked(authenticator, old) is not None
    jwks(jwk(other, kid="2"))
    assert asked(authenticator, old) is None
    # What it had holds while there is nothing to read, and the log says so once.
    n = len(log())
    path.unlink()
    assert asked(authenticator, new) is not None
    assert asked(authenticator, new) is not None
    path.write_text("{")
    assert asked(authenticator, new) is not None
    assert asked(authenticator, new) is not None
    gone, broken = log()[n:]
    assert "cannot read it: No such file" in gone
    assert "it is no JSON object" in broken
    jwks(jwk(rsa_key, kid="1"))
    assert asked(authenticator, old) is not None
    assert asked(authenticator, new) is None


# -- settings -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"algorithms": []}, "algorithms names those"),
        ({"algorithms": ["none"]}, "must not have 'none'"),
        ({"algorithms": ["HS256", "NONE"]}, "must not have 'none'"),
        ({"algorithms": ["HS1"]}, "unknown algorithm 'HS1'"),
        ({"algorithms": ["HS256", "RS256"]}, "a public key could be taken"),
        ({"secret": None}, "takes one of secret, public_key and jwks, not none"),
        ({"public_key": "x"}, "not secret and public_key"),
        ({"secret": "short"}, "secret has 5 bytes, and HS256 takes 32 or more"),
        ({"algorithms": ["HS256", "HS512"]}, "takes 64 or more"),
        ({"algorithms": ["RS256"]}, "RS256 takes public_key or jwks, not secret"),
        ({"secret": None, "public_key": "x"}, "HS256 takes secret, not public_key"),
        (
            {"secret": None, "public_key": "/none.pem", "algorithms": ["RS256"]},
            "'/none.pem': cannot read it: No such file",
        ),
        (
            {"secret": None, "public_key": b"nothing", "algorithms": ["RS256"]},
            "public_key is no key for RS256",
        ),
        (
            {"secret": None, "jwks": "/none.json", "algorithms": ["RS256"]},
            "jwks '/none.json': cannot read it",
        ),
        (
            {"secret": None, "jwks": "https://x/jwks", "algorithms": ["RS256"]},
            "not a URL: fetch it beside the server",
        ),
        ({"leeway": -1}, "leeway must be from 0 to 3600"),
        ({"user_id": ""}, "user_id must not be empty"),
        ({"cookie": ""}, "cookie must not be empty"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**settings)
    assert told in str(caught.value)


@pytest.mark.parametrize("settings", [{"leeway": "1"}, {"roles": 1}, {"issuer": 1}, {"secret": 1}])
def test_settings_of_the_wrong_type(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(settings))):
        make(**settings)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": 1}', '{"keys": [1]}', '{"keys": []}', "[" * 9999]
)
def test_a_key_set_without_keys(text: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        JWTAuthenticator(jwks=path, algorithms=["RS256"])
    path.write_text(" " * (2**20 + 1))
    with pytest.raises(ConfigError, match="longer than"):
        JWTAuthenticator(jwks=path, algorithms=["RS256"])


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['jwt'] = None\n"
        "from fraiseql_asgi import ConfigError, JWTAuthenticator\n"
        "try: JWTAuthenticator(secret='x', algorithms=['HS256'])\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert "pip install 'fraiseql-asgi[jwt]'" in done.stdout


# -- as an auth handler -------------------------------------------------------


async def init(client: Connection, payload: dict[str, Any]) -> Any:
    await client.accepted()
    client.write({"type": "connection_init", "payload": payload})
    message = await client.next()
    return json.loads(message["text"]) if "text" in message else message


async def test_a_manager_lets_in_renews_and_revokes() -> None:
    async with SubscriptionManager(auth_handler=make(), expiry_grace=30) as manager:
        client = Connection(manager)
        assert await init(client, {"authorization": f"Bearer {token()}"}) == {
            "type": "connection_ack"
        }
        client.write({"type": "subscribe", "id": "1", "payload": {"query": "subscription { x }"}})
        await until(lambda: manager.subscriber_count() == 1)
        new = token(exp=int(time.time()) + 3600, roles="admin")
        client.write({"type": "ping", "payload": {"authorization": new}})
        await until(lambda: manager.get_metrics()["reauthentications"] == 1)
        assert (await client.read())["type"] == "pong"
        manager.disconnect(user_id="ann")
        closed = await client.next()
        assert (closed["type"], closed["code"]) == ("websocket.close", 4403)
        await client.ended()


async def test_a_manager_closes_when_the_token_ends() -> None:
    async with SubscriptionManager(auth_handler=make()) as manager:
        client = Connection(manager)
        client.scope["headers"] = [(b"authorization", token(exp=int(time.time()) + 1).encode())]
        # That second may be over already: then it says so at once.
        told = await init(client, {})
        if told == {"type": "connection_ack"}:
            told = await client.next()
        assert told == {"type": "websocket.close", "code": 4403, "reason": "Token expired"}
        await client.ended()
        refused = Connection(manager)
        told = await init(refused, {})
        assert told == {"type": "websocket.close", "code": 4403, "reason": "Forbidden"}
        await refused.ended()

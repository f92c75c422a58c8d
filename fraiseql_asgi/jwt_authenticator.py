# SPDX-License-Identifier: MIT
"""JWTAuthenticator: clients that bring a JSON Web Token (RFC 7519).

PyJWT checks the token; which key may have signed it, where it is looked for
and what its claims mean is decided here.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from fraiseql_asgi._core import SecurityContext
from fraiseql_asgi.errors import CloseConnection, ConfigError

if TYPE_CHECKING:
    import jwt

__all__ = ["JWTAuthenticator"]

_logger = logging.getLogger("fraiseql_asgi")

#: Bytes that the hash of each algorithm gives; a secret is as long at least
#: (RFC 7518 3.2).
_SYMMETRIC = {"HS256": 32, "HS384": 48, "HS512": 64}
_ASYMMETRIC = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA"),
)
#: Tokens of servers in use have up to some 8 KiB, as headers and cookies have.
_TOKEN_MAX = 16 * 2**10
#: A file of keys; the largest of public providers have some 20 KiB.
_JWKS_MAX = 2**20


class JWTAuthenticator:
    """Says who a client is by its JSON Web Token: an `auth_handler`.

    The token is the first there is of: `authorization` in the payload of
    `connection_init` (or of a `ping` that renews it), the `Authorization`
    header, the cookie. `Bearer ` before it may be left out. A client without
    one, or with a wrong one, is refused with 4403, and the log of
    `fraiseql_asgi` says why at level INFO, without the token. The context ends
    when the token does (`exp`).

    Give exactly one of `secret`, `public_key` and `jwks`.

    Args:
        secret: what HMAC tokens are signed with; at least as long as the hash.
        public_key: PEM, as text or as the path of a file.
        jwks: the path of a JSON Web Key Set (RFC 7517). It is read again when
            it changes; while it cannot be read, the keys before it hold.
        algorithms: those that may be used, such as `["RS256"]`. There is no
            default: a token must not choose how it is checked.
        issuer: the `iss` a token must have, or several of which it has one.
        audience: the `aud` it must have, likewise. A token that names an
            audience is refused where none is given.
        leeway: seconds by which clocks may differ.
        require_expiry: refuse tokens without `exp`.
        allow_anonymous: let clients without a token in, as
            `SecurityContext("anonymous")`; a wrong one is refused all the same.
        user_id: the claim that names the user. This claim must be there; it and
            the next three are keys of the payload or paths with dots,
            `"realm_access.roles"`.
        tenant_id: the claim that names the tenant.
        roles: that of the roles: a list, or a text with spaces between them.
        boundaries: that of the subgraphs in reach, likewise.
        claims: names of the claims that `context.security.claims` shows; None:
            all.
        cookie: the name of a cookie that may hold the token.

    Raises:
        ConfigError: a setting that cannot work, or PyJWT is not installed
            (`pip install 'fraiseql-asgi[jwt]'`).
        TypeError: an argument has the wrong type.

    Example:
        manager = SubscriptionManager(
            auth_handler=JWTAuthenticator(jwks="keys.json", algorithms=["RS256"]))
    """

    def __init__(
        self,
        *,
        secret: str | bytes | None = None,
        public_key: str | bytes | os.PathLike[str] | None = None,
        jwks: str | os.PathLike[str] | None = None,
        algorithms: Iterable[str],
        issuer: str | Iterable[str] | None = None,
        audience: str | Iterable[str] | None = None,
        leeway: float = 0.0,
        require_expiry: bool = True,
        allow_anonymous: bool = False,
        user_id: str = "sub",
        tenant_id: str = "tenant_id",
        roles: str = "roles",
        boundaries: str = "boundaries",
        claims: Iterable[str] | None = None,
        cookie: str | None = None,
    ) -> None:
        self._jwt = _import_jwt()
        self._algorithms = _check_algorithms(algorithms)
        self._issuer = _texts("issuer", issuer)
        self._audience = _texts("audience", audience)
        self._leeway = _check_leeway(leeway)
        self._required = ["exp"] if require_expiry else []
        self._allow_anonymous = bool(allow_anonymous)
        self._claim_names = {
            "user_id": user_id,
            "tenant_id": tenant_id,
            "roles": roles,
            "boundaries": boundaries,
        }
        for name, claim in self._claim_names.items():
            _check_name(name, claim)
        self._shown = _texts("claims", claims)
        if cookie is not None:
            _check_name("cookie", cookie)
        self._cookie = cookie
        self._keys = self._make_keys(secret, public_key, jwks)

    def __call__(
        self, payload: Mapping[str, Any], scope: Mapping[str, Any] | None = None
    ) -> SecurityContext | None:
        """Who sent `payload`; None: nobody that may come in.

        Raises:
            CloseConnection: the token has expired.
        """
        found = self._find(payload, scope or {})
        if found is None:
            return SecurityContext("anonymous") if self._allow_anonymous else None
        try:
            return self._read(found)
        except self._jwt.ExpiredSignatureError:
            _logger.info("a JWT is refused: it has expired")
            raise CloseConnection(4403, "Token expired") from None
        except (self._jwt.PyJWTError, _Refusal) as error:
            _logger.info("a JWT is refused: %.200s", error)
            return None

    # -- where it is --------------------------------------------------------

    def _find(self, payload: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
        """What the client shows, None: nothing."""
        for name, value in payload.items():
            if name.lower() == "authorization" and value is not None:
                return value
        cookies = []
        for raw_name, raw in scope.get("headers") or ():
            if raw_name == b"authorization":
                return str(raw.decode("latin-1"))
            if raw_name == b"cookie":
                cookies.append(raw.decode("latin-1"))
        return self._find_cookie(cookies)

    def _find_cookie(self, cookies: list[str]) -> str | None:
        if self._cookie is None:
            return None
        # HTTP/2 may send one header for each (RFC 9113 8.2.3). One cookie that
        # cannot be read does not hide the others.
        for pair in ";".join(cookies).split(";"):
            name, _, value = pair.strip().partition("=")
            if name != self._cookie:
                continue
            if value.startswith('"'):
                try:
                    value = SimpleCookie(f"{name}={value}")[name].value
                except (CookieError, KeyError):
                    pass
            return value
        return None

    # -- what it says -------------------------------------------------------

    def _read(self, found: object) -> SecurityContext:
        token = _without_scheme(found)
        payload = self._jwt.decode(
            token,
            key=self._keys.find(token),
            algorithms=self._algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"require": self._required},
        )
        names = self._claim_names
        user_id = _text_of(payload, names["user_id"])
        if user_id is None:
            raise _Refusal(f"it has no claim {names['user_id']!r}, the user")
        if user_id == "anonymous":
            raise _Refusal("it is that of a user called 'anonymous', which is nobody's name")
        shown = payload
        if self._shown is not None:
            shown = {name: payload[name] for name in self._shown if name in payload}
        expires = payload.get("exp")
        try:
            return SecurityContext(
                user_id,
                _text_of(payload, names["tenant_id"]),
                roles=_list_of(payload, names["roles"]),
                boundaries=_list_of(payload, names["boundaries"]),
                claims=shown,
                expires_at=None if expires is None else int(expires) + self._leeway,
            )
        except (ValueError, OverflowError) as error:
            raise _Refusal(str(error)) from None

    # -- keys ---------------------------------------------------------------

    def _make_keys(
        self,
        secret: str | bytes | None,
        public_key: str | bytes | os.PathLike[str] | None,
        jwks: str | os.PathLike[str] | None,
    ) -> _OneKey | _KeySet:
        given = [name for name, value in _pairs(secret, public_key, jwks) if value is not None]
        if len(given) != 1:
            raise ConfigError(
                "a JWTAuthenticator takes one of secret, public_key and jwks, not "
                + (" and ".join(given) or "none"),
                setting=given[0] if given else "secret",
            )
        is_symmetric = self._algorithms[0] in _SYMMETRIC
        if jwks is not None:
            return _KeySet(self._jwt, jwks, self._algorithms)
        if is_symmetric != (secret is not None):
            wanted = "secret" if is_symmetric else "public_key or jwks"
            raise ConfigError(
                f"{', '.join(self._algorithms)} takes {wanted}, not {given[0]}", setting=given[0]
            )
        key = (
            _read_secret(secret, self._algorithms) if public_key is None else _read_pem(public_key)
        )
        return _OneKey(self._jwt, given[0], key, self._algorithms)


class _Refusal(Exception):
    """Why a token that may be in order says nobody."""


class _OneKey:
    """The key of every token."""

    def __init__(self, jwt: Any, setting: str, key: bytes, algorithms: list[str]) -> None:
        # Tried now, so that a key that does not fit is no surprise later.
        for name in algorithms:
            try:
                self._key = jwt.get_algorithm_by_name(name).prepare_key(key)
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                raise ConfigError(
                    f"{setting} is no key for {name}: {error}", setting=setting
                ) from None

    def find(self, token: str) -> Any:
        return self._key


class _KeySet:
    """The keys of a file, of which a token names one."""

    def __init__(self, jwt: Any, path: str | os.PathLike[str], algorithms: list[str]) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"jwks must be a path, not {type(path).__name__}")
        if str(path).startswith(("http://", "https://")):
            raise ConfigError(
                "jwks is the path of a file, not a URL: fetch it beside the server, into a file "
                "that is then replaced; changes are noticed",
                setting="jwks",
            )
        self._jwt = jwt
        self._path = pathlib.Path(path)
        self._algorithms = algorithms
        #: What could be told of the file without reading it.
        self._seen = self._look()
        self._keys = self._load()

    def find(self, token: str) -> Any:
        self._refresh()
        header = self._jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if kid is not None:
            fitting = [key for key in fitting if key.key_id == kid]
        if len(fitting) == 1:
            return fitting[0]
        named = f"key id {kid!r}" if kid is not None else "no key id"
        raise _Refusal(
            f"it has {named} and algorithm {algorithm!r}, for which there are {len(fitting)} keys"
        )

    def _refresh(self) -> None:
        """Take what the file has now; what it had holds while it has nothing."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = self._load()
        except ConfigError as error:
            _logger.error("%s; the keys it had before hold on", error)

    def _look(self) -> object:
        try:
            stat = self._path.stat()
        except OSError as error:
            return error.strerror
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def _load(self) -> list[jwt.PyJWK]:
        try:
            with self._path.open("rb") as file:
                text = file.read(_JWKS_MAX + 1)
        except OSError as error:
            raise self._fault(f"cannot read it: {error.strerror}") from None
        if len(text) > _JWKS_MAX:
            raise self._fault(f"it is longer than {_JWKS_MAX} bytes")
        try:
            keys = json.loads(text)["keys"]
            entries = [dict(key) for key in keys]
        except (ValueError, TypeError, LookupError, RecursionError):
            raise self._fault('it is no JSON object with a list of keys, {"keys": [...]}') from None
        loaded = [key for entry in entries for key in self._keys_of(entry)]
        if not loaded:
            raise self._fault(f"it has no key for {', '.join(self._algorithms)}")
        return loaded

    def _keys_of(self, entry: dict[str, Any]) -> list[jwt.PyJWK]:
        """One key for each of our algorithms that may be used with it."""
        if entry.get("use", "sig") != "sig":
            return []
        keys = []
        for name in self._algorithms:
            if entry.get("alg", name) != name:
                continue
            if name in _SYMMETRIC and _secret_len(entry) < _SYMMETRIC[name]:
                continue
            # Other kinds of keys, which the file may have for others.
            try:
                keys.append(self._jwt.PyJWK(entry, algorithm=name))
            except (self._jwt.PyJWTError, ValueError, TypeError, KeyError):
                pass
        return keys

    def _fault(self, text: str) -> ConfigError:
        return ConfigError(f"jwks {str(self._path)!r}: {text}", setting="jwks")


# -- checks -------------------------------------------------------------------


def _import_jwt() -> Any:
    try:
        import jwt
    except ImportError:
        raise ConfigError(
            "JWTAuthenticator needs PyJWT: pip install 'fraiseql-asgi[jwt]'", setting="auth_handler"
        ) from None
    return jwt


def _check_algorithms(algorithms: Iterable[str]) -> list[str]:
    names: list[str] = _texts("algorithms", algorithms)
    if not names:
        raise ConfigError(
            'algorithms names those that may be used, such as ["RS256"]', setting="algorithms"
        )
    for name in names:
        if name.lower() == "none":
            raise ConfigError(
                "algorithms must not have 'none': anybody can make such a token",
                setting="algorithms",
            )
        if name not in _SYMMETRIC and name not in _ASYMMETRIC:
            raise ConfigError(
                f"unknown algorithm {name!r}: there are {', '.join((*_SYMMETRIC, *_ASYMMETRIC))}",
                setting="algorithms",
            )
    if len({name in _SYMMETRIC for name in names}) == 2:
        raise ConfigError(
            "algorithms has some that sign with a secret and some that check with a public key: "
            "with both, a public key could be taken for a secret",
            setting="algorithms",
        )
    return names


def _check_leeway(leeway: object) -> float:
    if isinstance(leeway, bool) or not isinstance(leeway, (int, float)):
        raise TypeError(f"leeway must be a number of seconds, not {type(leeway).__name__}")
    if not 0 <= leeway <= 3600:
        raise ConfigError(f"leeway must be from 0 to 3600 seconds, not {leeway}", setting="leeway")
    return float(leeway)


def _check_name(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ConfigError(f"{name} must not be empty", setting=name)


def _texts(name: str, value: object) -> Any:
    """One text or several as a list; None for None."""
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a str or several, not {type(value).__name__}")
    items = list(value)
    for item in items:
        _check_name(name, item)
    return items


def _pairs(*values: object) -> Iterable[tuple[str, object]]:
    return zip(("secret", "public_key", "jwks"), values, strict=True)


def _read_secret(secret: object, algorithms: list[str]) -> bytes:
    if not isinstance(secret, (str, bytes)):
        raise TypeError(f"secret must be a str or bytes, not {type(secret).__name__}")
    key = secret.encode() if isinstance(secret, str) else secret
    needed = max(_SYMMETRIC[name] for name in algorithms)
    if len(key) < needed:
        raise ConfigError(
            f"secret has {len(key)} bytes, and {', '.join(algorithms)} takes {needed} or more: "
            "make one with `openssl rand -hex 64`",
            setting="secret",
        )
    return key


def _read_pem(public_key: object) -> bytes:
    if isinstance(public_key, bytes):
        return public_key
    if isinstance(public_key, str) and "-----BEGIN" in public_key:
        return public_key.encode()
    if not isinstance(public_key, (str, os.PathLike)):
        raise TypeError(
            f"public_key must be PEM or the path of a file, not {type(public_key).__name__}"
        )
    try:
        return pathlib.Path(public_key).read_bytes()
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"public_key {str(public_key)!r}: cannot read it: {told}", setting="public_key"
        ) from None


def _secret_len(entry: dict[str, Any]) -> int:
    """Bytes of a symmetric key, written in base64url."""
    value = entry.get("k")
    return len(value.rstrip("=")) * 3 // 4 if isinstance(value, str) else 0


# -- reading ------------------------------------------------------------------


def _without_scheme(found: object) -> str:
    if not isinstance(found, str):
        raise _Refusal(f"authorization is no string but {type(found).__name__}")
    token = found.strip()
    scheme, _, rest = token.partition(" ")
    if scheme.lower() == "bearer":
        token = rest.strip()
    if not token or " " in token:
        raise _Refusal("authorization is not a token, with or without 'Bearer '")
    if len(token) > _TOKEN_MAX:
        raise _Refusal(f"it is longer than {_TOKEN_MAX} bytes")
    if not token.isascii():
        raise _Refusal("it has characters that no token has")
    return token


def _claim(payload: Mapping[str, Any], name: str) -> Any:
    """The claim of that name; else what a path with dots leads to, or None."""
    if name in payload:
        return payload[name]
    value: Any = payload
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _text_of(payload: Mapping[str, Any], name: str) -> str | None:
    """A name: a text, or a whole number in its digits."""
    value = _claim(payload, name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _Refusal(f"its claim {name!r} is no text but {type(value).__name__}")
    return value


def _list_of(payload: Mapping[str, Any], name: str) -> list[str]:
    value = _claim(payload, name)
    if value is None:
        return []
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Refusal(f"its claim {name!r} is no list of texts")
    return value

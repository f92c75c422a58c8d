# SPDX-License-Identifier: MIT
"""Security: one policy table for everything a manager or executor serves.

It is checked when it is made and again with the schema, when the engine
starts; the engine compiles it, and judges subscriptions and events in C.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fraiseql_asgi import _core
from fraiseql_asgi.errors import ConfigError

__all__ = ["Security"]

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_MODES = ("mask", "reject")
_OWN = ("user_id", "tenant_id", "claims")


class Security:
    """Who may see what. What is not allowed by all of it is denied.

    Immutable. A subscription it refuses gets an `error` with code FORBIDDEN;
    an event it keeps from a subscription leaves no trace there.

    Args:
        tenant_path: where an event's data names its tenant, `"tenant_id"` or
            `"order.tenant_id"`, or a list of keys. What a publisher says as
            `tenant_id=` counts as well: where both are said and differ, nobody
            gets the event.
        multi_tenant: events that name no tenant reach nobody, unless their
            field is declared `public=True`. None: with `tenant_path`.
        field_roles: who may see a field:
            `{"Order.margin": {"roles": ["finance"], "mode": "mask"}}`. Without
            one of the roles it is null (`"mask"`) or selecting it refused
            (`"reject"`, the default). A field of an interface stands for that
            field of all its types.
        rows: which events of a subscription field a context may see:
            `{"order": event.owner == ctx.user_id}`.
        boundaries: which subgraph owns a type: `{"Order": "orders"}`. Whoever
            selects something that may return it needs that boundary.
        variable_scope: which arguments and variables must be the context's own
            value: `{"userId": "user_id"}`, or for one field
            `{"order.userId": "user_id"}`. A value is `"user_id"`,
            `"tenant_id"`, `"claims.team"` or `ctx.claims.team`. They must be
            given, unless `{"value": "user_id", "optional": True}` says
            otherwise.

    Raises:
        ConfigError: a rule cannot work; it says which.
        TypeError: an argument has the wrong type.

    Example:
        Security(
            tenant_path="tenant_id",
            field_roles={"Order.margin": {"roles": ["finance"], "mode": "mask"}},
            rows={"order": event.owner == ctx.user_id},
            boundaries={"Order": "orders"},
            variable_scope={"userId": "user_id"},
        )
    """

    __slots__ = ("_policy",)

    def __init__(
        self,
        *,
        tenant_path: str | Iterable[str] | None = None,
        multi_tenant: bool | None = None,
        field_roles: Mapping[str, Any] | None = None,
        rows: Mapping[str, Any] | None = None,
        boundaries: Mapping[str, str] | None = None,
        variable_scope: Mapping[str, Any] | None = None,
    ) -> None:
        path = _tenant_path(tenant_path)
        self._policy: dict[str, Any] = {
            "tenant_path": path,
            "multi_tenant": _multi_tenant(multi_tenant, path),
            "field_roles": [
                _role_rule(key, rule) for key, rule in _items("field_roles", field_roles)
            ],
            "rows": [_row_rule(name, rule) for name, rule in _items("rows", rows)],
            "boundaries": [
                _boundary_rule(name, to) for name, to in _items("boundaries", boundaries)
            ],
            "variable_scope": [
                _scope_rule(key, rule) for key, rule in _items("variable_scope", variable_scope)
            ],
        }

    def __repr__(self) -> str:
        said = [name for name, value in self._policy.items() if value]
        return f"<Security: {', '.join(said) or 'no rules'}>"

    @property
    def policy(self) -> dict[str, Any]:
        """What the engine compiles. Private."""
        return self._policy

    def check(self, sdl: str | None, fields: Mapping[str, bool]) -> None:
        """Raise ConfigError if it cannot work with a schema (None: without)
        and `fields`, the declared ones: whether each is a source."""
        _core.check_policy(self._policy, sdl)
        for rule in self._policy["rows"]:
            name = rule["field"]
            if fields.get(name):
                raise ConfigError(
                    f"rows: field {name!r} is a source of its own: its values are no events that "
                    "a row filter could look at",
                    setting="security",
                )
            if sdl is None and fields and name not in fields:
                raise ConfigError(
                    f"rows: no subscription field {name!r} is declared", setting="security"
                )


def _fail(setting: str, text: str) -> ConfigError:
    return ConfigError(f"{setting}: {text}", setting=setting)


def _items(setting: str, rules: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    if rules is None:
        return []
    if not isinstance(rules, Mapping):
        raise TypeError(f"{setting} must be a dict, not {type(rules).__name__}")
    for key in rules:
        if not isinstance(key, str):
            raise TypeError(f"{setting}: a key must be a str, not {type(key).__name__}")
    return list(rules.items())


def _check_name(setting: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _fail(setting, f"{name!r} is not the name of a type or field")
    return name


def _check_text(setting: str, what: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{setting}: {what} must be a str, not {type(text).__name__}")
    if text == "":
        raise _fail(setting, f"{what} cannot be empty")
    return text


def _keys(setting: str, path: object) -> list[str]:
    """`"a.b"` or its keys."""
    keys = path.split(".") if isinstance(path, str) else path
    if not isinstance(keys, (list, tuple)):
        raise TypeError(f"{setting} must be a str or a list of keys, not {type(path).__name__}")
    if not keys:
        raise _fail(setting, "no keys")
    return [_check_text(setting, f"each key of {path!r}", key) for key in keys]


def _tenant_path(path: object) -> list[str] | None:
    return None if path is None else _keys("tenant_path", path)


def _multi_tenant(multi_tenant: object, path: list[str] | None) -> bool:
    if multi_tenant is None:
        return path is not None
    if not isinstance(multi_tenant, bool):
        raise TypeError(f"multi_tenant must be a bool, not {type(multi_tenant).__name__}")
    if path is not None and not multi_tenant:
        raise _fail(
            "multi_tenant",
            "cannot be False with tenant_path; declare fields public=True whose events may name "
            "no tenant",
        )
    return multi_tenant


def _role_rule(key: str, rule: object) -> dict[str, Any]:
    type_name, dot, field = key.partition(".")
    if not dot:
        raise _fail("field_roles", f"{key!r} must be like 'Order.margin'")
    if isinstance(rule, (list, tuple, set, frozenset)):
        rule = {"roles": rule}
    if not isinstance(rule, Mapping):
        raise TypeError(
            f"field_roles[{key!r}] must be like {{'roles': ['finance'], 'mode': 'mask'}}, "
            f"not {type(rule).__name__}"
        )
    _check_members("field_roles", key, rule, ("roles", "mode"))
    roles, mode = rule.get("roles"), rule.get("mode", "reject")
    if roles is None:
        raise _fail("field_roles", f"{key!r} has no 'roles'; [] means nobody")
    if not isinstance(roles, (list, tuple, set, frozenset)):
        raise TypeError(f"field_roles[{key!r}]['roles'] must be a list, not {type(roles).__name__}")
    if mode not in _MODES:
        raise _fail("field_roles", f"the mode of {key!r} must be 'mask' or 'reject', not {mode!r}")
    return {
        "type": _check_name("field_roles", type_name),
        "field": _check_name("field_roles", field),
        "roles": sorted(_check_text("field_roles", "a role", role) for role in roles),
        "mode": mode,
    }


def _row_rule(name: str, rule: object) -> dict[str, Any]:
    from fraiseql_asgi.filters import check_filter

    checked = check_filter(rule, f"rows[{name!r}]")
    return {"field": _check_name("rows", name), "filter": checked.ir}


def _boundary_rule(name: str, boundary: object) -> dict[str, Any]:
    return {
        "type": _check_name("boundaries", name),
        "boundary": _check_text("boundaries", f"the boundary of {name!r}", boundary),
    }


def _scope_rule(key: str, rule: object) -> dict[str, Any]:
    field, dot, name = key.rpartition(".")
    optional = False
    if isinstance(rule, Mapping):
        _check_members("variable_scope", key, rule, ("value", "optional"))
        optional = rule.get("optional", False)
        if not isinstance(optional, bool):
            raise TypeError(f"variable_scope[{key!r}]['optional'] must be a bool")
        rule = rule.get("value")
    return {
        "field": _check_name("variable_scope", field) if dot else None,
        "name": _check_name("variable_scope", name),
        "own": _own_value(key, rule),
        "optional": optional,
    }


def _own_value(key: str, value: object) -> list[str]:
    """The keys of `"claims.team"` or `ctx.claims.team`."""
    path = getattr(value, "_ir", None)
    if isinstance(path, dict) and list(path) == ["ctx"]:
        value = path["ctx"]
    keys = _keys("variable_scope", value)
    if keys[0] not in _OWN or (len(keys) > 1) != (keys[0] == "claims"):
        raise _fail(
            "variable_scope",
            f"{key!r} must be 'user_id', 'tenant_id' or one of the claims, 'claims.team', "
            f"not {'.'.join(keys)!r}",
        )
    return keys


def _check_members(setting: str, key: str, rule: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for member in rule:
        if member not in known:
            raise _fail(setting, f"{key!r} has no {member!r}; it has {', '.join(known)}")

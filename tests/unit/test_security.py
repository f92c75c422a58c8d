# SPDX-License-Identifier: MIT
"""Security: what a policy may say, and what it does to subscriptions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from fraiseql_asgi import (
    ConfigError,
    Security,
    SecurityContext,
    SecurityError,
    SubscriptionExecutor,
    SubscriptionManager,
)
from fraiseql_asgi.filters import ctx, event

SDL = """
type Query { none: Int }
type Subscription { order(userId: ID): Order  tick: Int }
type Order { id: ID! margin: Float }
"""


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"tenant_path": ""}, "tenant_path: each key"),
        ({"tenant_path": []}, "tenant_path: no keys"),
        ({"tenant_path": "a", "multi_tenant": False}, "multi_tenant: cannot be False"),
        ({"field_roles": {"margin": ["a"]}}, "must be like 'Order.margin'"),
        ({"field_roles": {"Order.margin": {}}}, "has no 'roles'"),
        ({"field_roles": {"Order.margin": {"roles": [], "mode": "hide"}}}, "mode of"),
        ({"field_roles": {"Order.margin": {"roles": [], "mod": "mask"}}}, "has no 'mod'"),
        ({"field_roles": {"Order.a b": ["a"]}}, "not the name"),
        ({"field_roles": {"Order.margin": [""]}}, "a role cannot be empty"),
        ({"boundaries": {"Order": ""}}, "cannot be empty"),
        ({"variable_scope": {"userId": "email"}}, "must be 'user_id'"),
        ({"variable_scope": {"userId": "claims"}}, "must be 'user_id'"),
        ({"variable_scope": {"userId": "user_id.x"}}, "must be 'user_id'"),
        ({"variable_scope": {"user id": "user_id"}}, "not the name"),
        ({"variable_scope": {"userId": {"value": "user_id", "if": 1}}}, "has no 'if'"),
    ],
)
def test_what_cannot_work_is_said_at_once(rules: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Security(**rules)


@pytest.mark.parametrize(
    "rules",
    [
        {"tenant_path": 7},
        {"multi_tenant": "yes"},
        {"field_roles": ["Order.margin"]},
        {"field_roles": {7: []}},
        {"field_roles": {"Order.margin": "finance"}},
        {"field_roles": {"Order.margin": {"roles": "finance"}}},
        {"rows": {"order": True}},
        {"boundaries": {"Order": 7}},
        {"variable_scope": {"userId": 7}},
        {"variable_scope": {"userId": {"value": "user_id", "optional": 1}}},
    ],
)
def test_wrong_types_are_type_errors(rules: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Security(**rules)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"field_roles": {"Order.profit": ["a"]}}, "no field Order.profit"),
        ({"field_roles": {"Order.id": {"roles": [], "mode": "mask"}}}, "cannot be masked"),
        ({"boundaries": {"Orders": "a"}}, "no object, interface or union Orders"),
        ({"rows": {"orders": event.a == 1}}, "no subscription field orders"),
        ({"variable_scope": {"order.user": "user_id"}}, "has no argument user"),
    ],
)
def test_a_policy_must_fit_the_schema(rules: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SubscriptionManager(schema=SDL, security=Security(**rules))
    with pytest.raises(ConfigError, match=text):
        SubscriptionExecutor(schema=SDL, security=Security(**rules))


def test_types_need_a_schema() -> None:
    for rules in ({"field_roles": {"Order.id": ["a"]}}, {"boundaries": {"Order": "a"}}):
        with pytest.raises(ConfigError, match="without a schema"):
            SubscriptionManager(security=Security(**rules))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a Security"):
        SubscriptionManager(security={"multi_tenant": True})  # type: ignore[arg-type]


def test_row_filters_are_about_events() -> None:
    manager = SubscriptionManager(security=Security(rows={"tick": event.a == 1}))

    @manager.subscription
    async def tick() -> Any:
        yield 1

    with pytest.raises(ConfigError, match="source of its own"):
        manager.publish("a", {})
    other = SubscriptionManager(security=Security(rows={"order": event.a == 1}))
    other.subscription("orders")
    with pytest.raises(ConfigError, match="'order' is declared"):
        other.publish("a", {})


def read(executor: SubscriptionExecutor, subscription_id: str) -> list[Any]:
    got = []
    while (text := executor.next_event(subscription_id)) is not None:
        got.append(json.loads(text)["payload"])
    return got


def register(
    executor: SubscriptionExecutor, name: str, context: SecurityContext, query: str
) -> None:
    executor.register_subscription("c", name, query, None, None, None, None, security=context)


def test_classes_share_projections_unless_they_see_different_things() -> None:
    rules = {"Order.margin": {"roles": ["finance", "admin"], "mode": "mask"}}
    with SubscriptionExecutor(schema=SDL, security=Security(field_roles=rules)) as executor:
        roles = [["finance"], ["admin"], ["admin", "sales"], [], ["sales"], ["hr"]]
        for number, own in enumerate(roles):
            query = "subscription { order { id margin } }"
            register(executor, str(number), SecurityContext(f"u{number}", roles=own), query)
        executor.publish_event("x", "order", {"id": 1, "margin": 2.5})
        got = [read(executor, str(number))[0]["data"]["order"]["margin"] for number in range(6)]
        assert got == [2.5, 2.5, 2.5, None, None, None]
        assert executor.get_metrics()["projections"] == 2


def test_a_refusal_names_the_field_and_its_place() -> None:
    rules = {"Order.margin": {"roles": ["finance"]}}
    with SubscriptionExecutor(schema=SDL, security=Security(field_roles=rules)) as executor:
        query = "subscription { order { id margin } }"
        with pytest.raises(SecurityError) as caught:
            register(executor, "1", SecurityContext("u"), query)
        assert caught.value.code == "FORBIDDEN"
        assert caught.value.subscription_id == "1"
        assert caught.value.errors == [
            {
                "message": 'Not allowed to select field "Order.margin".',
                "locations": [{"line": 1, "column": 27}],
                "extensions": {"code": "FORBIDDEN"},
            }
        ]
        assert executor.get_metrics()["security_rbac_refused_role"] == 1


def test_limits_hold_without_a_policy() -> None:
    with SubscriptionExecutor() as executor:
        limited = SecurityContext.with_rbac("u", "t", ["order"])
        register(executor, "1", limited, "subscription { order { id } }")
        with pytest.raises(SecurityError):
            register(executor, "2", limited, "subscription { tick }")


def test_nothing_is_delivered_after_expiry() -> None:
    with SubscriptionExecutor() as executor:
        context = SecurityContext("u", expires_at=time.time() + 0.3)
        register(executor, "1", context, "subscription { tick { n } }")
        executor.publish_event("x", "tick", {"n": 1})
        time.sleep(0.35)
        executor.publish_event("x", "tick", {"n": 2})
        assert read(executor, "1") == [{"data": {"tick": {"n": 1}}}]
        with pytest.raises(SecurityError, match="expired"):
            register(executor, "2", context, "subscription { tick { n } }")


def test_a_context_and_names_must_agree() -> None:
    with SubscriptionExecutor() as executor:
        with pytest.raises(ValueError, match="tenant_id"):
            executor.register_subscription(
                "c",
                "1",
                "subscription { a }",
                None,
                None,
                "u",
                "t2",
                security=SecurityContext("u", "t1"),
            )
        with pytest.raises(TypeError, match="security"):
            executor.register_subscription(
                "c",
                "1",
                "subscription { a }",
                None,
                None,
                None,
                None,
                security={"user_id": "u"},  # type: ignore[arg-type]
            )


def test_scope_takes_claims_in_either_notation() -> None:
    for own in ("claims.team.id", ctx.claims.team.id):
        with SubscriptionExecutor(security=Security(variable_scope={"a.team": own})) as executor:
            context = SecurityContext("u", claims={"team": {"id": 7}})
            register(executor, "1", context, 'subscription { a(team: "7") }')
            for query in ("subscription { a(team: 8) }", "subscription { a }"):
                with pytest.raises(SecurityError):
                    register(executor, "2", context, query)
            register(executor, "2", context, "subscription { b }")

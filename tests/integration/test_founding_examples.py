# SPDX-License-Identifier: MIT
"""The examples that the project began with, as they were written."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest.mock import AsyncMock

import pytest

from fraiseql_asgi import (
    ClosedError,
    ConfigError,
    DuplicateSubscription,
    EventBusConfig,
    SubscriptionExecutor,
    SubscriptionManager,
    SubscriptionPayload,
    UnknownSubscription,
)


def test_payload_creation() -> None:
    payload = SubscriptionPayload("subscription { users { id } }")
    assert payload.query == "subscription { users { id } }"
    assert payload.operation_name is None


def test_executor_workflow() -> None:
    executor = SubscriptionExecutor()
    executor.register_subscription(
        connection_id="conn1",
        subscription_id="sub1",
        query="subscription { users { id } }",
        operation_name=None,
        variables={},
        user_id="user1",
        tenant_id="tenant1",
    )
    executor.publish_event(
        event_type="userCreated", channel="users", data={"id": "123", "name": "Alice"}
    )
    message = executor.next_event("sub1")
    assert isinstance(message, bytes)
    assert json.loads(message) == {
        "type": "next",
        "id": "sub1",
        "payload": {"data": {"users": {"id": "123"}}},
    }
    assert executor.next_event("sub1") is None
    executor.complete_subscription("sub1")
    assert executor.get_metrics()["subscriptions_active"] == 0
    executor.close()


def test_a_field_without_a_selection() -> None:
    with SubscriptionExecutor() as executor:
        executor.register_subscription(
            "conn1", "sub1", "subscription { test }", None, {}, "user1", "tenant1"
        )
        executor.publish_event("test", "test", {"id": "123"})
        message = executor.next_event("sub1")
        assert message is not None
        assert json.loads(message)["payload"] == {"data": {"test": {"id": "123"}}}


async def test_manager_workflow() -> None:
    manager = SubscriptionManager(EventBusConfig.memory())
    resolver = AsyncMock(return_value={"id": "123", "name": "Alice"})
    await manager.create_subscription(
        subscription_id="sub1",
        connection_id="conn1",
        query="subscription { userUpdated { id name } }",
        operation_name="OnUserUpdated",
        variables={},
        resolver_fn=resolver,
        user_id="user1",
        tenant_id="tenant1",
    )
    await manager.publish_event(
        event_type="userUpdated", channel="userUpdated", data={"id": "123", "name": "Alice"}
    )
    message = await manager.get_next_event("sub1")
    assert message is not None
    assert json.loads(message) == {
        "type": "next",
        "id": "sub1",
        "payload": {"data": {"userUpdated": {"id": "123", "name": "Alice"}}},
    }
    resolver.assert_awaited_once_with({"id": "123", "name": "Alice"}, {})
    await manager.complete_subscription("sub1")
    assert manager.subscriber_count() == 0
    await manager.aclose()


def test_a_resolver_that_returns_the_data_object() -> None:
    async def resolver(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        return {"user": {"id": event["id"], "name": "Alice", "secret": "x"}}

    with SubscriptionExecutor() as executor:
        executor.register_subscription(
            "conn1",
            "sub1",
            "subscription { user { id name } }",
            None,
            {},
            "user1",
            "tenant1",
            resolver_fn=resolver,
            returns="data",
        )
        executor.publish_event("userUpdated", "user", {"id": "1"})
        message = executor.next_event("sub1")
        assert message is not None
        assert json.loads(message)["payload"] == {"data": {"user": {"id": "1", "name": "Alice"}}}


def test_bus_configurations() -> None:
    assert EventBusConfig.memory().bus_type == "memory"
    bus = EventBusConfig.memory().create_bus()
    assert bus.bus_type == "memory"
    bus.close()
    assert EventBusConfig.redis("redis://localhost:6379", "my-group").bus_type == "redis"
    assert EventBusConfig.postgresql("postgresql://localhost/db").bus_type == "postgresql"
    with pytest.raises(ValueError, match="URL must start with redis:// or rediss://"):
        EventBusConfig.redis("http://localhost:6379", "my-group")
    with pytest.raises(ValueError, match="Connection string cannot be empty"):
        EventBusConfig.postgresql("")
    with pytest.raises(ConfigError):
        EventBusConfig.from_url("invalid://bus")


def test_what_is_wrong_has_an_exception_each() -> None:
    executor = SubscriptionExecutor()
    arguments = ("subscription { test }", None, {}, "user1", "tenant1")
    executor.register_subscription("conn1", "sub1", *arguments)
    with pytest.raises(DuplicateSubscription):
        executor.register_subscription("conn1", "sub1", *arguments)
    with pytest.raises(UnknownSubscription):
        executor.next_event("none")
    with pytest.raises(UnknownSubscription):
        executor.complete_subscription("none")
    with pytest.raises(TypeError, match="subscription_id"):
        executor.next_event(1)  # type: ignore[arg-type]
    executor.close()
    with pytest.raises(ClosedError):
        executor.next_event("sub1")


@pytest.mark.timeout(120)
def test_a_hundred_subscriptions_that_nobody_reads() -> None:
    """10,000 events in less than 10 s, and memory stays bounded."""
    with SubscriptionExecutor() as executor:
        for n in range(100):
            executor.register_subscription(
                "conn1", f"sub{n}", "subscription { test { id } }", None, {}, "u", "t"
            )
        started = time.monotonic()
        for n in range(10_000):
            executor.publish_event("test", "test", {"id": n, "pad": "x" * 100})
        assert time.monotonic() - started < 10
        metrics = executor.get_metrics()
        assert metrics["deliveries"] == 1_000_000
        assert metrics["projections"] == 10_000
        # Nobody reads: each queue keeps what its limits allow, and no more.
        assert metrics["queued_messages"] + metrics["deliveries_dropped"] == 1_000_000
        assert metrics["queued_messages"] <= 100 * 16_384
        assert metrics["queued_bytes"] <= 100 * 4 * 2**20

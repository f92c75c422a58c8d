# SPDX-License-Identifier: MIT
"""A Strawberry schema for tests/unit/test_execute_handler.py: annotations are
looked up in the module, so it has one of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import strawberry

from fraiseql_asgi import ResolverContext


def user_of(context: Any) -> str:
    """The user in whatever `info.context` is."""
    if isinstance(context, ResolverContext):
        assert context.connection_params is not None
        return str(context.connection_params["user"])
    return str(context["user"])


@strawberry.type
class Query:
    @strawberry.field
    async def hello(self, name: str) -> str | None:
        await asyncio.sleep(0)
        return f"{self or 'hello'} {name}"

    @strawberry.field
    def fail(self) -> str | None:
        raise LookupError("no luck")

    @strawberry.field
    def user(self, info: strawberry.Info) -> str | None:
        return user_of(info.context)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add(self, n: int) -> int | None:
        return n + 1


schema = strawberry.Schema(query=Query, mutation=Mutation)

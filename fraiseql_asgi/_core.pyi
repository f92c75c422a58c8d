# SPDX-License-Identifier: MIT
# The extension module, private: what users may rely on is exported by the
# package. Each part of csrc/python has a section of its own here.

import datetime as dt
from typing import Any, ClassVar, NoReturn, final

from typing_extensions import Self

# -- module -----------------------------------------------------------------

def n_live_blocks() -> int: ...
def fail_after(n: int, /) -> None: ...

# -- errors -----------------------------------------------------------------

def error_table() -> list[tuple[str, type[Exception], type[Exception]]]: ...
def raise_request(
    status: int, errors_json: str | None, context: dict[str, Any] = ..., /
) -> NoReturn: ...

# -- convert ----------------------------------------------------------------

def to_json(value: object, root: str = "data", max_bytes: int = 0) -> bytes: ...
def from_json(json: bytes, /) -> Any: ...

# -- graphql_message --------------------------------------------------------

@final
class GraphQLMessage:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __new__(
        cls,
        type_: str,
        id: str | None = None,
        payload: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> Self: ...
    @property
    def type_(self) -> str: ...
    @property
    def id(self) -> str | None: ...
    @property
    def payload(self) -> dict[str, Any] | list[dict[str, Any]] | None: ...
    @classmethod
    def from_dict(cls, message: dict[str, Any], /) -> Self: ...
    def to_dict(self) -> dict[str, Any]: ...

# -- subscription_payload ---------------------------------------------------

@final
class SubscriptionPayload:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    def __new__(
        cls,
        query: str,
        operation_name: str | None = None,
        variables: dict[str, Any] | None = None,
        extensions: dict[str, Any] | None = None,
    ) -> Self: ...
    def to_dict(self) -> dict[str, Any]: ...

# -- event_object -----------------------------------------------------------

@final
class Event:
    def __new__(
        cls,
        event_type: str,
        channel: str,
        data: object,
        *,
        tenant_id: str | None = None,
        boundary: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Self: ...
    @property
    def id(self) -> str | None: ...
    @property
    def created_at(self) -> dt.datetime: ...
    @property
    def event_type(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def boundary(self) -> str | None: ...
    @property
    def meta(self) -> dict[str, Any] | None: ...
    def to_dict(self) -> dict[str, Any]: ...

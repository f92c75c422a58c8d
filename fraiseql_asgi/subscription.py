# SPDX-License-Identifier: MIT
"""Declaring subscription fields: the forms of `subscription(...)`.

A declaration is checked when it is made and becomes a `Field`; the engine gets
it when it starts.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from fraiseql_asgi import _core
from fraiseql_asgi.config import check_seconds
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.filters import Filter, check_client_filter, check_filter, event
from fraiseql_asgi.types import Overflow, Returns

__all__ = [
    "Declaring",
    "Field",
    "camel_case",
    "check_channels",
    "check_names",
    "make_resolver",
    "subscription",
]

Function = TypeVar("Function", bound=Callable[..., Any])

#: What the engine takes: names, and how many of them.
_NAME_BYTES_MAX = 1024
_CHANNELS_MAX = 64


@dataclasses.dataclass(frozen=True)
class Field:
    """A declared subscription field."""

    name: str
    #: Templates of what it listens on; empty for a source.
    channels: tuple[str, ...]
    returns: Returns = "field"
    #: Who makes its values; None: the event's data is the value.
    resolver: _core.Resolver | None = None
    #: Which events it is about; None: all.
    where: Filter | None = None
    #: The argument by which clients filter; None: they do not.
    client_filter: str | None = None
    #: Whether events that name no tenant are for all who listen.
    public: bool = False
    #: What becomes of its messages that a client does not read in time.
    overflow: Overflow = "disconnect"
    #: What "conflate" compares: a path into the event's data.
    conflate_key: str | None = None
    #: Who makes the value a subscription begins with; None: nobody.
    initial: _core.Resolver | None = None
    #: Whether the resolver is called once for all subscriptions of a class.
    shared: bool = False

    def settings(self) -> dict[str, Any]:
        """What else is declared of it, for the engine: only what was given."""
        settings: dict[str, Any] = {}
        if self.where is not None:
            settings["where"] = self.where.ir
        if self.client_filter is not None:
            settings["client_filter"] = self.client_filter
        if self.public:
            settings["public"] = True
        if self.overflow != "disconnect":
            settings["overflow"] = self.overflow
        if self.conflate_key is not None:
            settings["conflate_key"] = self.conflate_key
        if self.initial is not None:
            settings["initial"] = self.initial
        if self.shared:
            settings["shared"] = True
        return settings


@dataclasses.dataclass(frozen=True)
class _Options:
    """The keywords of a declaration; None (False): not given."""

    channel: str | Iterable[str] | None = None
    returns: Returns | None = None
    event_types: str | Iterable[str] | None = None
    where: Filter | None = None
    client_filter: str | None = None
    public: bool = False
    overflow: Overflow | None = None
    conflate_key: str | None = None
    shared: bool = False
    initial: Callable[..., Any] | None = None
    resolver_timeout: float | None = None

    def refuse(self, names: Iterable[str], why: str) -> None:
        """Raise ConfigError if one of `names` was given; `why` has a place for it."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False:
                raise ConfigError(why.format(name), setting=name)

    def timeout(self) -> float:
        """Seconds; 0.0: those of the manager."""
        if self.resolver_timeout is None:
            return 0.0
        return check_seconds("resolver_timeout", self.resolver_timeout)

    def further(self) -> dict[str, Any]:
        """What goes into a Field as it is, each checked by its owner."""
        settings: dict[str, Any] = {}
        where = None if self.where is None else check_filter(self.where)
        if self.event_types is not None:
            types = _filter_types(self.event_types)
            where = types if where is None else check_filter(types & where)
        if where is not None:
            settings["where"] = where
        if self.client_filter is not None:
            check_client_filter(self.client_filter)
            settings["client_filter"] = self.client_filter
        if self.public:
            settings["public"] = True
        _check_overflow(self.overflow, self.conflate_key)
        if self.overflow is not None:
            settings["overflow"] = self.overflow
        if self.conflate_key is not None:
            settings["conflate_key"] = self.conflate_key
        return settings


class Declaring:
    """Something that fields can be declared on."""

    def declare(self, field: Field) -> None:
        """Take `field`, or raise ConfigError: the name is taken."""
        raise NotImplementedError

    @overload
    def subscription(self, function: Function, /) -> Function: ...

    @overload
    def subscription(
        self,
        name: str,
        /,
        *,
        channel: str | Iterable[str] | None = None,
        event_types: str | Iterable[str] | None = None,
        where: Filter | None = None,
        client_filter: str | None = None,
        public: bool = False,
        overflow: Overflow | None = None,
        conflate_key: str | None = None,
        initial: Callable[..., Any] | None = None,
        resolver_timeout: float | None = None,
    ) -> None: ...

    @overload
    def subscription(
        self,
        target: None = None,
        /,
        *,
        channel: str | Iterable[str] | None = None,
        returns: Returns | None = None,
        event_types: str | Iterable[str] | None = None,
        where: Filter | None = None,
        client_filter: str | None = None,
        public: bool = False,
        overflow: Overflow | None = None,
        conflate_key: str | None = None,
        shared: bool = False,
        initial: Callable[..., Any] | None = None,
        resolver_timeout: float | None = None,
    ) -> Callable[[Function], Function]: ...

    def subscription(
        self,
        target: Any = None,
        /,
        *,
        channel: str | Iterable[str] | None = None,
        returns: Returns | None = None,
        event_types: str | Iterable[str] | None = None,
        where: Filter | None = None,
        client_filter: str | None = None,
        public: bool = False,
        overflow: Overflow | None = None,
        conflate_key: str | None = None,
        shared: bool = False,
        initial: Callable[..., Any] | None = None,
        resolver_timeout: float | None = None,
    ) -> Any:
        """Declare a subscription field.

        Over a function it is a decorator, bare or with arguments: the field
        is named like the function, in camelCase, and listens on the channel
        of that name. With a name instead of a function the field has no
        resolver, and its events never touch Python.

            @manager.subscription
            async def order_updated(event, variables): ...

            @manager.subscription(channel="orders")
            def order(event, variables, context): ...

            manager.subscription("priceChanged", channel="prices")

            @manager.subscription
            async def tick(variables, context):   # a source of its own
                yield {...}

        Args:
            channel: where the field listens: a name or a list of names. In a
                name `{id}` stands for argument `id` of the field, and
                `{ctx.user_id}`, `{ctx.tenant_id}`, `{ctx.claims.team}` for
                values of the security context; `{{` and `}}` for braces.
            returns: "field": the function returns the field's value. "data":
                it returns the object that holds it under the field's name.
            event_types: which types of events it is about: one or several.
            where: which events of the channel it is about, in terms of `event`,
                `arg` and `ctx`: `(event.id == arg.id) & (event.total >= 5)`.
            client_filter: the name of an argument by which clients say that
                themselves: `"filter"`. With a schema it is added to the field,
                with an input type made from the field's own type.
            public: with `Security(multi_tenant=True)`: events that name no
                tenant are for all who listen; those that name one for it alone.
            overflow: what becomes of its messages when a client does not read
                them in time. "disconnect" (the default): it is closed with
                1013 and may come back. "drop_oldest" and "drop_newest": they
                go. "conflate": a newer one takes the place of the one that
                waits with the same `conflate_key`. What is lost is told by
                `extensions.dropped`.
            conflate_key: for "conflate", a path into the event's data such as
                `id` or `order.id`. Events without it are never conflated.
            shared: call the resolver once per event for all subscriptions
                that it cannot tell apart: on one event loop, of the same
                document, variables and arguments, tenant, roles, boundaries
                and fields. Its context shows these and no more.
            initial: makes the value each subscription begins with, in front
                of its events: `(variables, context)`, sync or async, returns
                the field's value, or SKIP.
            resolver_timeout: seconds that the resolver, and `initial`, may
                take when they are async; None: the manager's.

        Raises:
            ConfigError: the declaration cannot work; it says why.
            TypeError: an argument has the wrong type.
        """
        options = _Options(
            channel=channel,
            returns=returns,
            event_types=event_types,
            where=where,
            client_filter=client_filter,
            public=bool(public),
            overflow=overflow,
            conflate_key=conflate_key,
            shared=shared,
            initial=initial,
            resolver_timeout=resolver_timeout,
        )
        if isinstance(target, str):
            self.declare(_event_field(target, options))
            return None
        if target is not None:
            self._declare_function(target, options)
            return target
        return functools.partial(self._decorate, options)

    def _decorate(self, options: _Options, function: Function) -> Function:
        self._declare_function(function, options)
        return function

    def _declare_function(self, function: object, options: _Options) -> None:
        if not callable(function):
            raise TypeError(
                "subscription takes a function or the name of a field, "
                f"not {type(function).__name__}"
            )
        name = camel_case(_name_of(function))
        _check_name(name)
        if _is_kind(inspect.isasyncgenfunction, function):
            field = _source_field(name, function, options)
        else:
            field = _resolver_field(name, function, options)
        self.declare(field)


def camel_case(name: str) -> str:
    """`order_updated` as `orderUpdated`; underscores in front stay."""
    stem = name.lstrip("_")
    front = name[: len(name) - len(stem)]
    head, *rest = stem.split("_")
    return front + head + "".join(part[:1].upper() + part[1:] for part in rest)


def check_names(channels: Iterable[str]) -> tuple[str, ...]:
    """The channels named, each once: names, in which nothing is filled in.

    Raises:
        ConfigError: none, too many, an empty or overlong one, a template.
        TypeError: no str.
    """
    names = _check_texts(channels)
    for name in names:
        if "{" in name or "}" in name:
            raise ConfigError(
                f"channel {name!r}: here channels are names, in which nothing is filled in; a "
                "template belongs to the declaration of a field",
                setting="channels",
            )
    return names


def check_channels(field: str, channel: str | Iterable[str] | None) -> tuple[str, ...]:
    """The channels of `field`, each once: names and templates; None: its name.

    Raises:
        ConfigError: none, too many, an empty or overlong one, no template.
        TypeError: no str.
    """
    if channel is None:
        return (field,)
    texts = _check_texts(channel)
    for text in texts:
        try:
            _core.channel_arguments(text)
        except ValueError as error:
            raise ConfigError(
                f"field {field!r}: channel {text!r}: {error}", setting="channel"
            ) from None
    return texts


def _check_texts(channel: str | Iterable[str]) -> tuple[str, ...]:
    texts = [channel] if isinstance(channel, str) else channel
    if not isinstance(texts, (list, tuple, set, frozenset)):
        raise TypeError(f"channel must be a str or a list of them, not {type(channel).__name__}")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a channel must be a str, not {type(text).__name__}")
        if not 0 < len(text.encode("utf-8", "surrogatepass")) <= _NAME_BYTES_MAX:
            raise ConfigError(
                f"a channel has 1 to {_NAME_BYTES_MAX} bytes, not {text!r}", setting="channel"
            )
    unique = tuple(dict.fromkeys(texts))
    if not 1 <= len(unique) <= _CHANNELS_MAX:
        raise ConfigError(
            f"a field listens on 1 to {_CHANNELS_MAX} channels, not {len(unique)}",
            setting="channel",
        )
    return unique


def _filter_types(event_types: object) -> Filter:
    """The filter that lets events of these types through.

    Raises:
        ConfigError: none, or an empty or overlong one.
        TypeError: no str.
    """
    names = [event_types] if isinstance(event_types, str) else event_types
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise TypeError(
            f"event_types must be a str or a set of them, not {type(event_types).__name__}"
        )
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"an event type must be a str, not {type(name).__name__}")
        if not 0 < len(name.encode("utf-8", "surrogatepass")) <= _NAME_BYTES_MAX:
            raise ConfigError(
                f"an event type has 1 to {_NAME_BYTES_MAX} bytes, not {name!r}",
                setting="event_types",
            )
    if not names:
        raise ConfigError("a field is about one type of events at least", setting="event_types")
    return check_filter(event("$type").in_(sorted(set(names))), "event_types")


def check_returns(returns: object) -> Returns:
    """`returns`, where None is the default."""
    if returns is None or returns == "field":
        return "field"
    if returns == "data":
        return "data"
    raise ConfigError(f'returns must be "field" or "data", not {returns!r}', setting="returns")


def make_resolver(name: str, function: Callable[..., Any], timeout: float = 0.0) -> _core.Resolver:
    """How to call `function`, a resolver of field `name`, and how long it may
    take (0.0: as the service says).

    Raises:
        ConfigError: it is a generator, or takes too few or too many arguments.
    """
    if _is_kind(inspect.isgeneratorfunction, function):
        raise ConfigError(
            f"field {name!r}: a resolver returns one value; a source of many is an async "
            "generator (async def with yield)"
        )
    n_params = _count_params(name, function, "(event, variables)", ", context", 2, 3)
    return _core.Resolver(function, name, n_params, timeout=timeout)


def _make_initial(name: str, options: _Options) -> _core.Resolver | None:
    """How to call `initial=` of field `name`."""
    function = options.initial
    if function is None:
        return None
    if not callable(function):
        raise TypeError(f"initial must be callable, not {type(function).__name__}")
    if _is_kind(inspect.isgeneratorfunction, function) or _is_kind(
        inspect.isasyncgenfunction, function
    ):
        raise ConfigError(
            f"field {name!r}: initial= returns one value, it does not yield", setting="initial"
        )
    n_params = _count_params(f"{name}.initial", function, "(variables, context)", "", 0, 2)
    return _core.Resolver(function, name, n_params, is_initial=True, timeout=options.timeout())


def _resolver_field(name: str, function: Callable[..., Any], options: _Options) -> Field:
    return Field(
        name,
        check_channels(name, options.channel),
        check_returns(options.returns),
        make_resolver(name, function, options.timeout()),
        initial=_make_initial(name, options),
        shared=bool(options.shared),
        **options.further(),
    )


def _event_field(name: str, options: _Options) -> Field:
    _check_name(name)
    needless = ["returns", "shared"]
    if options.initial is None:
        needless.append("resolver_timeout")
    options.refuse(needless, f"field {name!r} has no resolver that {{}}= could be about")
    channels = check_channels(name, options.channel)
    return Field(name, channels, initial=_make_initial(name, options), **options.further())


def _source_field(name: str, function: Callable[..., Any], options: _Options) -> Field:
    options.refuse(
        [field.name for field in dataclasses.fields(_Options)],
        f"field {name!r} is a source of its own (an async generator): {{}}= has no meaning for it",
    )
    n_params = _count_params(name, function, "(variables, context)", "", 0, 2)
    return Field(name, (), "field", _core.Resolver(function, name, n_params, is_source=True))


def _check_overflow(overflow: object, conflate_key: object) -> None:
    """Raise ConfigError unless the two go together."""
    if overflow is not None and overflow not in typing.get_args(Overflow):
        names = ", ".join(f'"{name}"' for name in typing.get_args(Overflow))
        raise ConfigError(f"overflow must be one of {names}, not {overflow!r}", setting="overflow")
    if (overflow == "conflate") != (conflate_key is not None):
        raise ConfigError(
            'overflow="conflate" needs a conflate_key, and nothing else has one',
            setting="conflate_key",
        )
    if conflate_key is None:
        return
    if not isinstance(conflate_key, str):
        raise TypeError(f"conflate_key must be a str, not {type(conflate_key).__name__}")
    if not all(conflate_key.split(".")) or len(conflate_key) > _NAME_BYTES_MAX:
        raise ConfigError(
            f"conflate_key must be names joined by dots, not {conflate_key!r}",
            setting="conflate_key",
        )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]*", name, re.ASCII) or name.startswith("__"):
        raise ConfigError(f"{name!r} cannot be the name of a GraphQL field")


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise ConfigError(f"{function!r} has no name to call a field by")
    return name


def _is_kind(test: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """`test` of the function, or of the method that makes an object callable."""
    return test(function) or test(getattr(function, "__call__", None))  # noqa: B004


def _count_params(
    name: str, function: Callable[..., Any], needed: str, optional: str, low: int, high: int
) -> int:
    """How many of our positional arguments `function` takes."""
    try:
        params = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return low
    positional = [p for p in params if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    has_rest = any(p.kind is p.VAR_POSITIONAL for p in params)
    keywords = [p.name for p in params if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    takes = max(low, required) if has_rest else len(positional)
    if required > high or takes < low or keywords:
        wanted = f"{needed[:-1]}[{optional}])" if optional else f"{needed} or fewer"
        raise ConfigError(f"field {name!r}: its function is called with {wanted}")
    return min(takes, high)


class _Defaults(Declaring):
    """The fields of the package's own `subscription`: kept until the default
    manager is made, and passed on from then on."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.target: Declaring | None = None

    def declare(self, field: Field) -> None:
        if self.target is not None:
            self.target.declare(field)
            return
        if any(known.name == field.name for known in self.fields):
            raise ConfigError(f"subscription field {field.name!r} is declared twice")
        self.fields.append(field)

    def pass_on(self, target: Declaring) -> None:
        """Declare everything on `target`, now and later."""
        fields, self.fields = self.fields, []
        self.target = target
        for field in fields:
            target.declare(field)


#: For app.py.
defaults = _Defaults()

#: The decorator of the default app's manager: see `Declaring.subscription`.
subscription = defaults.subscription

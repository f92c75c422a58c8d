# SPDX-License-Identifier: MIT
"""The engine behind one manager or executor, from its configuration to its end.

It can be started, stopped and started again; a fork leaves the child with the
configuration and without the engine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from fraiseql_asgi import _bus_log, _lifecycle
from fraiseql_asgi._core import Entrance, EventBus, Resolver, Service
from fraiseql_asgi._filter_schema import add_client_filters, check_where
from fraiseql_asgi._introspection import Introspection
from fraiseql_asgi._schema import check_channel_arguments, check_declared, check_fields, read_schema
from fraiseql_asgi.authentication import Authentication
from fraiseql_asgi.config import EventBusConfig, Limits
from fraiseql_asgi.errors import ClosedError, ConfigError
from fraiseql_asgi.hooks import Hooks
from fraiseql_asgi.security import Security
from fraiseql_asgi.subscription import Field

__all__ = ["CLOSE_RESTART", "Runtime"]

#: The close of a server that stops: clients come back.
CLOSE_RESTART = (1012, "Service restart")


class Runtime:
    """Fields, settings and, while it runs, a service on a bus.

    Thread: any.
    """

    def __init__(
        self,
        bus: EventBusConfig | EventBus,
        *,
        limits: Limits,
        debug: bool = False,
        resolver_timeout: float = 30.0,
        publish_timeout: float = 5.0,
        connect_timeout: float = 5.0,
        handler: Resolver | None = None,
        authentication: Authentication | None = None,
        persisted: dict[str, str] | None = None,
        only_persisted: bool = False,
        introspection: bool = True,
        legacy_protocol: bool = True,
        schema: str | None = None,
        serve_undeclared: bool = False,
        security: Security | None = None,
        entrance: Entrance | None = None,
    ) -> None:
        self.bus = bus
        self.limits = limits
        self.debug = debug
        self.resolver_timeout = resolver_timeout
        self.publish_timeout = publish_timeout
        self.connect_timeout = connect_timeout
        self.handler = handler
        self.authentication = authentication
        self.persisted = persisted
        self.only_persisted = only_persisted
        self.introspection = introspection
        self.legacy_protocol = legacy_protocol
        #: SDL; None: schemaless.
        self.schema = schema
        self.serve_undeclared = serve_undeclared
        if security is not None:
            if not isinstance(security, Security):
                raise TypeError(f"security must be a Security, not {type(security).__name__}")
            security.check(schema, {})
        self.security = security
        #: Who may come in; None: nothing comes in by a scope.
        self.entrance = entrance
        self._introspection: Introspection | None = None
        self.hooks = Hooks()
        self.fields: dict[str, Field] = {}
        #: Called in a forked child, and before the engine goes.
        self.on_fork: list[Callable[[], None]] = []
        self.on_stop: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._service: Service | None = None
        self._own_bus: EventBus | None = None
        self._is_closed = False

    def declare(self, field: Field) -> None:
        """Take a field, for all who subscribe from now on."""
        with self._lock:
            if field.name in self.fields:
                raise ConfigError(f"subscription field {field.name!r} is declared twice")
            if self._service is not None:
                if self.schema is not None:
                    check_declared(self.schema, [field.name])
                    check_channel_arguments(self.schema, field.name, field.channels)
                    check_where(self.schema, field.name, field.where)
                    if field.client_filter is not None:
                        raise ConfigError(
                            f"field {field.name!r}: client_filter= changes the schema, which is "
                            "served already: declare it before the start",
                            setting="client_filter",
                        )
                if self.security is not None:
                    sources = {**self._sources(), field.name: _is_source(field)}
                    self.security.check(self.schema, sources)
                self._add(self._service, field)
            self.fields[field.name] = field

    @property
    def is_running(self) -> bool:
        service = self._service
        return service is not None and service.is_open

    def service(self) -> Service:
        """The service, started at first need.

        Raises:
            ClosedError: it was stopped.
        """
        service = self._service
        if service is not None and service.is_open:
            return service
        with self._lock:
            if self._is_closed:
                raise ClosedError("closed")
            return self._start()

    def start(self) -> Service:
        """The service, started also after it was stopped."""
        with self._lock:
            self._is_closed = False
            return self._start()

    def _start(self) -> Service:
        if self._service is not None and not self._service.is_open:
            self._forget()
        if self._service is None:
            if self.schema is not None:
                self._check_schema(self.schema)
            schema = None if self.schema is None else self._served(self.schema)
            if self.security is not None:
                self.security.check(schema, self._sources())
            service = Service(
                self._event_bus(),
                self.limits.as_dict(),
                resolver_timeout=self.resolver_timeout,
                publish_timeout=self.publish_timeout,
                debug=self.debug,
                has_init_hook=self.handler is not None
                or any(map(_shows_params, self.fields.values())),
                legacy_protocol=self.legacy_protocol,
            )
            if schema is not None:
                service.serve_schema(schema, self.serve_undeclared)
            if self.security is not None:
                service.protect(self.security.policy, schema)
            if self.handler is not None:
                service.execute_with(self.handler)
            if not self.introspection:
                service.introspect_with(None)
            elif schema is not None:
                self._introspection = Introspection(schema)
                service.introspect_with(self._introspection.resolver)
            if (auth := self.authentication) is not None:
                service.authenticate_with(
                    auth.handler, auth.timeout, auth.expiry_grace, auth.expiry_code
                )
            if self.hooks.is_used:
                gate = self.hooks.gate if self.hooks.has_gate else None
                service.hook_with(self.hooks, gate)
            if self.persisted is not None:
                service.persist(self.persisted, self.only_persisted)
            if self.entrance is not None:
                service.admit_by(self.entrance)
            for field in self.fields.values():
                self._add(service, field)
            self._service = service
            _lifecycle.watch(self)
            if self.connects:
                _bus_log.follow(self._event_bus())
        return self._service

    def _sources(self) -> dict[str, bool]:
        """The declared fields, and whether each is a source."""
        return {field.name: _is_source(field) for field in self.fields.values()}

    def set_hook(self, name: str, hook: object) -> None:
        """Take a hook.

        Raises:
            ConfigError: it cannot be called so, there is one already, or the
                manager runs.
            TypeError: it cannot be called.
        """
        with self._lock:
            if self.is_running:
                raise ConfigError(f"{name} must be given before the manager starts", setting=name)
            self.hooks.set(name, hook)

    def replace_schema(self, schema: object) -> None:
        """Serve another schema from now on.

        Raises:
            ConfigError: it is none, or does not fit; nothing has changed.
            TypeError: it is none of what a schema may be.
        """
        sdl = read_schema(schema)
        if sdl is None or self.schema is None:
            raise ConfigError("a manager has a schema from the start or never", setting="schema")
        with self._lock:
            self._check_schema(sdl)
            served = self._served(sdl)
            if self.security is not None:
                self.security.check(served, self._sources())
            if self._service is not None and self._service.is_open:
                self._service.serve_schema(served, self.serve_undeclared)
            self.schema = sdl
            if self._introspection is not None:
                self._introspection.replace(served)

    def _check_schema(self, sdl: str) -> None:
        check_fields(sdl, self.fields, self.serve_undeclared)
        for field in self.fields.values():
            check_channel_arguments(sdl, field.name, field.channels)
            check_where(sdl, field.name, field.where)

    def _served(self, sdl: str) -> str:
        """A schema with what declarations add to it."""
        arguments = {
            field.name: field.client_filter
            for field in self.fields.values()
            if field.client_filter is not None
        }
        return add_client_filters(sdl, arguments)

    def _event_bus(self) -> EventBus:
        if isinstance(self.bus, EventBus):
            return self.bus
        if self._own_bus is None:
            self._own_bus = self.bus.create_bus()
        return self._own_bus

    @property
    def connects(self) -> bool:
        """Whether its bus has a server to connect to."""
        return self.bus.bus_type != "memory"

    def connect(self) -> None:
        """Wait until the bus of the service, which runs, is connected.

        Raises:
            BusError: an attempt failed, or `connect_timeout` has passed; the
                bus goes on trying.
        """
        if self.connects:
            self._event_bus().wait_up(self.connect_timeout)

    def connecting(self) -> asyncio.Future[None]:
        """The same as a future of the running loop."""
        return self._event_bus().when_up(self.connect_timeout)

    @staticmethod
    def _add(service: Service, field: Field) -> None:
        service.field_add(
            field.name, field.channels, field.resolver, field.returns, field.settings()
        )

    def stop(self) -> None:
        """End the service and its own bus. Harmless twice."""
        for callback in self.on_stop:
            callback()
        with self._lock:
            self._is_closed = True
            service, self._service = self._service, None
            bus, self._own_bus = self._own_bus, None
        if service is not None:
            service.close(*CLOSE_RESTART)
        if bus is not None:
            bus.close()

    def _forget(self) -> None:
        self._service = None
        self._own_bus = None

    def _at_exit(self) -> None:
        self.stop()

    def _after_fork(self) -> None:
        # Another thread may have held the lock: it is not here to release it.
        self._lock = threading.RLock()
        if self._service is not None:
            self._forget()
            for callback in self.on_fork:
                callback()


def _is_source(field: Field) -> bool:
    return field.resolver is not None and field.resolver.is_source


def _shows_params(field: Field) -> bool:
    """Whether a function of the field can ask for connection_params."""
    return any(
        resolver.n_params == (2 if resolver.is_source or resolver.is_initial else 3)
        for resolver in (field.resolver, field.initial)
        if resolver is not None
    )

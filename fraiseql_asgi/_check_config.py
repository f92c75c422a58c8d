# SPDX-License-Identifier: MIT
"""What the default app is configured with, and where each value is from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from fraiseql_asgi import default_app
from fraiseql_asgi.config import Limits, redacted

__all__ = ["Setting", "check_config"]

#: Parts of names whose values are nobody's business.
_SECRETS = ("SECRET", "TOKEN")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One variable."""

    name: str
    #: As it is in force; None: not set.
    value: str | None
    #: `environment` or `default`.
    source: str

    def as_dict(self) -> dict[str, str | None]:
        return dataclasses.asdict(self)


def check_config(environ: Mapping[str, str]) -> list[Setting]:
    """Every setting of the default app, as a start with `environ` would have it.

    Raises:
        ConfigError: it would not start; the text says why.
    """
    settings = default_app.read_settings(environ)
    found = []
    for name in default_app.variables():
        value = environ.get(name) or None
        if value is not None and any(part in name for part in _SECRETS):
            value = "***"
        elif value is not None:
            value = redacted(value)
        elif name == f"{default_app.PREFIX}BUS":
            value = "memory://"
        found.append(Setting(name, value, "environment" if environ.get(name) else "default"))
    for field in dataclasses.fields(Limits):
        name = f"{default_app.PREFIX}{field.name.upper()}"
        value = str(getattr(settings.limits, field.name))
        found.append(Setting(name, value, "environment" if name in environ else "default"))
    return found

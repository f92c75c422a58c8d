# SPDX-License-Identifier: MIT
"""GraphQL subscriptions for any ASGI server, served by an engine in C."""

from __future__ import annotations

from fraiseql_asgi import _core as _core

__version__ = "0.1.0"

# SPDX-License-Identifier: MIT
"""`python -m fraiseql_asgi` is `fraiseql-asgi`."""

import sys

from fraiseql_asgi.cli import main

if __name__ == "__main__":
    sys.exit(main())

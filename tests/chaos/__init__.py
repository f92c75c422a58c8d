# SPDX-License-Identifier: MIT
"""Runs of several instances under faults drawn from a seed, and a judge of what
everybody saw; see docs/internals/chaos.md. `make chaos` runs them."""

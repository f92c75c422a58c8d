# SPDX-License-Identifier: MIT
"""Security against a plain model: what is refused, and what everybody gets.

An example of hypothesis is one policy with 12 subscribers and 12 events on a
real engine; a case is a subscriber and an event. `make prove` runs 1,000,000.
"""

from __future__ import annotations

import pytest
import security_model as model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import PROVE, size

N_CASES = size(100_000, 1_000_000)
CASES_PER_EXAMPLE = 12 * 12

pytestmark = [pytest.mark.timeout(3600), *([pytest.mark.prove] if PROVE else [])]

#: Why events were kept from somebody; each is counted once per such pair.
DENIALS = (
    "security_row_denied",
    "security_tenant_denied_foreign",
    "security_tenant_denied_unnamed",
    "security_tenant_denied_unclear",
    "security_federation_denied",
)
REFUSALS = (
    "security_rbac_refused_role",
    "security_rbac_refused_field",
    "security_federation_refused",
    "security_scope_refused_foreign",
    "security_scope_refused_missing",
)

seeds = st.integers(min_value=0, max_value=2**64)


def check_tenants(case: model.Case, outcome: list[object]) -> None:
    """No event that names a tenant in its envelope shows up in another."""
    for subscriber, got in zip(case.subscribers, outcome, strict=True):
        if got == "refused":
            continue
        tenant = subscriber.context["tenant_id"]
        own = [
            item
            for item in case.events
            if item["channel"] == subscriber.root.name
            and (not item["tenant_id"] or item["tenant_id"] == tenant)
        ]
        assert isinstance(got, list)
        assert len(got) <= len(own)


def check_counts(case: model.Case, outcome: list[object], metrics: dict[str, int]) -> None:
    """Each subscription and each event kept from one is counted, once."""
    n_refused = sum(got == "refused" for got in outcome)
    assert metrics["refused_forbidden"] == n_refused
    assert sum(metrics[name] for name in REFUSALS) == n_refused
    n_met = n_got = 0
    for subscriber, got in zip(case.subscribers, outcome, strict=True):
        if isinstance(got, list):
            n_got += len(got)
            n_met += sum(item["channel"] == subscriber.root.name for item in case.events)
    assert metrics["events_matched"] == metrics["deliveries"] == n_got
    assert sum(metrics[name] for name in DENIALS) == n_met - n_got
    assert metrics["deliveries_dropped"] == 0


def test_the_engine_decides_as_the_model() -> None:
    n_cases = 0

    @settings(
        max_examples=N_CASES // CASES_PER_EXAMPLE + 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seeds)
    def check(seed: int) -> None:
        nonlocal n_cases
        case = model.make_case(seed)
        outcome, metrics = model.run(case)
        assert outcome == model.decide(case)
        check_tenants(case, outcome)
        check_counts(case, outcome, metrics)
        n_cases += len(case.subscribers) * len(case.events)

    check()
    assert n_cases >= N_CASES


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[model.Case, list[object]]]:
    cases = [model.make_case(seed) for seed in range(100)]
    return [(case, model.run(case)[0]) for case in cases]


@pytest.mark.parametrize("mutation", model.MUTATIONS)
def test_a_wrong_model_is_seen(
    mutation: str, outcomes: list[tuple[model.Case, list[object]]]
) -> None:
    assert any(outcome != model.decide(case, mutation) for case, outcome in outcomes)

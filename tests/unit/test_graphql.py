# SPDX-License-Identifier: MIT
"""The functions of fraiseql_asgi.graphql; what they decide is proved elsewhere.

Equality with the reference: tests/reference and tests/differential.
"""

from __future__ import annotations

import doctest
import json
import sys
import threading
from typing import Any

import pytest

from fraiseql_asgi import ConfigError, GraphQLSyntaxError, graphql

SCHEMA = """
type Query { name: String }
type Subscription { order(limit: Int): Order count: Int }
type Order { id: ID! total: Float items: [Item!] }
type Item { sku: String! }
"""


def test_examples_in_docstrings_hold() -> None:
    results = doctest.testmod(graphql)
    assert results.attempted > 0
    assert results.failed == 0


def test_parse_names_definitions() -> None:
    document = (
        "query A { a } fragment F on T { a } subscription { b } mutation M { c } type T { a: B }"
    )
    assert graphql.parse(document) == [
        {"kind": "query", "name": "A"},
        {"kind": "fragment", "name": "F"},
        {"kind": "subscription", "name": None},
        {"kind": "mutation", "name": "M"},
        {"kind": "type_system", "name": "T"},
    ]


def test_parse_raises_with_message_and_place() -> None:
    with pytest.raises(GraphQLSyntaxError, match="Expected Name, found <EOF>") as caught:
        graphql.parse("{ a {")
    (error,) = caught.value.errors
    assert error["locations"] == [{"line": 1, "column": 6}]


def test_parse_wants_a_str() -> None:
    with pytest.raises(TypeError, match="document must be a str"):
        graphql.parse(b"{ a }")  # type: ignore[arg-type]


def test_validate_returns_messages_and_places() -> None:
    assert graphql.validate(SCHEMA, "subscription { order { id } }") == []
    assert graphql.validate(SCHEMA, "subscription {\n  ordr { id }\n}") == [
        {
            "message": "Cannot query field 'ordr' on type 'Subscription'. Did you mean 'order'?",
            "locations": [{"line": 2, "column": 3}],
        }
    ]


def test_validate_returns_a_syntax_error() -> None:
    (error,) = graphql.validate(SCHEMA, "subscription {")
    assert error["message"].startswith("Syntax Error: ")


def test_a_faulty_schema_is_a_config_error_with_place() -> None:
    with pytest.raises(ConfigError, match=r"Unknown type 'Nope'\. \(line 1, column 17\)") as caught:
        graphql.validate("type Query { a: Nope b: Nay }", "{ a }")
    assert caught.value.setting == "schema"
    assert "Unknown type 'Nay'" in str(caught.value)
    with pytest.raises(ConfigError, match="Syntax Error"):
        graphql.execute("type Query {", "{ a }", {})


def test_execute_takes_values_and_json() -> None:
    document = "subscription { order { total id } }"
    expected = b'{"data":{"order":{"total":1.5,"id":"7"}}}'
    assert graphql.execute(SCHEMA, document, {"id": 7, "total": 1.5}) == expected
    assert graphql.execute(SCHEMA, document, b'{"id":"7","total":1.5}') == expected


def test_execute_reports_field_errors_beside_data() -> None:
    result = json.loads(
        graphql.execute(
            SCHEMA, "subscription { order { items { sku } id } }", {"id": 1, "items": [{}]}
        )
    )
    assert result["data"] == {"order": {"items": None, "id": "1"}}
    (error,) = result["errors"]
    assert error["path"] == ["order", "items", 0, "sku"]


def test_execute_reports_request_errors_without_data() -> None:
    document = "subscription ($n: Int!) { order(limit: $n) { id } }"
    result = json.loads(graphql.execute(SCHEMA, document, {}, {"n": "x"}))
    assert "data" not in result
    assert result["errors"][0]["message"].startswith("Variable '$n' has invalid value: ")
    result = json.loads(graphql.execute(SCHEMA, "subscription { order {", {}))
    assert result["errors"][0]["message"].startswith("Syntax Error: ")
    result = json.loads(graphql.execute(SCHEMA, document, {}, {"n": 1}, "Other"))
    assert result["errors"][0]["message"] == "Unknown operation named 'Other'."


def test_execute_refuses_what_has_no_json() -> None:
    with pytest.raises(TypeError, match="data"):
        graphql.execute(None, "subscription { a }", object())
    with pytest.raises(ValueError, match="NaN"):
        graphql.execute(None, "subscription { a }", float("nan"))
    with pytest.raises(ValueError):
        graphql.execute(None, "subscription { a }", b"{")
    with pytest.raises(TypeError, match="variables must be a dict"):
        graphql.execute(None, "subscription { a }", {}, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        (
            '{ __schema { queryType { name } } t: __type(name: "Order") { fields { name } } }',
            None,
            b'{"data":{"__schema":{"queryType":{"name":"Query"}},'
            b'"t":{"fields":[{"name":"id"},{"name":"total"},{"name":"items"}]}}}',
        ),
        (
            "query Q($n: String!) { ...F name } fragment F on Query { __type(name: $n) { kind } }",
            {"n": "Item"},
            b'{"data":{"__type":{"kind":"OBJECT"},"name":"x"}}',
        ),
        (
            "query Q($n: String!) { __type(name: $n) { kind } }",
            {},
            b'{"errors":[{"message":"Variable \'$n\' has invalid value: Expected a value of '
            b"non-null type 'String!' to be provided.\","
            b'"locations":[{"line":1,"column":9}]}]}',
        ),
        # Where it is not legal, and where nobody asks.
        ("subscription { __schema { queryType { name } } }", None, b'{"data":{}}'),
        ("subscription { count @skip(if: false) } # __schema", None, None),
        ("{ name __typename } # __type", None, b'{"data":{"name":"x","__typename":"Query"}}'),
    ],
)
def test_execute_answers_for_the_schema(
    document: str, variables: dict[str, Any] | None, expected: bytes | None
) -> None:
    answer = graphql.execute(SCHEMA, document, "x", variables)
    if expected is None:
        assert b'"count":null' in answer
    else:
        assert answer == expected


def test_execute_says_when_it_cannot_answer_for_the_schema(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "graphql", None)
    query = "{ __schema { queryType { name } } }"
    assert json.loads(graphql.execute(SCHEMA, query, {})) == {
        "errors": [{"message": "Introspection is not available here."}]
    }
    assert graphql.execute(SCHEMA, "subscription { __schema { a } }", {}) == b'{"data":{}}'


def test_many_schemas_are_kept_apart() -> None:
    for i in range(20):
        schema = f"type Query {{ field{i}: Int }}"
        assert graphql.validate(schema, f"{{ field{i} }}") == []
        assert graphql.validate(schema, f"{{ field{i + 1} }}") != []


def test_threads_may_call_at_once() -> None:
    schema = "type Query { a: Int }" + " # long enough to be built without the GIL" * 500
    document = "{ " + " ".join(f"a{i}: a" for i in range(5000)) + " }"
    faults: list[object] = []

    def work() -> None:
        for i in range(5):
            faults.extend(graphql.validate(f"{schema}\n#{i}", document))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []

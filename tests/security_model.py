# SPDX-License-Identifier: MIT
"""A plain model of what security decides, and random cases to hold against it.

A case is a policy, contexts with a document each, and events. `decide` says in
straightforward Python what becomes of it: which subscriptions are refused, and
what each of the others gets of each event, field by field. `run` has the
engine do the same. A mutation switches one rule of the model off or bends it:
a model that is wrong must be seen to differ from the engine.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from typing import Any

from fraiseql_asgi import Security, SecurityContext, SecurityError, SubscriptionManager
from fraiseql_asgi.filters import ctx, event

SDL = """
type Query { none: Int }
type Subscription {
  order(userId: ID, filter: OrderFilter): Order
  item(userId: ID = "u1"): Item
  search: Result
  news: Product
}
interface Item { id: ID note: String owner: Customer }
type Order implements Item {
  id: ID note: String owner: Customer margin: Float items(userId: ID, n: Int): [Item]
}
type Product implements Item { id: ID note: String owner: Customer price: Float }
type Customer { id: ID! email: String }
union Result = Order | Customer | Product
input OrderFilter { userId: ID region: String and: [OrderFilter!] range: Range }
input Range { userId: ID min: Int }
"""

#: Composite types and their object types, fields with their composite type.
POSSIBLE = {
    "Item": ["Order", "Product"],
    "Result": ["Order", "Customer", "Product"],
    "Order": ["Order"],
    "Product": ["Product"],
    "Customer": ["Customer"],
}
FIELDS: dict[str, dict[str, str | None]] = {
    "Subscription": {"order": "Order", "item": "Item", "search": "Result", "news": "Product"},
    "Item": {"id": None, "note": None, "owner": "Customer"},
    "Order": {"id": None, "note": None, "owner": "Customer", "margin": None, "items": "Item"},
    "Product": {"id": None, "note": None, "owner": "Customer", "price": None},
    "Customer": {"id": None, "email": None},
    "Result": {},
}
LISTS = {("Order", "items")}
SCOPED = {("Subscription", "order"), ("Subscription", "item"), ("Order", "items")}
INPUTS = {
    "OrderFilter": {"userId": None, "region": None, "and": "OrderFilter", "range": "Range"},
    "Range": {"userId": None, "min": None},
}

USERS = ["u1", "u2", None]
TENANTS = ["t1", "t2", None]
ROLES = ["finance", "staff", "admin"]
SUBGRAPHS = ["orders", "crm"]
#: What a subscription is given in the data: one event may carry several.
ROOTS = list(FIELDS["Subscription"])

MUTATIONS = (
    "foreign tenants see events",
    "events without a tenant reach all",
    "public fields get no event without a tenant",
    "the envelope hides a contradiction",
    "a tenant of a wrong type is none",
    "an empty tenant is a tenant",
    "boundaries of events are ignored",
    "types of subgraphs are free",
    "possible types are not asked",
    "roles reject nothing",
    "masks hide nothing",
    "rules of interfaces stop there",
    "one role is enough for another",
    "limits of fields are ignored",
    "row filters let all pass",
    "a missing owner passes the row filter",
    "scoped arguments may be anybody's",
    "defaults are not scoped",
    "nested arguments are not scoped",
    "absent values are fine",
    "absent input objects are fine",
    "scope ignores a rule for one field",
)


@dataclasses.dataclass
class Selection:
    """A field of a document: on which type, what is below it."""

    parent: str
    name: str
    key: str
    args: dict[str, Any]
    literal: bool
    children: list[Selection]


@dataclasses.dataclass
class Subscriber:
    context: dict[str, Any]
    root: Selection

    @property
    def query(self) -> str:
        variables: dict[str, Any] = {}
        body = _print([self.root], variables)
        head = ", ".join(f"${name}: {kind}" for name, (kind, _) in variables.items())
        return f"subscription S{f'({head})' if head else ''} {body}"

    @property
    def variables(self) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        _print([self.root], variables)
        return {name: value for name, (_, value) in variables.items()}


@dataclasses.dataclass
class Case:
    policy: dict[str, Any]
    public: set[str]
    subscribers: list[Subscriber]
    events: list[dict[str, Any]]


# -- random cases -------------------------------------------------------------


def make_case(seed: int, n_subscribers: int = 12, n_events: int = 12) -> Case:
    rng = random.Random(seed)
    return Case(
        policy=_policy(rng),
        public={name for name in ROOTS if rng.random() < 0.3},
        subscribers=[
            Subscriber(_context(rng), _selection(rng, "Subscription", rng.choice(ROOTS), 0))
            for _ in range(n_subscribers)
        ],
        events=[_event(rng) for _ in range(n_events)],
    )


def _policy(rng: random.Random) -> dict[str, Any]:
    policy: dict[str, Any] = {}
    if rng.random() < 0.5:
        policy["tenant_path"] = rng.choice(["tenant_id", "meta.tenant"])
    elif rng.random() < 0.5:
        policy["multi_tenant"] = True
    rules = {}
    for _ in range(rng.choice([0, 0, 1, 2])):
        type_name = rng.choice(["Item", "Order", "Product", "Customer", "Subscription"])
        field = rng.choice(list(FIELDS[type_name]))
        mode = (
            "reject" if (type_name, field) == ("Customer", "id") else rng.choice(["mask", "reject"])
        )
        rules[f"{type_name}.{field}"] = {
            "roles": rng.sample(ROLES, rng.choice([0, 1, 1, 2])),
            "mode": mode,
        }
    policy["field_roles"] = rules
    policy["boundaries"] = {
        name: rng.choice(SUBGRAPHS) for name in rng.sample(list(POSSIBLE), rng.choice([0, 0, 1, 2]))
    }
    policy["rows"] = {
        name: rng.choice(["owner", "user"]) for name in rng.sample(ROOTS, rng.choice([0, 0, 1, 2]))
    }
    policy["variable_scope"] = {
        name: {"value": rng.choice(["user_id", "claims.sub"]), "optional": rng.random() < 0.3}
        for name in rng.sample(["userId", "order.userId", "item.userId"], rng.choice([0, 0, 1, 2]))
    }
    return policy


def _context(rng: random.Random) -> dict[str, Any]:
    limited = rng.random() < 0.15
    return {
        "user_id": rng.choice(USERS),
        "tenant_id": rng.choice(TENANTS),
        "roles": sorted(rng.sample(ROLES, rng.choice([0, 1, 2]))),
        "claims": rng.choice([{}, {"sub": "u1"}, {"sub": 7}, {"sub": "u2"}]),
        "boundaries": sorted(rng.sample(SUBGRAPHS, rng.choice([0, 1, 2]))),
        "fields": sorted(rng.sample([*ROOTS, *POSSIBLE], 7)) if limited else None,
    }


def _selection(rng: random.Random, parent: str, name: str, depth: int) -> Selection:
    result = FIELDS[parent][name]
    children: list[Selection] = []
    if result is not None:
        for _ in range(rng.choice([1, 2, 3])):
            on = rng.choice([result, *POSSIBLE[result]])
            names = [
                field for field, composite in FIELDS[on].items() if composite is None or depth < 2
            ]
            if names:
                children.append(_selection(rng, on, rng.choice(names), depth + 1))
        if not children:
            on = POSSIBLE[result][0]
            children.append(_selection(rng, on, "id", depth + 1))
    # Keys that differ never merge: one selection, one value.
    key = f"k{rng.getrandbits(40)}" if parent != "Subscription" else "root"
    args = _args(rng) if (parent, name) in SCOPED else {}
    if name != "order":
        args.pop("filter", None)
    return Selection(parent, name, key, args, rng.random() < 0.5, children)


def _user(rng: random.Random) -> Any:
    return rng.choice(["u1", "u1", "u1", "u2", "7", None])


def _args(rng: random.Random) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if rng.random() < 0.7:
        args["userId"] = _user(rng)
    if rng.random() < 0.5:
        args["filter"] = _filter(rng, 0)
    return args


def _filter(rng: random.Random, depth: int) -> Any:
    if rng.random() < 0.1:
        return None
    value: dict[str, Any] = {}
    if rng.random() < 0.8:
        value["userId"] = _user(rng)
    if rng.random() < 0.3:
        value["region"] = "eu"
    if depth < 2 and rng.random() < 0.3:
        value["and"] = [
            inner
            for inner in (_filter(rng, depth + 1) for _ in range(rng.choice([0, 1, 2])))
            if inner is not None
        ]
    if rng.random() < 0.6:
        value["range"] = rng.choice([None, {"min": 1}, {"userId": "u1"}, {"userId": "u1"}])
    return value


def _object(rng: random.Random, type_name: str, depth: int) -> Any:
    if rng.random() < 0.1 and depth > 0:
        return None
    data: dict[str, Any] = {"__typename": type_name}
    for name, composite in FIELDS[type_name].items():
        if (type_name, name) in LISTS:
            data[name] = [
                _object(rng, rng.choice(POSSIBLE["Item"]), depth + 1)
                for _ in range(rng.choice([0, 1, 2]) if depth < 2 else 0)
            ]
        elif composite is not None:
            data[name] = _object(rng, composite, depth + 1) if depth < 3 else None
        elif name in ("margin", "price"):
            data[name] = rng.randrange(100) / 4
        else:
            data[name] = f"{name}{rng.randrange(100)}"
    return data


def _event(rng: random.Random) -> dict[str, Any]:
    # Order and Customer carry what __typename must say; the data is an object.
    data = _object(rng, rng.choice(["Order", "Product", "Customer"]), 0)
    if rng.random() < 0.7:
        data["tenant_id"] = rng.choice(["t1", "t2", "t1", "", None, 7, ["t1"]])
    if rng.random() < 0.7:
        data["meta"] = rng.choice(
            [{"tenant": "t1"}, {"tenant": "t2"}, {}, None, "t1", {"tenant": 1}]
        )
    if rng.random() < 0.7:
        data["owner_id"] = rng.choice(["u1", "u2", None, 7])
    return {
        "channel": rng.choice(ROOTS),
        "data": data,
        "tenant_id": rng.choice([None, None, "t1", "t2", ""]),
        "boundary": rng.choice([None, None, None, *SUBGRAPHS]),
    }


# -- documents as text ----------------------------------------------------------


def _print(selections: list[Selection], variables: dict[str, Any]) -> str:
    parts = []
    for item in selections:
        text = f"{item.key}: {item.name}"
        given = []
        for name, value in item.args.items():
            if item.literal:
                given.append(f"{name}: {_literal(value)}")
            else:
                kind = "ID" if name == "userId" else "OrderFilter"
                variable = f"v{len(variables)}"
                variables[variable] = (kind, value)
                given.append(f"{name}: ${variable}")
        if given:
            text += f"({', '.join(given)})"
        if item.children:
            text += f" {_print(item.children, variables)}"
        parts.append(
            text if item.parent == "Subscription" else f"... on {item.parent} {{ {text} }}"
        )
    return f"{{ {' '.join(parts)} }}"


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)


# -- the model ------------------------------------------------------------------


class Model:
    """What the policy of `case` means; `mutation`: what it gets wrong."""

    def __init__(self, case: Case, mutation: str | None = None) -> None:
        self.policy = case.policy
        self.public = case.public
        self.mutation = mutation
        self.multi_tenant = "tenant_path" in case.policy or case.policy.get("multi_tenant", False)

    def is_wrong(self, mutation: str) -> bool:
        return self.mutation == mutation

    # -- subscribing --------------------------------------------------------

    def admits(self, subscriber: Subscriber) -> bool:
        context, root = subscriber.context, subscriber.root
        every = list(_walk(root))
        return (
            all(self._role_allows(context, item) for item in every)
            and self._limits_allow(context, [root])
            and all(self._reaches_types(context, item) for item in every)
            and all(self._scope_allows(context, root.name, item) for item in every)
        )

    def _rules(self, type_name: str, field: str) -> list[dict[str, Any]]:
        """Rules for a field of an object type, those of interfaces too."""
        keys = [f"{type_name}.{field}"]
        if type_name in POSSIBLE["Item"] and not self.is_wrong("rules of interfaces stop there"):
            keys.append(f"Item.{field}")
        return [
            self.policy["field_roles"][key] for key in keys if key in self.policy["field_roles"]
        ]

    def _has_role(self, context: dict[str, Any], rule: dict[str, Any]) -> bool:
        if self.is_wrong("one role is enough for another") and context["roles"]:
            return True
        return not set(rule["roles"]).isdisjoint(context["roles"])

    def _role_allows(self, context: dict[str, Any], item: Selection) -> bool:
        if self.is_wrong("roles reject nothing"):
            return True
        for type_name in POSSIBLE.get(item.parent, [item.parent]):
            for rule in self._rules(type_name, item.name):
                if rule["mode"] == "reject" and not self._has_role(context, rule):
                    return False
        return True

    def is_masked(self, context: dict[str, Any], type_name: str, field: str) -> bool:
        """Whether a field of an object type is null for `context`."""
        if self.is_wrong("masks hide nothing"):
            return False
        keys = {f"{type_name}.{field}": type_name}
        if type_name in POSSIBLE["Item"] and not self.is_wrong("rules of interfaces stop there"):
            keys[f"Item.{field}"] = "Item"
        for key, owner in keys.items():
            rule = self.policy["field_roles"].get(key)
            if rule is None or rule["mode"] != "mask":
                continue
            if not self._has_role(context, rule) or self._is_outside(context, owner, field):
                return True
        return False

    def _is_outside(self, context: dict[str, Any], owner: str, field: str) -> bool:
        """Whether limits leave out a field that its rule can mask instead."""
        limits = context["fields"]
        if limits is None or self.is_wrong("limits of fields are ignored"):
            return False
        result = FIELDS[owner][field]
        own = field if owner == "Subscription" else owner
        return own not in limits or (result is not None and result not in limits)

    def _limits_allow(self, context: dict[str, Any], items: list[Selection]) -> bool:
        limits = context["fields"]
        if limits is None or self.is_wrong("limits of fields are ignored"):
            return True
        for item in items:
            types = POSSIBLE.get(item.parent, [item.parent])
            if all(self.is_masked(context, name, item.name) for name in types):
                continue
            own = item.name if item.parent == "Subscription" else item.parent
            if own not in limits or not self._limits_allow(context, item.children):
                return False
        return True

    def _reaches_types(self, context: dict[str, Any], item: Selection) -> bool:
        result = FIELDS[item.parent][item.name]
        if result is None or self.is_wrong("types of subgraphs are free"):
            return True
        types = {result, *POSSIBLE[result]}
        if self.is_wrong("possible types are not asked"):
            types = {result}
        owners = {self.policy["boundaries"].get(name) for name in types} - {None}
        return owners <= set(context["boundaries"])

    # -- scope --------------------------------------------------------------

    def _scope_rule(self, root: str, name: str) -> dict[str, Any] | None:
        scope = self.policy["variable_scope"]
        if f"{root}.{name}" in scope and not self.is_wrong("scope ignores a rule for one field"):
            return scope[f"{root}.{name}"]  # type: ignore[no-any-return]
        return scope.get(name)  # type: ignore[no-any-return]

    def _scope_allows(self, context: dict[str, Any], root: str, item: Selection) -> bool:
        if (item.parent, item.name) not in SCOPED:
            return True
        if item.parent != "Subscription" and self.is_wrong("nested arguments are not scoped"):
            return True
        args = dict(item.args)
        if (item.parent, item.name) == ("Subscription", "item"):
            if "userId" not in args and self.is_wrong("defaults are not scoped"):
                return True
            args.setdefault("userId", "u1")
        if not self._value_allowed(context, root, "userId", args.get("userId")):
            return False
        return item.name != "order" or self._input_allowed(
            context, root, "OrderFilter", args.get("filter"), []
        )

    def _value_allowed(self, context: dict[str, Any], root: str, name: str, value: Any) -> bool:
        rule = self._scope_rule(root, name)
        if rule is None or self.is_wrong("scoped arguments may be anybody's"):
            return True
        if value is None:
            return bool(rule["optional"]) or self.is_wrong("absent values are fine")
        own = context["claims"].get("sub") if rule["value"] != "user_id" else context["user_id"]
        return own is not None and str(own) == value

    def _input_allowed(
        self, context: dict[str, Any], root: str, kind: str, value: Any, around: list[str]
    ) -> bool:
        if value is None or value == []:
            if kind in around or self.is_wrong("absent input objects are fine"):
                return True
            return not self._asks(root, kind, around)
        if isinstance(value, list):
            return all(self._input_allowed(context, root, kind, item, around) for item in value)
        for name, inner in INPUTS[kind].items():
            if inner is None:
                if not self._value_allowed(context, root, name, value.get(name)):
                    return False
            elif not self._input_allowed(context, root, inner, value.get(name), [*around, kind]):
                return False
        return True

    def _asks(self, root: str, kind: str, seen: list[str]) -> bool:
        """Whether an input object must be there for what is in it."""
        for name, inner in INPUTS[kind].items():
            rule = self._scope_rule(root, name)
            if inner is None and rule is not None and not rule["optional"]:
                return not self.is_wrong("scoped arguments may be anybody's") and not self.is_wrong(
                    "absent values are fine"
                )
            around = [*seen, kind]
            if inner is not None and inner not in around and self._asks(root, inner, around):
                return True
        return False

    # -- events -------------------------------------------------------------

    def delivers(self, subscriber: Subscriber, event: dict[str, Any]) -> bool:
        context, root = subscriber.context, subscriber.root
        return (
            event["channel"] == root.name
            and self._tenant_allows(context, root.name, event)
            and self._boundary_allows(context, event)
            and self._row_allows(context, root, event)
        )

    def _tenant_allows(self, context: dict[str, Any], root: str, event: dict[str, Any]) -> bool:
        said = event["tenant_id"]
        if said == "" and not self.is_wrong("an empty tenant is a tenant"):
            said = None
        found: Any = None
        if "tenant_path" in self.policy:
            found = event["data"]
            for key in self.policy["tenant_path"].split("."):
                if found is None:
                    break
                if not isinstance(found, dict):
                    found = False
                    break
                found = found.get(key)
            if found == "" and not self.is_wrong("an empty tenant is a tenant"):
                found = None
        if found is not None and not isinstance(found, str):
            if not self.is_wrong("a tenant of a wrong type is none"):
                return False
            found = None
        is_contradiction = said is not None and found is not None and said != found
        if is_contradiction and not self.is_wrong("the envelope hides a contradiction"):
            return False
        tenant = said if said is not None else found
        if tenant is None:
            if self.is_wrong("events without a tenant reach all"):
                return True
            is_public = root in self.public and not self.is_wrong(
                "public fields get no event without a tenant"
            )
            return not self.multi_tenant or is_public
        return tenant == context["tenant_id"] or self.is_wrong("foreign tenants see events")

    def _boundary_allows(self, context: dict[str, Any], event: dict[str, Any]) -> bool:
        boundary = event["boundary"]
        return (
            boundary is None
            or boundary in context["boundaries"]
            or self.is_wrong("boundaries of events are ignored")
        )

    def _row_allows(self, context: dict[str, Any], root: Selection, event: dict[str, Any]) -> bool:
        rule = self.policy["rows"].get(root.name)
        if rule is None or self.is_wrong("row filters let all pass"):
            return True
        owner = event["data"].get("owner_id")
        if self.is_wrong("a missing owner passes the row filter") and owner is None:
            return True
        if rule == "owner":
            return owner is not None and owner == context["user_id"]
        # rows["user"]: (owner_id == ctx.user_id) | (owner_id == ctx.claims.sub)
        return owner is not None and owner in (context["user_id"], context["claims"].get("sub"))

    # -- what is delivered --------------------------------------------------

    def payload(self, subscriber: Subscriber, event: dict[str, Any]) -> Any:
        """The root value as `subscriber` sees it."""
        return self._value(subscriber.context, "Subscription", subscriber.root, event["data"])

    def _value(self, context: dict[str, Any], owner: str, item: Selection, value: Any) -> Any:
        if self.is_masked(context, owner, item.name) or value is None:
            return None
        if not item.children:
            return value
        if isinstance(value, list):
            return [self._object(context, item, part) for part in value]
        return self._object(context, item, value)

    def _object(self, context: dict[str, Any], item: Selection, data: Any) -> Any:
        if data is None:
            return None
        name = data["__typename"]
        result = FIELDS[item.parent][item.name]
        assert result is not None
        if name not in POSSIBLE[result]:
            # An object where one of another type is due: taken as that type
            # where there is just one, an error and null where there are some.
            if len(POSSIBLE[result]) > 1:
                return None
            name = result
        return {
            child.key: self._value(context, name, child, data.get(child.name))
            for child in item.children
            if name in POSSIBLE[child.parent]
        }


def _walk(item: Selection) -> Iterator[Selection]:
    yield item
    for child in item.children:
        yield from _walk(child)


def decide(case: Case, mutation: str | None = None) -> list[Any]:
    """What becomes of each subscriber: "refused", or what it gets."""
    model = Model(case, mutation)
    outcome: list[Any] = []
    for subscriber in case.subscribers:
        if not model.admits(subscriber):
            outcome.append("refused")
            continue
        outcome.append(
            [
                model.payload(subscriber, event)
                for event in case.events
                if model.delivers(subscriber, event)
            ]
        )
    return outcome


# -- the engine -------------------------------------------------------------------

_ROWS = {
    "owner": event.owner_id == ctx.user_id,
    "user": (event.owner_id == ctx.user_id) | (event.owner_id == ctx.claims.sub),
}


def security_of(case: Case) -> Security:
    rows = {name: _ROWS[rule] for name, rule in case.policy["rows"].items()}
    return Security(**{**case.policy, "rows": rows})


def context_of(context: dict[str, Any]) -> SecurityContext:
    restore: Any = SecurityContext._restore  # type: ignore[attr-defined]
    return restore(  # type: ignore[no-any-return]
        context["user_id"],
        context["tenant_id"],
        context["roles"],
        context["claims"],
        context["boundaries"],
        context["fields"],
        0,
    )


def run(case: Case) -> tuple[list[Any], dict[str, Any]]:
    """What the engine makes of it, as `decide`, and its metrics."""
    manager = SubscriptionManager(schema=SDL, security=security_of(case))
    for name in ROOTS:
        manager.subscription(name, public=name in case.public)
    executor = manager.executor
    try:
        manager.publish("none", {})  # starts it
        outcome: list[Any] = []
        for number, subscriber in enumerate(case.subscribers):
            outcome.append(_register(executor, str(number), subscriber))
        for item in case.events:
            executor.publish_event(
                "happened",
                item["channel"],
                item["data"],
                tenant_id=item["tenant_id"],
                boundary=item["boundary"],
            )
        for number, got in enumerate(outcome):
            if got == "refused":
                continue
            while (text := executor.next_event(str(number))) is not None:
                payload = json.loads(text)["payload"]
                assert "extensions" not in payload, payload
                got.append(payload["data"]["root"])
        return outcome, dict(manager.get_metrics())
    finally:
        executor.close()


def _register(executor: Any, number: str, subscriber: Subscriber) -> Any:
    try:
        executor.register_subscription(
            "c",
            number,
            subscriber.query,
            None,
            subscriber.variables,
            None,
            None,
            security=context_of(subscriber.context),
        )
    except SecurityError:
        return "refused"
    return []

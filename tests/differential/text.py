# SPDX-License-Identifier: MIT
"""Tokens to text, and text to slightly wrong text."""

from __future__ import annotations

import random
import re

Tokens = list[str]

#: What may stand between two tokens; the first is by far the most frequent.
SEPARATORS = (" ", "\n", "\n  ", ", ", "\r\n", "\r", "\t", " # é…😀\n", "\n\n", "\ufeff ")

#: What a mutation may put in: punctuation, keywords, near misses of the lexer.
SCRAPS = (
    *"{}()[]:=!$@&|",
    "...",
    "..",
    ".",
    "-",
    "0",
    "-0",
    "01",
    "1.",
    "1.5e3",
    "1e",
    "0xF",
    "9999999999",
    "2147483648",
    '""',
    '"',
    '"""',
    '"""a\n  b"""',
    '"\\n"',
    '"\\x"',
    '"\\u00e9"',
    '"\\uD83D\\uDE00"',
    '"\\uD83D"',
    '"\\u{1F600}"',
    '"\\u{110000}"',
    '"\t"',
    '"\\u{0000000001}"',
    "\x00",
    "\x7f",
    "é",
    "😀",
    "#",
    "\ufeff",
    "null",
    "true",
    "on",
    "query",
    "fragment",
    "subscription",
    "type",
    "extend",
    "implements",
    "__typename",
    "@skip",
    "@include(if: true)",
    "$v1",
    "id",
)

_TOKEN = re.compile(r'"""(?:[^"\\]|\\"""|\\|"(?!""))*"""|"(?:\\.|[^"\\\n\r])*"|\w+|\.\.\.|[^\w\s,]')


def join(rng: random.Random, tokens: Tokens) -> str:
    """Return the tokens as text, in one of several layouts."""
    layout = rng.random()
    if layout < 0.4:
        return " ".join(tokens)
    n_wild = 3 if layout < 0.8 else len(SEPARATORS)
    parts: list[str] = []
    for token in tokens:
        parts.append(token)
        parts.append(SEPARATORS[rng.randrange(n_wild)] if rng.random() < 0.3 else " ")
    return "".join(parts)


def mutate(rng: random.Random, text: str) -> str:
    """Return the text with up to three tokens removed, doubled, swapped or added."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    for _ in range(rng.randint(1, 3)):
        if not spans:
            return rng.choice(SCRAPS)
        start, end = rng.choice(spans)
        way = rng.randrange(6)
        if way == 0:
            text = text[:start] + text[end:]
        elif way == 1:
            text = f"{text[:end]} {text[start:end]}{text[end:]}"
        elif way == 2:
            text = f"{text[:start]}{rng.choice(SCRAPS)}{text[end:]}"
        elif way == 3:
            text = f"{text[:start]} {rng.choice(SCRAPS)} {text[start:]}"
        elif way == 4:
            other, other_end = rng.choice(spans)
            text = text[:start] + text[other:other_end] + text[end:]
        else:
            at = rng.randrange(start, end)
            text = text[:at] + text[at + 1 :]
        spans = [match.span() for match in _TOKEN.finditer(text)]
    return text

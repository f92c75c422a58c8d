# SPDX-License-Identifier: MIT
"""Line plots with logarithmic axes, as SVG: what the benches draw, and no more."""

from __future__ import annotations

import html
import math
import pathlib
from dataclasses import dataclass, field

WIDTH, HEIGHT = 720, 400
#: Left, top, right and bottom of the area of the lines.
LEFT, TOP, RIGHT, BOTTOM = 80, 50, WIDTH - 50, HEIGHT - 90
#: Told apart by those who do not see all colours, too (Okabe and Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]


@dataclass
class Series:
    """One line; values are above 0."""

    name: str
    points: list[tuple[float, float]]


@dataclass
class Plot:
    """Lines over one pair of axes, from one power of ten to another."""

    title: str
    x_label: str
    y_label: str
    series: list[Series] = field(default_factory=list)

    def add(self, series: Series) -> None:
        self.series.append(series)

    def write(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.svg(), encoding="utf-8")

    def svg(self) -> str:
        points = [point for series in self.series for point in series.points]
        self._x = _decades([x for x, _ in points])
        self._y = _decades([y for _, y in points])
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _text(WIDTH / 2, 28, self.title, size=16),
            _text((LEFT + RIGHT) / 2, BOTTOM + 40, self.x_label),
            f'<g transform="rotate(-90 20 {(TOP + BOTTOM) / 2})">'
            + _text(20, (TOP + BOTTOM) / 2, self.y_label)
            + "</g>",
            *self._grid(),
        ]
        for number, series in enumerate(self.series):
            parts += self._line(number, series)
        return "\n".join([*parts, "</svg>", ""])

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (RIGHT - LEFT) * _share(x, self._x),
            BOTTOM - (BOTTOM - TOP) * _share(y, self._y),
        )

    def _grid(self) -> list[str]:
        parts = []
        for power in range(self._x[0], self._x[1] + 1):
            x, _ = self._place(10.0**power, 10.0 ** self._y[0])
            parts.append(_stroke(x, TOP, x, BOTTOM))
            parts.append(_text(x, BOTTOM + 18, _number(power)))
        for power in range(self._y[0], self._y[1] + 1):
            _, y = self._place(10.0 ** self._x[0], 10.0**power)
            parts.append(_stroke(LEFT, y, RIGHT, y))
            parts.append(_text(LEFT - 8, y + 4, _number(power), anchor="end"))
        return parts

    def _line(self, number: int, series: Series) -> list[str]:
        colour = COLOURS[number % len(COLOURS)]
        places = [self._place(x, y) for x, y in series.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>']
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        x = LEFT + (number % 3) * 210
        y = BOTTOM + 62 + number // 3 * 18
        parts.append(f'<rect x="{x}" y="{y - 9}" width="18" height="4" fill="{colour}"/>')
        parts.append(_text(x + 24, y - 3, series.name, anchor="start"))
        return parts


def _decades(values: list[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def _share(value: float, decades: tuple[int, int]) -> float:
    return (math.log10(value) - decades[0]) / (decades[1] - decades[0])


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:.{-power}f}"


def _stroke(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#222">{html.escape(text)}</text>'
    )

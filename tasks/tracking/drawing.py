"""Plain SVG parts, built as a tree so that the writer escapes every text."""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 16, 52
Spot = tuple[float, float]


class Scale(NamedTuple):
    """A straight map from values to pixels; ``first`` may lie right of or below ``last``."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)

    def ticks(self, about: int = 6) -> list[float]:
        """Return round values inside, about that many."""
        raw = (self.high - self.low) / about
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [k * step for k in range(first, last + 1)]


class Box(NamedTuple):
    """A taken rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def hits(self, other: "Box") -> bool:
        """Return whether the two overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


FRAME = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def scale(values: Sequence[float], first: float, last: float, pad: float = 0.08) -> Scale:
    """Return a scale over the values with some room at both ends, whatever their spread."""
    low, high = min(values), max(values)
    room = pad * (high - low) if high > low else max(abs(high) * 0.05, 1e-3)
    return Scale(low - room, high + room, first, last)


def picture(title: str, words: str) -> ET.Element:
    """Return an empty picture with its accessible title and description."""
    svg = ET.Element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "width": str(WIDTH),
            "role": "img",
            "aria-label": f"{title}. {words}",
        },
    )
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "desc").text = words
    return svg


def markup(svg: ET.Element) -> Markup:
    """Return the finished picture for a page."""
    return Markup(ET.tostring(svg, encoding="unicode"))


def line(parent: ET.Element, start: Spot, end: Spot, **style: str) -> None:
    """Add a straight line; ``style`` are SVG attributes with ``_`` for ``-``."""
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    ET.SubElement(parent, "line", {k: f"{v:.1f}" for k, v in ends.items()} | _attributes(style))


def text(parent: ET.Element, at: Spot, words: str, anchor: str = "start", **style: str) -> None:
    """Add a text; ``anchor`` is start, middle or end."""
    place = {"x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor}
    ET.SubElement(parent, "text", place | _attributes(style)).text = words


def axes(svg: ET.Element, across: Scale, up: Scale, titles: tuple[str, str]) -> None:
    """Add grid lines with their values and the titles of both axes."""
    right, foot = max(across.first, across.last), HEIGHT - BOTTOM
    for value in across.ticks():
        line(svg, (across(value), TOP), (across(value), foot), stroke="var(--line)")
        text(svg, (across(value), foot + 16), f"{value:.4g}", "middle")
    for value in up.ticks():
        line(svg, (LEFT, up(value)), (right, up(value)), stroke="var(--line)")
        text(svg, (LEFT - 8, up(value) + 4), f"{value:.4g}", "end")
    text(svg, ((LEFT + right) / 2, HEIGHT - 12), titles[0], "middle")
    middle = (TOP + foot) / 2
    text(svg, (14, middle), titles[1], "middle", transform=f"rotate(-90 14 {middle})")


def _attributes(style: dict[str, str]) -> dict[str, str]:
    return {key.replace("_", "-"): value for key, value in style.items()}

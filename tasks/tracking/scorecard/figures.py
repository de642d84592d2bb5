"""The scorecard's pictures as inline SVG.

Colours are the page's own (``var(--accent)`` ...); shapes and dashes differ as well, and every
picture has a title and a description that say the same in words.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pyarrow.compute as pc
from markupsafe import Markup

from tasks.metrics.calibration import Bin, Calibration
from tasks.metrics.estimates import read_items
from tasks.metrics.values import item_values
from tasks.scores import Estimate, SuiteScores
from tasks.tracking.scorecard.card import Arm, Axis

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


COLOURS = ("var(--accent-3)", "var(--accent)", "var(--accent-2)")
DASHES = ("none", "6 3", "2 3", "9 3 2 3")
SHAPES = ("M-5,-5H5V5H-5Z", "M0,-7L7,0L0,7L-7,0Z", "M0,-7L6.5,5H-6.5Z", "M-6.5,-5H6.5L0,7Z")
Points = Sequence[tuple[float, float]]


def retention_figure(
    arms: Sequence[Arm],
    x: Axis,
    y: Axis,
    curves: Sequence[Sequence[str]] = (),
    labels: Mapping[str, str] | None = None,
    dots: Sequence[Arm] = (),
) -> Markup:
    """Return domain against general: one point an arm, with bars for both 95 % intervals.

    Better is always up and to the right. Arms without both metrics have no point. The dashed line
    is as far as a ``hold`` gate lets the base fall.

    Args:
        arms: One point each.
        x: The general metric.
        y: The domain metric.
        curves: Names of arms that a thin line joins, in their order.
        labels: What is written beside an arm's point; its name when absent.
        dots: Drawn small and without intervals or names: single seeds of an arm.
    """
    shown = [a for a in arms if {x.metric, y.metric} <= a.metrics.keys()]
    svg = picture(
        f"{y.metric} against {x.metric}",
        "; ".join(f"{a.name}: {_said(a, y)}, {_said(a, x)}" for a in shown),
    )
    sides = (LEFT, WIDTH - RIGHT) if x.higher_is_better else (WIDTH - RIGHT, LEFT)
    ends = (HEIGHT - BOTTOM, TOP) if y.higher_is_better else (TOP, HEIGHT - BOTTOM)
    drawn = [*shown, *(d for d in dots if {x.metric, y.metric} <= d.metrics.keys())]
    across, up = scale(_reach(drawn, x), *sides), scale(_reach(drawn, y), *ends)
    axes(svg, across, up, (_titled(x, "to the right"), _titled(y, "up")))
    if x.floor is not None:
        at = across(x.floor)
        line(svg, (at, TOP), (at, HEIGHT - BOTTOM), stroke="var(--bad)", stroke_dasharray="5 4")
        text(svg, (at + 4, HEIGHT - BOTTOM - 6), "gate's margin")
    spots = [(across(a.metrics[x.metric].value), up(a.metrics[y.metric].value)) for a in shown]
    at_name = {a.name: spot for a, spot in zip(shown, spots, strict=True)}
    for curve in curves:
        path = " ".join(f"{px},{py}" for px, py in (at_name[n] for n in curve if n in at_name))
        thin = {"points": path, "fill": "none", "stroke": "var(--quiet)", "stroke-width": "1"}
        ET.SubElement(svg, "polyline", thin)
    for dot in dots:
        if {x.metric, y.metric} <= dot.metrics.keys():
            place = {
                "cx": f"{across(dot.metrics[x.metric].value)}",
                "cy": f"{up(dot.metrics[y.metric].value)}",
            }
            seed = ET.SubElement(svg, "circle", place | {"r": "2.5", "fill": "var(--quiet)"})
            ET.SubElement(seed, "title").text = f"{dot.name}: {_said(dot, y)}, {_said(dot, x)}"
    for i, (arm, spot) in enumerate(zip(shown, spots, strict=True)):
        bars = _cross(across, up, arm.metrics[x.metric], arm.metrics[y.metric])
        _point(svg, i, spot, bars, f"{arm.name}: {_said(arm, y)}, {_said(arm, x)}")
    taken = [Box(px - 8, py - 8, px + 8, py + 8) for px, py in spots]
    for arm, spot in zip(shown, spots, strict=True):
        _label(svg, spot, (labels or {}).get(arm.name, arm.name), taken)
    return markup(svg)


def loss_figure(losses: Mapping[str, Points]) -> Markup:
    """Return each source's loss over the steps, as a running mean, named at its end."""
    series = {name: smooth(points) for name, points in losses.items() if points}
    svg = picture(
        "Training loss by source",
        "; ".join(f"{n}: from {p[0][1]:.3g} to {p[-1][1]:.3g}" for n, p in series.items()),
    )
    right = WIDTH - 160
    steps, values = ([point[k] for p in series.values() for point in p] for k in (0, 1))
    across = scale(steps, LEFT, right, pad=0.0)
    up = scale([0.0, *values], HEIGHT - BOTTOM, TOP, pad=0.0)
    axes(svg, across, up, ("optimiser step", "loss (nats a supervised token)"))
    places = spread([up(points[-1][1]) for points in series.values()], 15, HEIGHT - 20)
    for i, ((name, points), place) in enumerate(zip(series.items(), places, strict=True)):
        stroke = {
            "stroke": COLOURS[(i + 1) % 3],
            "stroke-width": "1.8",
            "fill": "none",
            "stroke-dasharray": DASHES[i // 3 % len(DASHES)],
        }
        path = " ".join(f"{across(step)},{up(loss)}" for step, loss in points)
        ET.SubElement(svg, "polyline", {"points": path} | stroke)
        last = (across(points[-1][0]), up(points[-1][1]))
        line(svg, last, (right + 12, place), stroke=stroke["stroke"], stroke_width="0.6")
        text(svg, (right + 15, place + 4), _short(name))
    return markup(svg)


def smooth(points: Points) -> list[tuple[float, float]]:
    """Return the running mean of a line over a fortieth of its points."""
    width = max(1, len(points) // 40)
    out = []
    for i, (step, _) in enumerate(points):
        part = [value for _, value in points[max(0, i - width + 1) : i + 1]]
        out.append((step, sum(part) / len(part)))
    return out


def spread(wanted: Sequence[float], gap: float, most: float = math.inf) -> list[float]:
    """Return positions near the wanted ones, in their order, ``gap`` apart, none over ``most``."""
    out, order = list(wanted), sorted(range(len(wanted)), key=lambda i: wanted[i])
    lowest = -math.inf
    for i in order:
        lowest = out[i] = max(out[i], lowest + gap)
    for i in reversed(order):
        out[i] = most = min(out[i], most)
        most -= gap
    return out


def _said(arm: Arm, axis: Axis) -> str:
    e = arm.metrics[axis.metric]
    return f"{axis.metric} {e.value:.4g} ({e.low:.4g} to {e.high:.4g})"


def _titled(axis: Axis, where: str) -> str:
    return f"{axis.metric} (better is {where})"


def _reach(arms: Sequence[Arm], axis: Axis) -> list[float]:
    ends = [v for a in arms for v in (a.metrics[axis.metric].low, a.metrics[axis.metric].high)]
    return [*ends, *([] if axis.floor is None else [axis.floor])]


def _cross(across: Scale, up: Scale, x: Estimate, y: Estimate) -> list[tuple[Spot, Spot]]:
    flat, tall = up(y.value), across(x.value)
    return [
        ((across(x.low), flat), (across(x.high), flat)),
        ((tall, up(y.low)), (tall, up(y.high))),
    ]


def _point(
    svg: ET.Element, i: int, spot: Spot, bars: Sequence[tuple[Spot, Spot]], title: str
) -> None:
    colour = COLOURS[i % len(COLOURS)]
    for start, end in bars:
        line(svg, start, end, stroke=colour, stroke_width="1.5")
    place = f"translate({spot[0]} {spot[1]})"
    if i % (len(SHAPES) + 1) == 0:
        mark = ET.SubElement(svg, "circle", {"r": "6", "fill": colour, "transform": place})
    else:
        shape = SHAPES[i % (len(SHAPES) + 1) - 1]
        mark = ET.SubElement(svg, "path", {"d": shape, "fill": colour, "transform": place})
    ET.SubElement(mark, "title").text = title


def _label(svg: ET.Element, spot: Spot, name: str, taken: list[Box]) -> None:
    """Write the name beside its point, where nothing else is written yet."""
    words = _short(name)
    wide, (px, py) = 7.0 * len(words), spot
    free = [
        Box(left, py + dy - 11, left + wide, py + dy + 3)
        for dy in (-10, 20, -26, 36, -42, 52)
        for left in (px + 9, px - 9 - wide)
    ]
    inside = [
        b
        for b in free
        if b.left >= FRAME.left
        and b.right <= FRAME.right
        and b.top >= FRAME.top
        and b.bottom <= FRAME.bottom
    ]
    box = next((b for b in inside if not any(b.hits(t) for t in taken)), (inside or free)[0])
    taken.append(box)
    text(svg, (box.left, box.bottom - 3), words, style="fill: var(--ink)")


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:20]}..."


# Calibration as a picture: how often a model is right, against how sure it is.

METRICS = {"ece": "letters", "cloze_ece": "cloze"}
"""Metrics of calibration, and the form of the items they are of."""


class Reliability(NamedTuple):
    """One suite's picture: its name and form, and the finished figure."""

    suite: str
    form: str
    figure: Markup


def reliability(base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]) -> list[Reliability]:
    """Return a picture for every multiple-choice suite that both models took, and each form."""
    others = {scores.suite: scores for scores in candidate}
    found = []
    for one in base:
        for metric, form in METRICS.items():
            other = others.get(one.suite)
            if other is not None and metric in one.metrics and metric in other.metrics:
                bins = {"base": _bins(one, metric), "candidate": _bins(other, metric)}
                title = f"{one.suite}: reliability by {form}"
                found.append(Reliability(one.suite, form, reliability_figure(title, bins)))
    return found


def reliability_figure(title: str, arms: Mapping[str, Sequence[Bin]]) -> Markup:
    """Return accuracy over confidence, one line a model; on the dashed line it is as sure as right.

    The area of a point is the share of items in its bin.
    """
    svg = picture(title, "; ".join(_bin_text(name, bins) for name, bins in arms.items()))
    across = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    up = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    axes(svg, across, up, ("confidence in the answer given", "share of right answers"))
    line(svg, (across(0), up(0)), (across(1), up(1)), stroke="var(--quiet)", stroke_dasharray="5 4")
    for i, (name, bins) in enumerate(arms.items()):
        spots = [(across(b.confidence), up(b.accuracy)) for b in bins]
        _line(svg, i, spots)
        _points(svg, i, spots, bins)
        place = (LEFT + 12, TOP + 16 + 16 * i)
        text(svg, place, name, style=f"fill: {COLOURS[i % len(COLOURS)]}")
    return markup(svg)


def _bins(scores: SuiteScores, metric: str) -> list[Bin]:
    table = read_items(scores.items)
    rows = table.filter(pc.equal(table["form"], METRICS[metric]))
    data = item_values(rows, metric).data
    assert isinstance(data, Calibration)
    return data.bins()


def _line(svg: ET.Element, i: int, spots: Sequence[Spot]) -> None:
    path = " ".join(f"{x},{y}" for x, y in spots)
    ET.SubElement(
        svg,
        "polyline",
        {
            "points": path,
            "fill": "none",
            "stroke": COLOURS[i % len(COLOURS)],
            "stroke-width": "1.5",
            "stroke-dasharray": DASHES[i % len(DASHES)],
        },
    )


def _points(svg: ET.Element, i: int, spots: Sequence[Spot], bins: Sequence[Bin]) -> None:
    whole = sum(b.items for b in bins)
    for (x, y), each in zip(spots, bins, strict=True):
        radius = 2 + 12 * math.sqrt(each.items / whole)
        point = ET.SubElement(
            svg,
            "circle",
            {
                "cx": f"{x}",
                "cy": f"{y}",
                "r": f"{radius:.1f}",
                "fill-opacity": "0.35",
                "fill": COLOURS[i % len(COLOURS)],
            },
        )
        ET.SubElement(
            point, "title"
        ).text = (
            f"{each.items:,} items: confidence {each.confidence:.3f}, right {each.accuracy:.3f}"
        )


def _bin_text(name: str, bins: Sequence[Bin]) -> str:
    parts = ", ".join(f"{b.accuracy:.2f} at {b.confidence:.2f} ({b.items})" for b in bins)
    return f"{name}: right {parts}"

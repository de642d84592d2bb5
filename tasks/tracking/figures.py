"""The scorecard's pictures as inline SVG.

Colours are the page's own (``var(--accent)`` ...); shapes and dashes differ as well, and every
picture has a title and a description that say the same in words.
"""

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from markupsafe import Markup

from tasks.artifacts import Estimate
from tasks.tracking import drawing
from tasks.tracking.arms import Arm, Axis
from tasks.tracking.drawing import BOTTOM, FRAME, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Box, Scale, Spot

COLOURS = ("var(--accent-3)", "var(--accent)", "var(--accent-2)")
DASHES = ("none", "6 3", "2 3", "9 3 2 3")
SHAPES = ("M-5,-5H5V5H-5Z", "M0,-7L7,0L0,7L-7,0Z", "M0,-7L6.5,5H-6.5Z", "M-6.5,-5H6.5L0,7Z")
Points = Sequence[tuple[float, float]]


def retention_figure(arms: Sequence[Arm], x: Axis, y: Axis) -> Markup:
    """Return domain against general: one point an arm, with bars for both 95 % intervals.

    Better is always up and to the right. Arms without both metrics have no point. The dashed line
    is as far as a ``hold`` gate lets the base fall.
    """
    shown = [a for a in arms if {x.metric, y.metric} <= a.metrics.keys()]
    svg = drawing.picture(
        f"{y.metric} against {x.metric}",
        "; ".join(f"{a.name}: {_said(a, y)}, {_said(a, x)}" for a in shown),
    )
    sides = (LEFT, WIDTH - RIGHT) if x.higher_is_better else (WIDTH - RIGHT, LEFT)
    ends = (HEIGHT - BOTTOM, TOP) if y.higher_is_better else (TOP, HEIGHT - BOTTOM)
    across, up = drawing.scale(_reach(shown, x), *sides), drawing.scale(_reach(shown, y), *ends)
    drawing.axes(svg, across, up, (_titled(x, "to the right"), _titled(y, "up")))
    if x.floor is not None:
        at = across(x.floor)
        drawing.line(
            svg, (at, TOP), (at, HEIGHT - BOTTOM), stroke="var(--bad)", stroke_dasharray="5 4"
        )
        drawing.text(svg, (at + 4, HEIGHT - BOTTOM - 6), "gate's margin")
    spots = [(across(a.metrics[x.metric].value), up(a.metrics[y.metric].value)) for a in shown]
    for i, (arm, spot) in enumerate(zip(shown, spots, strict=True)):
        _point(svg, i, spot, _cross(across, up, arm.metrics[x.metric], arm.metrics[y.metric]))
    taken = [Box(px - 8, py - 8, px + 8, py + 8) for px, py in spots]
    for arm, spot in zip(shown, spots, strict=True):
        _label(svg, spot, arm.name, taken)
    return drawing.markup(svg)


def loss_figure(losses: Mapping[str, Points]) -> Markup:
    """Return each source's loss over the steps, as a running mean, named at its end."""
    series = {name: smooth(points) for name, points in losses.items() if points}
    svg = drawing.picture(
        "Training loss by source",
        "; ".join(f"{n}: from {p[0][1]:.3g} to {p[-1][1]:.3g}" for n, p in series.items()),
    )
    right = WIDTH - 160
    steps, values = ([point[k] for p in series.values() for point in p] for k in (0, 1))
    across = drawing.scale(steps, LEFT, right, pad=0.0)
    up = drawing.scale([0.0, *values], HEIGHT - BOTTOM, TOP, pad=0.0)
    drawing.axes(svg, across, up, ("optimiser step", "loss (nats a supervised token)"))
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
        drawing.line(svg, last, (right + 12, place), stroke=stroke["stroke"], stroke_width="0.6")
        drawing.text(svg, (right + 15, place + 4), _short(name))
    return drawing.markup(svg)


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


def _point(svg: ET.Element, i: int, spot: Spot, bars: Sequence[tuple[Spot, Spot]]) -> None:
    colour = COLOURS[i % len(COLOURS)]
    for start, end in bars:
        drawing.line(svg, start, end, stroke=colour, stroke_width="1.5")
    place = f"translate({spot[0]} {spot[1]})"
    if i % (len(SHAPES) + 1) == 0:
        ET.SubElement(svg, "circle", {"r": "6", "fill": colour, "transform": place})
    else:
        ET.SubElement(
            svg,
            "path",
            {"d": SHAPES[i % (len(SHAPES) + 1) - 1], "fill": colour, "transform": place},
        )


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
    drawing.text(svg, (box.left, box.bottom - 3), words, style="fill: var(--ink)")


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:20]}..."

"""Calibration as a picture: how often a model is right, against how sure it is."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pyarrow.compute as pc
from markupsafe import Markup

from tasks.artifacts import SuiteScores
from tasks.metrics.calibration import Bin, Calibration
from tasks.metrics.estimates import read_items
from tasks.metrics.values import item_values
from tasks.tracking import drawing
from tasks.tracking.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, Spot
from tasks.tracking.figures import COLOURS, DASHES

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
    svg = drawing.picture(title, "; ".join(_bin_text(name, bins) for name, bins in arms.items()))
    across = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    up = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    drawing.axes(svg, across, up, ("confidence in the answer given", "share of right answers"))
    drawing.line(
        svg, (across(0), up(0)), (across(1), up(1)), stroke="var(--quiet)", stroke_dasharray="5 4"
    )
    for i, (name, bins) in enumerate(arms.items()):
        spots = [(across(b.confidence), up(b.accuracy)) for b in bins]
        _line(svg, i, spots)
        _points(svg, i, spots, bins)
        place = (LEFT + 12, TOP + 16 + 16 * i)
        drawing.text(svg, place, name, style=f"fill: {COLOURS[i % len(COLOURS)]}")
    return drawing.markup(svg)


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

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.suites.choices import letter_metrics, text_metrics
from tasks.metrics.calibration import Bin
from tasks.scores import Estimate, SuiteScores
from tasks.tracking.scorecard.card import Arm, Axis
from tasks.tracking.scorecard.figures import (
    HEIGHT,
    WIDTH,
    Box,
    loss_figure,
    reliability,
    reliability_figure,
    retention_figure,
    scale,
    smooth,
    spread,
)

X, Y = Axis("mmlu/gold_margin", True, 0.4), Axis("voc/macro_f1", True)


def arm(name: str, x: float, y: float) -> Arm:
    ends = {"mmlu/gold_margin": x, "voc/macro_f1": y}
    return Arm(
        name=name,
        metrics={m: Estimate(value=v, low=v - 0.05, high=v + 0.05, n=50) for m, v in ends.items()},
    )


def spots(svg: ET.Element) -> list[tuple[float, float]]:
    marks = [e.get("transform", "") for e in svg if e.tag in ("circle", "path")]
    pairs = (m.removeprefix("translate(").removesuffix(")").split() for m in marks)
    return [(float(x), float(y)) for x, y in pairs]


def test_better_is_up_and_to_the_right() -> None:
    arms = [arm("base", 0.5, 0.1), arm("tuned", 0.3, 0.7)]
    svg = ET.fromstring(retention_figure(arms, X, Y))
    base, tuned = spots(svg)
    assert tuned[0] < base[0]
    assert tuned[1] < base[1]
    backwards = ET.fromstring(retention_figure(arms, X._replace(higher_is_better=False), Y))
    base, tuned = spots(backwards)
    assert tuned[0] > base[0]


def test_a_picture_says_in_words_what_it_shows() -> None:
    svg = ET.fromstring(retention_figure([arm("base", 0.5, 0.1)], X, Y))
    assert svg.get("role") == "img"
    assert svg.findtext("title") == "voc/macro_f1 against mmlu/gold_margin"
    assert "base: voc/macro_f1 0.1 (0.05 to 0.15)" in (svg.findtext("desc") or "")
    words = [e.text for e in svg.iter("text")]
    assert "base" in words
    assert "gate's margin" in words


def test_names_are_escaped() -> None:
    drawn = retention_figure([arm("<script>x</script>", 0.5, 0.1)], X, Y)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    losses = loss_figure({"<b onload='x'>": [(1.0, 2.0), (2.0, 1.0)]})
    assert "<b" not in losses


def test_an_arm_without_a_metric_has_no_point() -> None:
    half = Arm(name="half", metrics={"voc/macro_f1": Estimate(value=1, low=1, high=1, n=5)})
    svg = ET.fromstring(retention_figure([arm("base", 0.5, 0.1), half], X, Y))
    assert len(spots(svg)) == 1


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_everything_stays_on_the_picture(values: list[tuple[float, float]]) -> None:
    arms = [arm(f"run {i}", x, y) for i, (x, y) in enumerate(values)]
    svg = ET.fromstring(retention_figure(arms, X, Y))
    for x, y in spots(svg):
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT


def labels(svg: ET.Element) -> list[Box]:
    named = [e for e in svg.iter("text") if (e.text or "").startswith("run ")]
    return [
        Box(
            float(e.get("x", 0)),
            float(e.get("y", 0)) - 11,
            float(e.get("x", 0)) + 35,
            float(e.get("y", 0)),
        )
        for e in named
    ]


def test_names_of_close_points_do_not_cover_each_other() -> None:
    arms = [arm("run 0", 0.5, 0.5), arm("run 1", 0.501, 0.505), arm("run 2", 0.499, 0.495)]
    boxes = labels(ET.fromstring(retention_figure(arms, X, Y)))
    assert len(boxes) == 3
    assert not any(a.hits(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_each_source_has_its_line() -> None:
    losses = {"voc": [(1.0, 4.0), (2.0, 2.0)], "chat": [(1.0, 3.0), (2.0, 2.9)], "none": []}
    svg = ET.fromstring(loss_figure(losses))
    assert len(list(svg.iter("polyline"))) == 2
    assert svg.findtext("desc") == "voc: from 4 to 2; chat: from 3 to 2.9"


def test_a_single_step_is_drawn_too() -> None:
    assert ET.fromstring(loss_figure({"voc": [(1.0, 4.0)]})) is not None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_a_scale_has_ticks_inside_and_keeps_values_inside(values: list[float]) -> None:
    made = scale(values, 70, 700)
    assert all(70 <= made(v) <= 700 for v in values)
    assert 2 <= len(made.ticks()) <= 13
    assert all(69.9 <= made(t) <= 700.1 for t in made.ticks())


@given(st.lists(st.floats(0, 300), max_size=12))
def test_spread_positions_keep_their_order_and_distance(wanted: list[float]) -> None:
    out = spread(wanted, 15, 400)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [out[i] for i in order]
    assert all(b - a >= 15 - 1e-9 for a, b in zip(placed, placed[1:], strict=False))
    assert all(p <= 400 for p in placed)


def test_smoothing_keeps_short_lines_as_they_are() -> None:
    points = [(float(i), float(i % 3)) for i in range(30)]
    assert smooth(points) == points
    assert smooth([(float(i), 1.0) for i in range(200)])[-1] == pytest.approx((199.0, 1.0))


def test_a_model_as_sure_as_it_is_right_lies_on_the_dashed_line() -> None:
    bins = [Bin(k / 10, (k + 1) / 10, 10 * k, k / 10 + 0.05, k / 10 + 0.05) for k in range(2, 9)]
    svg = ET.fromstring(str(reliability_figure("mmlu", {"base": bins})))
    dashed = next(x for x in svg.iter("line") if x.get("stroke-dasharray"))
    (x1, y1, x2, y2) = (float(dashed.attrib[k]) for k in ("x1", "y1", "x2", "y2"))
    radii = []
    for point in svg.iter("circle"):
        along = (float(point.attrib["cx"]) - x1) / (x2 - x1)
        assert abs(y1 + along * (y2 - y1) - float(point.attrib["cy"])) < 0.2
        radii.append(float(point.attrib["r"]))
    assert len(radii) == 7
    assert radii == sorted(radii)


def test_the_picture_says_in_words_what_it_shows_and_escapes_names() -> None:
    html = str(reliability_figure("<b>x</b>", {"<i>": [Bin(0.2, 0.3, 4, 0.25, 0.5)]}))
    assert "<b>" not in html
    assert "<i>" not in html
    assert "right 0.50 at 0.25 (4)" in html


def test_every_form_of_choices_has_its_picture(suite_scores: Callable[..., SuiteScores]) -> None:
    rows = [
        {
            "item_id": f"i{i}",
            "form": form,
            "gold_index": 0,
            "score": 1.0,
            "choice_logprobs": [-1.0, -2.0],
            "choice_bytes": [1, 1],
        }
        for i in range(4)
        for form in ("letters", "cloze")
    ]
    scores = suite_scores("arc", "mmlu", rows)
    metrics = scores.metrics | {"cloze_ece": scores.metrics["ece"]}
    about = {**letter_metrics(0.25), **text_metrics(0.25)}
    scores = scores.model_copy(update={"metrics": metrics, "about": about})
    found = reliability([scores], [scores])
    assert [(r.suite, r.form) for r in found] == [("arc", "letters"), ("arc", "cloze")]
    assert len(re.findall("<polyline", str(found[0].figure))) == 2
    assert reliability([scores], []) == []

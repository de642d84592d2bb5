import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from tasks.artifacts import SuiteScores
from tasks.metrics.calibration import Bin
from tasks.tracking.reliability import reliability, reliability_figure


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
    scores = scores.model_copy(update={"metrics": metrics})
    found = reliability([scores], [scores])
    assert [(r.suite, r.form) for r in found] == [("arc", "letters"), ("arc", "cloze")]
    assert len(re.findall("<polyline", str(found[0].figure))) == 2
    assert reliability([scores], []) == []

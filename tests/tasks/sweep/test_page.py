"""The sweep's page: the answer first, every arm in the table, nothing from data as markup."""

import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tasks.scores import Estimate
from tasks.sweep.choice import ArmLine, Outcome, Recommendation, recommend
from tasks.sweep.page import (
    PICTURE,
    RECORD,
    SweepCard,
    draw_frontier,
    list_curves,
    sweep_html,
    write_sweep_page,
)


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.02, high=value + 0.02, n=200)


def make_card(arms: int, **more: Any) -> SweepCard:
    lines = tuple(
        ArmLine(
            arm=f"share {1 - i / 20:g}",
            domain_share=1 - i / 20,
            alpha=1.0,
            seeds=1,
            domain=estimate(0.6 - i / 100),
            retention=estimate(1.3 - i / 40),
            holds="PASS" if i else "FAIL",
            lost=() if i else ("general/bits_per_byte FAIL",),
            tokens=1000,
        )
        for i in range(arms)
    )
    outcomes = tuple(
        Outcome(
            arm=x.arm,
            settings={"mixture.domain_share": x.domain_share},
            seed=1,
            domain_share=x.domain_share,
            alpha=1.0,
            tokens=1000,
        )
        for x in lines
    )
    fields: dict[str, Any] = {
        "name": "support",
        "run_id": "0" * 32,
        "domain": "voc/macro_f1",
        "retention": "general/bits_per_byte",
        "higher": (True, False),
        "floor": 1.1,
        "base": {"voc/macro_f1": estimate(0.0), "general/bits_per_byte": estimate(1.0)},
        "lines": lines,
        "outcomes": outcomes,
        "recommendation": recommend(lines),
        "shared": {"mixtures": (arms, arms)},
    }
    return SweepCard.model_validate({**fields, **more})


def test_the_answer_comes_first_with_the_setting_that_gives_it() -> None:
    page = sweep_html(make_card(3), None)
    assert page.index("Take <strong>share 0.95") < page.index("<h2>Arms")
    assert "mixture.domain_share=0.95" in page
    assert "not confirmed on test items" in page


def test_no_arm_is_said_as_plainly() -> None:
    nothing = Recommendation(arm=None, reasons=("None holds.",), changes=("More data.",))
    page = sweep_html(make_card(2, recommendation=nothing), None)
    assert "No arm is recommended" in page
    assert "More data." in page


def test_an_arm_without_a_result_is_shown_with_its_reason() -> None:
    card = make_card(2)
    failed = card.outcomes[0].model_copy(update={"state": "failed", "reason": "<b>disk full</b>"})
    page = sweep_html(card.model_copy(update={"outcomes": (failed, *card.outcomes[1:])}), None)
    assert "&lt;b&gt;disk full&lt;/b&gt;" in page
    assert "<b>disk full" not in page


@pytest.mark.parametrize("arms", [1, 3, 5, 6, 12])
def test_no_label_of_the_picture_hides_another(arms: int) -> None:
    picture = draw_frontier(make_card(arms))
    assert picture is not None
    svg = ET.fromstring(str(picture))
    marks = [e for e in svg.iter() if e.tag in ("circle", "path") and e.get("transform")]
    assert len(marks) == arms + 1
    names = {"base", *(f"share {1 - i / 20:g}" for i in range(arms))}
    names |= {str(i) for i in range(1, arms + 1)}
    labels = [
        (float(e.get("x", "0")), float(e.get("y", "0")), len(e.text or "") * 7)
        for e in svg.iter("text")
        if e.text in names and e.get("style")
    ]
    assert len(labels) == arms + 1
    for (x1, y1, w1), (x2, y2, w2) in itertools.combinations(labels, 2):
        apart = abs(y1 - y2) >= 12 or x1 + w1 <= x2 or x2 + w2 <= x1
        assert apart, ((x1, y1), (x2, y2))


def test_arms_that_differ_in_alpha_alone_are_joined_from_the_base_on() -> None:
    line = make_card(1).lines[0]
    lines = [line.model_copy(update={"arm": f"share 1, alpha {a}", "alpha": a}) for a in (1.0, 0.3)]
    assert list_curves(lines) == [["base", "share 1, alpha 0.3", "share 1, alpha 1.0"]]
    assert list_curves(make_card(3).lines) == []


def test_record_and_picture_stand_beside_the_page(tmp_path: Path) -> None:
    card = make_card(3)
    page = write_sweep_page(card, tmp_path)
    assert SweepCard.model_validate_json((tmp_path / RECORD).read_text()) == card
    svg = (tmp_path / PICTURE).read_text()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert not re.search(r"var\(", svg)
    assert "<script" not in page.read_text()

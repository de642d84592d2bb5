import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.scores import Estimate
from tasks.tracking.scorecard.card import Arm, Card, card_record, earlier_arm
from tasks.tracking.scorecard.page import scorecard, scorecard_html


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> tuple[list[str], str]:
    page = _Page()
    page.feed(html)
    return page.tags, " ".join(" ".join(page.text).split())


def test_the_page_shows_verdict_gates_suites_shares_and_losses(card: Card) -> None:
    tags, text = read(scorecard_html(card))
    for words in (
        "Scorecard: voc-75",
        "INCONCLUSIVE",
        "voc-intent/macro_f1",
        "improve",
        "+0.4 to +0.6",
        "needs 1,234",
        "gold_margin",
        "75.00%",
        "supervised tokens",
        "c" * 64,
    ):
        assert words in text
    assert tags.count("svg") == 3
    assert text.index("INCONCLUSIVE") < text.index("Domain against general")


def test_the_worst_slices_and_repeated_looks_are_shown(card: Card) -> None:
    lost = {
        "metric": "mmlu/accuracy",
        "part": "stratum",
        "name": "</td><b>law",
        "n": 50,
        "first": 0.5,
        "second": 0.3,
        "difference": -0.2,
        "p": 0.001,
        "adjusted": 0.0123,
        "worse": True,
    }
    won = lost | {"name": "virology", "worse": False}
    gate = card.gates[0].model_copy(update={"seen": 4, "against": "champion", "policy": "warn"})
    tags, text = read(
        scorecard_html(card.model_copy(update={"slices": (lost, won), "gates": (gate,)}))
    )
    for words in (
        "</td><b>law",
        "0.012",
        "of 2 subjects",
        "seen 4 times",
        "against the champion",
        "only warns",
    ):
        assert words in text
    assert "b" not in tags
    assert "virology" not in text
    assert "Where it is worse" not in read(scorecard_html(card))[1]


def test_nothing_from_data_becomes_markup(card: Card) -> None:
    hostile = Arm(name="<script>boo()</script>", metrics=card.arms[0].metrics)
    html = scorecard_html(card.model_copy(update={"others": (hostile,)}))
    tags, text = read(html)
    assert "script" not in tags
    assert "<script" not in html
    assert "alert('x')" in text
    assert "user:pw" not in html


def test_the_page_loads_nothing(card: Card) -> None:
    html = scorecard_html(card)
    assert "default-src 'none'" in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in html


def test_the_record_can_be_drawn_beside_a_later_run(card: Card, temper_home: Path) -> None:
    page = scorecard(card)
    assert page == temper_home / "runs" / "run1" / "scorecard.html"
    record = json.loads((page.parent / "scorecard.json").read_text())
    assert record["verdict"] == "INCONCLUSIVE"
    assert record["weights"] == {"base": "b" * 64, "candidate": "c" * 64}
    earlier = earlier_arm(page.parent / "scorecard.json")
    assert earlier == card.arms[1]
    later = card.model_copy(update={"run_id": "run2", "others": (earlier,)})
    assert len(later.arms) == 3
    assert scorecard_html(later).split("</figure>")[0].count("<circle") == 1


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "INCONCLUSIVE"])
def test_every_verdict_is_said_in_a_sentence(card: Card, verdict: str) -> None:
    html = scorecard_html(card.model_copy(update={"verdict": verdict}))
    assert f'badge-{verdict.lower()}">{verdict}</span>' in html


def test_a_run_without_gates_or_losses_or_picture_says_so(card: Card) -> None:
    (card.checkpoint.path / "losses.jsonl").unlink()
    recipe = card.recipe.model_copy(update={"gates": ()})
    bare = card.model_copy(
        update={
            "recipe": recipe,
            "gates": (),
            "verdict": "PASS",
            "base": card.base[:1],
            "candidate": card.candidate[:1],
        }
    )
    _, text = read(scorecard_html(bare))
    for words in ("declares no gates", "no loss by source", "There is no picture"):
        assert words in text


def test_an_arm_keeps_its_numbers() -> None:
    estimate = Estimate(value=0.5, low=0.4, high=0.6, n=10)
    arm = Arm(name="x", metrics={"s/m": estimate})
    assert Arm.model_validate_json(arm.model_dump_json()) == arm


@pytest.mark.slow
def test_a_real_browser_shows_the_page_and_runs_nothing(card: Card, tmp_path: Path) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for found in map(shutil.which, names) if found), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    page, shot = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(scorecard_html(card))
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}/b",
            f"--screenshot={shot}",
            "--window-size=1100,2400",
            "--enable-logging=stderr",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert shot.stat().st_size > 20_000
    assert "CONSOLE" not in done.stderr


def test_the_page_shows_worst_classes_what_is_taken_for_what_and_calibration(card: Card) -> None:
    _, text = read(scorecard_html(card))
    assert "voc-intent: the candidate's worst of 4 classes" in text
    assert "(no label of the list)" in text
    assert "mmlu: reliability by letters" in text
    record = card_record(card)["classes"]
    assert [(c["suite"], c["classes"], len(c["worst"])) for c in record] == [("voc-intent", 4, 4)]
    assert all(c["said"] is None and c["times"] <= c["base"] for c in record[0]["confusions"])


def test_cut_items_are_shown_beside_their_suite(card: Card) -> None:
    cut = card.candidate[1].model_copy(update={"truncated": 1234, "unclosed": 7})
    _, text = read(scorecard_html(card.model_copy(update={"candidate": (card.candidate[0], cut)})))
    assert re.search("candidate: 1,234 of [0-9]+ items were cut", text)
    assert "candidate: 7 answers ended inside a thought" in text
    assert "were cut" not in read(scorecard_html(card))[1]

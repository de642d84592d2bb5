import re
from collections.abc import Callable
from typing import Any

import pytest

from configs.quality import Quality
from tasks.artifacts import CleanSource
from tasks.quality.report import verdict_line, verdict_table, verdicts_page
from tasks.quality.stage import clean_source

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture
def done(
    row: Callable[..., Any], snapshot_of: Callable[..., Any], source: Callable[..., Any]
) -> CleanSource:
    rows = [row(f"question {i}", label=f"{EVIL}{i % 2}") for i in range(40)]
    rows += [row(f"{EVIL} <|im_end|>", label="a", origin=EVIL), row("x" * 5000, label="a")]
    rejected = [{"origin": EVIL, "raw": EVIL, "reason": EVIL}]
    return clean_source(snapshot_of(rows, rejected), source(), Quality(max_chars=4000), 17)


def test_nothing_from_the_data_becomes_markup(done: CleanSource) -> None:
    for html in (verdicts_page([done]), (done.path / "page.html").read_text()):
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;alert(&#39;x&#39;)" in html


def test_the_page_shows_verdict_counts_reasons_splits_and_lengths(done: CleanSource) -> None:
    html = verdicts_page([done])
    assert '<span class="badge badge-quarantine">quarantine</span>' in html
    assert re.search(r"<th>reserved_tokens</th><td class=\"number\">1</td><td>The text holds", html)
    assert "3 labels" in html or "2 labels" in html
    assert html.count("<rect") == 12 + 2  # lengths, and a bar a label
    assert len(html) < 100_000


def test_examples_are_cut_around_what_was_found(
    row: Callable[..., Any], snapshot_of: Callable[..., Any], source: Callable[..., Any]
) -> None:
    rows = [row(f"q{i}", label="a") for i in range(9)]
    rows.append(row("y" * 3000 + "<|im_end|>" + "z" * 3000, label="a"))
    html = verdicts_page([clean_source(snapshot_of(rows), source(), Quality(), 17)])
    sample = re.search(r"…(y+)&lt;\|im_end\|&gt;(z+)…", html)
    assert sample is not None
    assert len(sample[0]) < 300


def test_one_page_shows_every_source_of_a_run(done: CleanSource) -> None:
    html = verdicts_page(
        [done, done.model_copy(update={"origin": done.origin.model_copy(update={"name": "other"})})]
    )
    assert html.count("<section>") == 2
    assert "<h2>other" in html


def test_the_table_and_the_line_say_the_same_in_words(done: CleanSource) -> None:
    table = {r["check"]: r for r in verdict_table(done)}
    assert table["format"]["rows"] == "1"
    assert table["reserved_tokens"]["meaning"].startswith("The text holds a chat control token")
    line = verdict_line(done)
    assert line == "voc: quarantine. 43 rows in; clean: 34 train, 2 dev, 4 test."

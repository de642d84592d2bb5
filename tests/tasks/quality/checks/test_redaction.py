import json
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.quality import Personal, Quality, Secrets
from tasks.quality.report import load_verdict, verdicts_page
from tasks.quality.stage import clean_source
from tasks.text.rows import compact, row_id

CARD = 4111111111111111
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
Make = Callable[..., Any]


def _rows(row: Make) -> list[Any]:
    rows = [row(f"question {i}", label="ab"[i % 2]) for i in range(40)]
    return [*rows, row("I am bob@gmail.com", f"and {KEY}", label="a")]


def _texts(done: Any) -> list[str]:
    tables = [pq.read_table(done.split(name)) for name in ("train", "dev", "test")]
    return [m["content"] for t in tables for r in t.to_pylist() for m in r["messages"]]


def test_redacted_rows_say_so_and_are_counted_and_kept(
    row: Make, snapshot_of: Make, source: Make
) -> None:
    quality = Quality(pii=Personal(action="redact"), secrets=Secrets(action="redact"))
    done = clean_source(snapshot_of(_rows(row)), source(), quality, 17)
    verdict = load_verdict(done)
    assert done.rows_out == 41
    assert {"I am [EMAIL]", "and [API_KEY]"} <= set(_texts(done))
    assert verdict.reported["pii_email"] == verdict.reported["secret_api_key"] == 1
    for name in ("train", "dev", "test"):
        for kept in pq.read_table(done.split(name)).to_pylist():
            assert kept["row_id"] == row_id(kept["messages"])


def test_a_secret_is_set_aside_and_shown_nowhere(
    row: Make, snapshot_of: Make, source: Make
) -> None:
    done = clean_source(snapshot_of(_rows(row)), source(), Quality(), 17)
    assert done.rows_out == 40
    assert done.findings["secret_api_key"] == 1
    assert load_verdict(done).reported["pii_email"] == 1
    for page in (verdicts_page([done]), (done.path / "verdict.json").read_text()):
        assert KEY not in page
        assert "[API_KEY]" in page


def test_labels_of_test_rows_that_training_rows_lack_are_reported(
    row: Make, snapshot_of: Make, source: Make
) -> None:
    rows = [row(f"question {i}", label="ab"[i % 2], split="train") for i in range(40)]
    rows += [row(f"other {i}", label="abc"[i % 3], split="test") for i in range(9)]
    verdict = load_verdict(clean_source(snapshot_of(rows), source(), Quality(), 17))
    assert verdict.reported["unseen_label"] == 3
    assert verdict.splits["test"] == 9


def test_classes_out_of_balance_are_noted_on_the_page(
    row: Make, snapshot_of: Make, source: Make
) -> None:
    rows = [row(f"question {i}", label="b" if i < 3 else "a") for i in range(60)]
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    largest, smallest = load_verdict(done).warnings
    assert "largest class, 'a'" in largest
    assert "smallest, 'b'" in smallest
    assert "largest class, &#39;a&#39;" in verdicts_page([done])


def _with_secret(place: str, row: Make) -> Any:
    """Return a row that says a card number and a key somewhere beside a message's content."""
    said = row("What is it?", "It is this.")
    leak = f"4111 1111 1111 1111 and {KEY}"
    call = compact([{"id": "c1", "name": "pay", "arguments": {"note": leak, "card": CARD}}])
    match place:
        case "reasoning" | "tool_calls":
            said["messages"][-1][place] = leak if place == "reasoning" else call
        case "rejected":
            said["rejected"] = {"role": "assistant", "content": leak}
        case "tools":
            said["tools"] = compact([{"name": "pay", "description": leak, "parameters": {}}])
        case "reference":
            said["reference"] = compact({"answer": leak, "card": CARD})
    said["row_id"] = row_id(*(said.get(n) for n in ("messages", "tools", "rejected", "reference")))
    return said


PLACES = ("reasoning", "tool_calls", "rejected", "tools", "reference")


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_found_wherever_a_row_says_it(
    row: Make, snapshot_of: Make, source: Make, place: str
) -> None:
    rows = [*_rows(row)[:-1], _with_secret(place, row)]
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    assert done.findings["secret_api_key"] == 1
    assert load_verdict(done).reported["pii_card"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_redaction_reaches_all_that_a_row_says_and_leaves_json_whole(
    row: Make, snapshot_of: Make, source: Make, place: str
) -> None:
    quality = Quality(
        checks=("format",), pii=Personal(action="redact"), secrets=Secrets(action="redact")
    )
    rows = [*_rows(row)[:-1], _with_secret(place, row)]
    done = clean_source(snapshot_of(rows), source(), quality, 17)
    kept = [
        r for name in ("train", "dev", "test") for r in pq.read_table(done.split(name)).to_pylist()
    ]
    text = json.dumps(kept)
    assert len(kept) == 41
    assert KEY not in text
    assert "4111" not in text
    assert "[CARD] and [API_KEY]" in text
    for one in kept:
        for held in (one["tools"], one["reference"], one["messages"][-1]["tool_calls"]):
            assert held is None or json.loads(held) is not None

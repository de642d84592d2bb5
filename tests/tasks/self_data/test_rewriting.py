"""Rewriting with the tiny model: its random answers hardly ever pass, scripted ones do."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.sources import Rewrite
from tasks.artifacts import CleanSource, LocalModel, Origin
from tasks.models.api import NONE, Answer
from tasks.self_data import rewriting
from tasks.self_data.rewriting import REWRITING_FILE, TOO_LONG, RewritingRequest
from tasks.self_data.rewriting_checks import NUMBERS
from tasks.self_data.stage import make_self_data
from tasks.self_data.summary import AHEAD, NOTHING, describe_plan, describe_result
from tasks.self_data.targets import LABEL
from tasks.text.rows import ROW_SCHEMA, row_id

pytest.importorskip("torch")
SPEC = Rewrite(max_new_tokens=8, batch_size=4)


def chat(question: str, answer: str, label: str | None = None) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"row_id": row_id(messages), "messages": messages, "label": label, "origin": "f:1"}  # type: ignore[arg-type]


ROWS = [
    chat(f"When is parcel {i} due?", f"Your parcel number {i} is due on Monday.") for i in range(10)
]


@pytest.fixture
def make_clean(temper_home: Path, tmp_path: Path) -> Any:
    def make(rows: list[dict[str, Any]], labels: dict[str, Any] | None = None) -> CleanSource:
        folder = tmp_path / "clean"
        folder.mkdir(exist_ok=True)
        for split, some in (("train", rows), ("dev", rows[:2]), ("test", rows[:3])):
            pq.write_table(
                pa.Table.from_pylist(some, schema=ROW_SCHEMA), folder / f"{split}.parquet"
            )
        (folder / "verdict.json").write_text(json.dumps({"labels": labels or {}}))
        (folder / "manifest.json").write_text("{}")
        return CleanSource(
            path=folder,
            digest=f"clean-{len(rows)}",
            origin=Origin(name="own", role="domain", uri="own.jsonl", licence="own"),
            verdict="pass",
            reason="",
            rows_in=len(rows) + 5,
            rows_out=len(rows) + 5,
            findings={},
            splits={"train": len(rows), "dev": 2, "test": 3},
        )

    return make


class Speaker:
    """An engine that says the reference in other words, once a digest; counts what it is asked."""

    digest, log_probs = "speaker", False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, prompts: Any) -> Any:
        from tasks.models.api import Encoded, ids_digest

        texts = [p.messages[-1]["content"] for p in prompts]
        return [Encoded(ids_digest([*t.encode()]), t) for t in texts]

    def generate_batches(self, asked: Any, decoding: Any, skip: Any = NONE) -> Any:
        for start in range(0, len(asked), decoding.batch_size):
            places = [
                i
                for i in range(start, min(start + decoding.batch_size, len(asked)))
                if i not in skip
            ]
            self.asked += [asked[i].payload for i in places]
            yield [(i, self.say(asked[i])) for i in places]

    def say(self, request: Any) -> Answer:
        target = request.payload.split("\n\n")[2]
        number = target.split()[3] if target.startswith("Your parcel") else ""
        text = f"On Monday you get parcel number {'' if number == '7' else number}."
        return Answer(text, False, 0.1, request.digest, 5)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Speaker:
    found = Speaker()
    monkeypatch.setattr(rewriting, "open_model", lambda _: found)
    return found


def texts(folder: Path, split: str = "train") -> list[str]:
    return [
        r["messages"][-1]["content"] for r in pq.read_table(folder / f"{split}.parquet").to_pylist()
    ]


def test_targets_are_in_other_words_and_what_fails_a_check_stays(
    make_clean: Any, tiny_model: LocalModel, speaker: Speaker
) -> None:
    clean = make_clean(ROWS)
    done = make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model)
    said = texts(done.path)
    assert said[3] == "On Monday you get parcel number 3."
    assert said[7] == ROWS[7]["messages"][1]["content"]
    for split in ("dev", "test"):
        assert texts(done.path, split) == texts(clean.path, split)
    rows = pq.read_table(done.split("train")).to_pylist()
    assert [r["row_id"] for r in rows] == [r["row_id"] for r in ROWS]
    assert [r["messages"][0] for r in rows] == [
        {**r["messages"][0], "reasoning": None, "tool_calls": None, "tool_call_id": None}
        for r in ROWS
    ]
    kept = pq.read_table(done.path / REWRITING_FILE).to_pylist()
    assert len(kept) == 10
    assert kept[7]["target"] == ROWS[7]["messages"][1]["content"]
    assert kept[7]["rewriting"] == "On Monday you get parcel number ."
    assert (kept[7]["rewritten"], kept[7]["reason"]) == (False, NUMBERS)
    [filter_] = done.filters
    assert (filter_.name, filter_.rows_in, filter_.rows_out) == ("rewriting", 15, 15)
    told = filter_.settings
    assert (told["targets"], told["rewritten"], told["share"]) == (10, 9, 0.9)
    assert told["stayed"] == {NUMBERS: 1}
    assert told["template"] == SPEC.template
    assert "9 of 10 targets of own (90.0%)" in describe_result(done)
    assert f"| {NUMBERS} | 1 |" in describe_result(done)
    assert done.digest != clean.digest
    assert describe_plan(clean) == AHEAD


def test_the_same_again_asks_nothing_and_other_checks_neither(
    make_clean: Any, tiny_model: LocalModel, speaker: Speaker
) -> None:
    clean = make_clean(ROWS)
    first = make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model)
    assert len(speaker.asked) == 10
    assert make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model) == first
    strict = make_self_data(
        RewritingRequest(clean, SPEC.model_copy(update={"min_overlap": 0.9}), 512, 17), tiny_model
    )
    assert len(speaker.asked) == 10
    assert strict.path != first.path
    assert strict.filters[0].settings["rewritten"] == 0
    assert texts(strict.path) == texts(clean.path)


def test_a_run_that_was_stopped_goes_on_with_the_batches_that_are_missing(
    make_clean: Any, tiny_model: LocalModel, speaker: Speaker, temper_home: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    clean = make_clean(ROWS)
    with pytest.raises(KeyboardInterrupt):
        make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model, stop)
    assert not list(temper_home.glob("rewritten/*"))
    told: list[tuple[int, int]] = []
    done = make_self_data(
        RewritingRequest(clean, SPEC, 512, 17), tiny_model, lambda *x: told.append(x)
    )
    assert done.filters[0].settings["rewritten"] == 9
    assert len(speaker.asked) == len(set(speaker.asked)) == 10
    assert told[-1] == (10, 10)


def test_labels_are_not_asked_for_and_that_is_said(
    make_clean: Any, tiny_model: LocalModel, speaker: Speaker
) -> None:
    rows = [
        chat(f"Review {i}", "price" if i % 2 else "delivery", "price" if i % 2 else "delivery")
        for i in range(6)
    ]
    clean = make_clean(rows, {"price": {"train": 3}, "delivery": {"train": 3}})
    done = make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model)
    assert speaker.asked == []
    assert texts(done.path) == texts(clean.path)
    assert done.filters[0].settings["stayed"] == {LABEL: 6}
    assert describe_plan(clean) == NOTHING
    # Without classes a short answer is asked for, though ingest stores it as a label.
    clean = make_clean(rows)
    assert describe_plan(clean) == AHEAD


def test_a_rewriting_that_makes_its_row_too_long_is_not_used(
    make_clean: Any, tiny_model: LocalModel, speaker: Speaker
) -> None:
    clean = make_clean([chat("Due?", "Your parcel 1 is due Monday.")])
    speaker.say = lambda request: Answer(  # type: ignore[method-assign]
        "Your parcel 1 is due on Monday " + "as was said " * 20, False, 0.1, request.digest, 5
    )
    whole = make_self_data(RewritingRequest(clean, SPEC, 1000, 17), tiny_model)
    assert whole.filters[0].settings["rewritten"] == 1
    short = make_self_data(RewritingRequest(clean, SPEC, 60, 17), tiny_model)
    assert short.filters[0].settings["stayed"] == {TOO_LONG: 1}
    assert texts(short.path) == texts(clean.path)


def test_the_base_model_itself_is_asked(make_clean: Any, tiny_model: LocalModel) -> None:
    clean = make_clean(ROWS[:3])
    done = make_self_data(RewritingRequest(clean, SPEC, 512, 17), tiny_model)
    kept = pq.read_table(done.path / REWRITING_FILE).to_pylist()
    assert all(k["rewriting"] for k in kept)
    assert all(k["rewritten"] == (k["reason"] is None) for k in kept)
    assert texts(done.path) == [
        k["rewriting"].strip() if k["rewritten"] else k["target"] for k in kept
    ]

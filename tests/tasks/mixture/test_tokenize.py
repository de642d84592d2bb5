import re
import uuid
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from budgets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.artifacts import CleanSource, Origin
from tasks.errors import DataError
from tasks.mixture import tokenize
from tasks.mixture.held_out import hold_out
from tasks.mixture.rows import open_rows
from tasks.mixture.tokenize import RowFormat, check_kind, fit_record, make_records, tokenise
from tasks.text.chat import load_tokenizer
from tasks.text.masks import IGNORED
from tasks.text.rows import ROW_SCHEMA

ASK = [{"role": "user", "content": "what is 1 plus 2?"}]
TALK = [*ASK, {"role": "assistant", "content": "3"}, {"role": "user", "content": "and 4?"}]
GOOD, BAD = ({"role": "assistant", "content": c} for c in ("It is 7", "No idea at all"))


def row(messages, **fields):
    return {"row_id": "r", "messages": messages, "origin": "a.jsonl:1", **fields}


@pytest.fixture(scope="module")
def tokenizer(tiny_model_folder):
    return load_tokenizer(tiny_model_folder)


def said(tokenizer, ids, labels):
    return tokenizer.decode([i for i, x in zip(ids, labels, strict=True) if x != IGNORED])


def test_a_pair_is_both_answers_after_the_prompt_the_last_ones_supervised(tokenizer):
    made = make_records(tokenizer, row([*TALK, GOOD], rejected=BAD), RowFormat("dpo"))[0]
    assert said(tokenizer, made["input_ids"], made["labels"]) == "It is 7<eos>"
    assert said(tokenizer, made["rejected_ids"], made["rejected_labels"]) == "No idea at all<eos>"
    assert "3<eos>" in tokenizer.decode(made["rejected_ids"])
    assert made["tokens"] == len(made["input_ids"]) + len(made["rejected_ids"])


def test_a_question_ends_where_the_answer_begins(tokenizer):
    made = make_records(tokenizer, row(ASK, reference='"3"'), RowFormat("rft"))[0]
    assert tokenizer.decode(made["input_ids"]).endswith("<|assistant|>\n")
    assert set(made["labels"]) == {IGNORED}
    assert made["reference"] == '"3"'


def test_in_continued_pre_training_every_token_carries_loss(tokenizer):
    made = make_records(tokenizer, row([*ASK, GOOD]), RowFormat("cpt"))[0]
    assert made["labels"] == [IGNORED, *made["input_ids"][1:]]


@pytest.mark.parametrize(
    ("method", "fields", "fits"),
    [
        ("sft", {}, True),
        ("sft", {"rejected": BAD}, False),
        ("cpt", {"reference": "null"}, False),
        ("dpo", {}, False),
        ("dpo", {"rejected": BAD}, True),
        ("rft", {"rejected": BAD}, False),
        ("rft", {"reference": "null"}, True),
    ],
)
def test_a_row_of_another_methods_kind_is_refused(method, fields, fits):
    given = row([*ASK, GOOD], **fields)
    if fits:
        check_kind(given, method)
    else:
        with pytest.raises(DataError, match="learns from"):
            check_kind(given, method)


def long(count):
    ids = list(range(1, count + 1))
    return {"input_ids": ids, "labels": list(ids), "tokens": count, "supervised_tokens": count}


def test_a_long_row_is_dropped_cut_or_refused_as_the_policy_says():
    assert fit_record(long(10), 4, RowFormat("cpt", "drop"), "x") == []
    parts = fit_record(long(10), 4, RowFormat("cpt", "split"), "x")
    assert [p["input_ids"] for p in parts] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [p["labels"][0] for p in parts] == [IGNORED] * 3
    assert sum(p["supervised_tokens"] for p in parts) == 7
    with pytest.raises(DataError, match="10 tokens"):
        fit_record(long(10), 4, RowFormat("cpt", "error"), "x")
    assert fit_record(long(4), 4, RowFormat("cpt", "error"), "x") == [long(4)]


def texts(folder, words):
    folder.mkdir()
    rows = [
        {"row_id": f"{i:032d}", "messages": [{"role": "text", "content": "plus " * n}]}
        for i, n in enumerate(words)
    ]
    for split in ("train", "dev"):
        pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), folder / f"{split}.parquet")
    n = len(rows)
    return CleanSource(
        path=folder,
        digest=f"{folder.name}-{n}",
        origin=Origin(name="wiki", role="general", uri="w"),
        verdict="pass",
        reason="",
        rows_in=2 * n,
        rows_out=2 * n,
        findings={},
        splits={"train": n, "dev": n},
    )


def test_tokens_that_long_rows_lose_are_reported(tmp_path, temper_home, tiny_model):
    source = texts(tmp_path / "wiki", [2, 40, 90])
    whole = tokenise(source, tiny_model, 10_000, {}, RowFormat("cpt"))
    cut = tokenise(source, tiny_model, 20, {}, RowFormat("cpt", "split"))
    (split,) = [f for f in cut.filters if f.name == "split"]
    assert cut.tokens == whole.tokens
    assert cut.supervised_tokens == whole.supervised_tokens - (
        split.settings["parts"] - split.settings["rows_cut"]
    )
    assert (split.rows_in, split.rows_out) == (3, cut.rows)
    ids = open_rows(cut.path / "rows.arrow").take(pa.array(range(cut.rows)).to_numpy(), ["row_id"])
    assert len(set(ids["row_id"].to_pylist())) == cut.rows
    dropped = tokenise(source, tiny_model, 20, {}, RowFormat("cpt", "drop"))
    (lost,) = [f.settings for f in dropped.filters if f.name == "too_long"]
    assert dropped.left_out == {"too_long": 2}
    assert lost["tokens_lost"] == whole.tokens - dropped.tokens


ANSWERED = [f"what is {i} plus 3?" for i in range(40)]


def chats(folder, answers):
    """A source of questions, each with an answer of that many words; None is left unanswered."""
    folder.mkdir()
    rows = []
    for i, words in enumerate(answers):
        messages = [{"role": "user", "content": ANSWERED[i]}]
        if words is not None:
            messages.append({"role": "assistant", "content": "It is " + "3 " * words})
        rows.append({"row_id": f"{i:032x}", "messages": messages, "origin": f"a.jsonl:{i + 1}"})
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), folder / "train.parquet")
    source = texts(folder / "shape", [])
    return source.model_copy(update={"path": folder, "splits": {"train": len(rows)}})


def set_aside(tokens):
    return pq.read_table(tokens.quarantine).to_pylist()


def test_every_row_set_aside_is_kept_with_what_was_found(tmp_path, temper_home, tiny_model):
    source = chats(tmp_path / "voc", [1, 200, None, 1, 1])
    items = {"mmlu": ["What is 3 plus 3?"], "other": ["What is 4 plus 3?", "unheard of"]}
    made = tokenise(source, tiny_model, 60, items)
    found = {row["origin"]: row for row in set_aside(made)}
    assert {origin: row["reasons"] for origin, row in found.items()} == {
        "a.jsonl:2": ["too_long"],
        "a.jsonl:3": ["nothing_supervised"],
        "a.jsonl:4": ["overlap:mmlu"],
        "a.jsonl:5": ["overlap:other"],
    }
    assert found["a.jsonl:4"]["messages"][0]["content"] == ANSWERED[3]
    assert found["a.jsonl:4"]["row_id"] == f"{3:032x}"
    assert "suite 'mmlu': “What is 3 plus 3?”" in found["a.jsonl:4"]["detail"]
    tokens, limit = (int(n) for n in re.findall(r"\d+", found["a.jsonl:2"]["detail"]))
    assert (tokens > limit, limit) == (True, 60)
    assert "tokens carries loss" in found["a.jsonl:3"]["detail"]


LENGTHS = st.lists(st.one_of(st.none(), st.integers(1, 60)), min_size=1, max_size=12)


@pytest.mark.parametrize("overlong", ["drop", "split"])
@given(LENGTHS, st.sets(st.integers(0, 11)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(15))
def test_every_row_is_in_the_tokens_or_in_quarantine(
    tmp_path, temper_home, tiny_model, overlong, lengths, items
):
    source = chats(tmp_path / uuid.uuid4().hex, lengths)
    source = source.model_copy(update={"digest": source.path.name})
    excluded = {"mmlu": [ANSWERED[i] for i in sorted(items)]}
    made = tokenise(source, tiny_model, 50, excluded, RowFormat("sft", overlong))
    rows = open_rows(made.rows_file).take(np.arange(made.rows), ["row_id"])["row_id"].to_pylist()
    kept, gone = {r.partition(".")[0] for r in rows}, [r["row_id"] for r in set_aside(made)]
    assert sorted([*kept, *gone]) == [f"{i:032x}" for i in range(len(lengths))]
    assert Counter(r["reasons"][0] for r in set_aside(made)) == Counter(made.left_out)


def test_quarantine_is_written_as_rows_come(tmp_path, temper_home, tiny_model, monkeypatch):
    monkeypatch.setattr(tokenize, "QUARANTINE_ROWS", 4)
    made = tokenise(chats(tmp_path / "voc", [None] * 10), tiny_model, 60, {})
    assert pq.read_metadata(made.quarantine).num_row_groups == 3
    assert len(set_aside(made)) == 10


def test_a_source_of_which_nothing_is_set_aside_has_an_empty_quarantine(
    tmp_path, temper_home, tiny_model
):
    assert set_aside(tokenise(chats(tmp_path / "voc", [1]), tiny_model, 60, {})) == []


def test_held_out_rows_are_the_same_whatever_else_there_is(tmp_path, temper_home, tiny_model):
    source = texts(tmp_path / "wiki", [2, 3, 4, 5, 6])
    made = hold_out([source], tiny_model, 64, RowFormat("cpt", "split"), 3)
    more = hold_out([source], tiny_model, 64, RowFormat("cpt", "split"), 5)
    ids = [pq.read_table(h.path / "rows.parquet")["row_id"].to_pylist() for h in (made, more)]
    assert made.rows == {"general": 3}
    assert ids[0] == ids[1][:3]

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import CleanSource, Origin
from tasks.errors import DataError
from tasks.mixture.held_out import hold_out
from tasks.mixture.methods import How, check_kind, fitted, records
from tasks.mixture.rows import open_rows
from tasks.mixture.tokens import tokenise
from tasks.text.chat import IGNORED, load_tokenizer
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
    (made,) = records(tokenizer, row([*TALK, GOOD], rejected=BAD), How("dpo"))
    assert said(tokenizer, made["input_ids"], made["labels"]) == "It is 7<eos>"
    assert said(tokenizer, made["rejected_ids"], made["rejected_labels"]) == "No idea at all<eos>"
    assert "3<eos>" in tokenizer.decode(made["rejected_ids"])
    assert made["tokens"] == len(made["input_ids"]) + len(made["rejected_ids"])


def test_a_question_ends_where_the_answer_begins(tokenizer):
    (made,) = records(tokenizer, row(ASK, reference='"3"'), How("rft"))
    assert tokenizer.decode(made["input_ids"]).endswith("<|assistant|>\n")
    assert set(made["labels"]) == {IGNORED}
    assert made["reference"] == '"3"'


def test_in_continued_pre_training_every_token_carries_loss(tokenizer):
    (made,) = records(tokenizer, row([*ASK, GOOD]), How("cpt"))
    assert made["labels"] == made["input_ids"]


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
    assert fitted(long(10), 4, How("cpt", "drop"), "x") == []
    parts = fitted(long(10), 4, How("cpt", "split"), "x")
    assert [p["input_ids"] for p in parts] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [p["labels"][0] for p in parts] == [1, IGNORED, IGNORED]
    assert sum(p["supervised_tokens"] for p in parts) == 8
    with pytest.raises(DataError, match="10 tokens"):
        fitted(long(10), 4, How("cpt", "error"), "x")
    assert fitted(long(4), 4, How("cpt", "error"), "x") == [long(4)]


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
    whole = tokenise(source, tiny_model, 10_000, {}, How("cpt"))
    cut = tokenise(source, tiny_model, 20, {}, How("cpt", "split"))
    (split,) = [f for f in cut.filters if f.name == "split"]
    assert cut.tokens == whole.tokens
    assert cut.supervised_tokens == whole.supervised_tokens - (
        split.settings["parts"] - split.settings["rows_cut"]
    )
    assert (split.rows_in, split.rows_out) == (3, cut.rows)
    ids = open_rows(cut.path / "rows.arrow").take(pa.array(range(cut.rows)).to_numpy(), ["row_id"])
    assert len(set(ids["row_id"].to_pylist())) == cut.rows
    dropped = tokenise(source, tiny_model, 20, {}, How("cpt", "drop"))
    (lost,) = [f.settings for f in dropped.filters if f.name == "too_long"]
    assert dropped.left_out == {"too_long": 2}
    assert lost["tokens_lost"] == whole.tokens - dropped.tokens


def test_held_out_rows_are_the_same_whatever_else_there_is(tmp_path, temper_home, tiny_model):
    source = texts(tmp_path / "wiki", [2, 3, 4, 5, 6])
    made = hold_out([source], tiny_model, 64, How("cpt", "split"), 3)
    more = hold_out([source], tiny_model, 64, How("cpt", "split"), 5)
    ids = [pq.read_table(h.path / "rows.parquet")["row_id"].to_pylist() for h in (made, more)]
    assert made.rows == {"general": 3}
    assert ids[0] == ids[1][:3]

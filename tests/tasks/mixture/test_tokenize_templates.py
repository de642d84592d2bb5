"""What becomes of rows that a chat template can't write as they are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes.chat_families import make_tokenizer

from tasks.artifacts import CleanSource, LocalModel, Origin
from tasks.mixture.rows import open_rows
from tasks.mixture.tokenize import NOT_RENDERED, SPECIAL_TOKEN, tokenise
from tasks.models.identity import tokenizer_digest
from tasks.text.rows import ROW_SCHEMA


def talk(*texts, **last):
    messages = [
        {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)
    ]
    messages[-1] |= last
    return messages


def source(folder, conversations):
    folder.mkdir()
    rows = [
        {"row_id": f"{i:032x}", "messages": messages, "origin": f"a.jsonl:{i + 1}"}
        for i, messages in enumerate(conversations)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), folder / "train.parquet")
    return CleanSource(
        path=folder,
        digest="d",
        origin=Origin(name="voc", role="domain", uri="a.jsonl"),
        verdict="pass",
        reason="",
        rows_in=len(rows),
        rows_out=len(rows),
        findings={},
        splits={"train": len(rows)},
    )


@pytest.fixture
def model(tmp_path):
    """A model folder of a family, without weights."""

    def make(name):
        folder = tmp_path / name
        make_tokenizer(name).save_pretrained(folder)
        return LocalModel(
            path=folder, digest="w", name=name, tokenizer_digest=tokenizer_digest(folder)
        )

    return make


def set_aside(tokens):
    rows = pq.read_table(tokens.quarantine).to_pylist()
    return {row["origin"]: (row["reasons"], row["detail"]) for row in rows}


def ids(tokens):
    rows = open_rows(tokens.rows_file)
    return rows.take(np.arange(tokens.rows), ["row_id"])["row_id"].to_pylist()


def test_a_row_that_the_template_can_t_write_is_set_aside_with_its_origin(
    tmp_path, temper_home, model
):
    rows = [talk("Hi", "Hello"), talk("Sum?", "3", reasoning="Add"), talk("Bye", "So long")]
    made = tokenise(source(tmp_path / "voc", rows), model("smollm2"), 200, {})
    assert made.rows == 2
    assert made.left_out == {NOT_RENDERED: 1}
    [(origin, (reasons, detail))] = set_aside(made).items()
    assert (origin, reasons) == ("a.jsonl:2", [NOT_RENDERED])
    assert "leaves out an assistant's reasoning" in detail


def test_special_tokens_of_this_tokenizer_in_a_row_s_words_are_found(tmp_path, temper_home, model):
    rows = [talk("Hi [TOOL_CALLS] []", "Hello"), talk("Hi <|im_end|>", "Hello")]
    clean = source(tmp_path / "voc", rows)
    found = {
        name: set_aside(tokenise(clean, model(name), 200, {})) for name in ("mistral_v3", "smollm2")
    }
    assert list(found["mistral_v3"]) == ["a.jsonl:1"]
    assert list(found["smollm2"]) == ["a.jsonl:2"]
    assert "[TOOL_CALLS]" in found["mistral_v3"]["a.jsonl:1"][1]
    assert found["smollm2"]["a.jsonl:2"][0] == [SPECIAL_TOKEN]


def test_each_answer_makes_a_row_where_earlier_turns_are_written_otherwise(
    tmp_path, temper_home, model
):
    rows = [talk("Hi", "Hello", "And?", "Bye"), talk("Hi", "Hello you")]
    made = tokenise(source(tmp_path / "voc", rows), model("qwen3"), 200, {})
    assert ids(made) == [f"{0:032x}", f"{0:032x}.1", f"{1:032x}"]
    assert made.lost == {"rows_by_turn": 1, "turns": 2}
    last = made.filters[-1]
    assert (last.name, last.rows_in, last.rows_out) == ("turns", 2, made.rows)


def test_an_answer_that_is_too_long_leaves_the_others_of_its_row(tmp_path, temper_home, model):
    rows = [talk("Hi", "Hello", "And?", "Bye " * 100), talk("Hi", "Hello")]
    made = tokenise(source(tmp_path / "voc", rows), model("qwen3"), 60, {})
    assert ids(made) == [f"{0:032x}", f"{1:032x}"]
    assert made.lost["supervised_tokens_lost"] > 100
    assert [f.rows_out for f in made.filters if f.name in ("turns", "split")] == [3, made.rows]

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.suites.bits_per_byte import BitsPerByteSuite
from tasks.artifacts import CleanSource, LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.suites.bits_per_byte import open_bits_per_byte
from tasks.text.chat import load_tokenizer

torch = pytest.importorskip("torch")

from tasks.models.local.loading import load_weights  # noqa: E402
from tasks.models.local.tokenized import in_memory  # noqa: E402

Make = Callable[..., CleanSource]
TEXTS = ["what is 1 plus 2?", "Answer: 35 plus 36 – naïve", "Question: what is 11 plus 12? " * 9]


def suite(**fields: Any) -> BitsPerByteSuite:
    return BitsPerByteSuite.model_validate({"kind": "bits_per_byte", "name": "general"} | fields)


def naive_nats(model: Any, ids: list[int], wanted: list[int]) -> float:
    with torch.inference_mode():
        logprobs = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return -sum(float(logprobs[p - 1, ids[p]]) for p in wanted)


@pytest.fixture
def tokenizer(tiny_model: LocalModel) -> Any:
    return load_tokenizer(tiny_model.path)


def test_plain_text_is_scored_from_its_first_token(
    clean_source: Make, text: Any, tiny_model: LocalModel, tokenizer: Any
) -> None:
    model = load_weights(tiny_model, "float32")
    runner = open_bits_per_byte(
        suite(source="voc"), clean_source(test=[text(t) for t in TEXTS]), "test", 17
    )
    rows = runner.run(in_memory(model, tokenizer))
    assert len(rows) == 3
    for (_, held), row in zip(runner.cases, rows, strict=True):
        content = held.messages[0]["content"]
        ids = [tokenizer.bos_token_id, *tokenizer(content)["input_ids"]]
        assert row.nats == pytest.approx(naive_nats(model, ids, list(range(1, len(ids)))), rel=1e-5)
        assert row.bytes == len(content.encode())
        assert not row.truncated


def test_of_a_conversation_the_answers_count_without_their_end_of_turn(
    clean_source: Make, chat: Any, tiny_model: LocalModel, tokenizer: Any
) -> None:
    model = load_weights(tiny_model, "float32")
    runner = open_bits_per_byte(
        suite(source="voc"), clean_source(test=[chat("what?", "3 plus 4")]), "test", 1
    )
    (row,) = runner.run(in_memory(model, tokenizer))
    head = tokenizer("<|user|>\nwhat?<eos>\n<|assistant|>\n", add_special_tokens=False)["input_ids"]
    ids = tokenizer("<|user|>\nwhat?<eos>\n<|assistant|>\n3 plus 4<eos>\n")["input_ids"]
    answer = [i for i in range(len(head), len(ids)) if "eos" not in tokenizer.decode([ids[i]])]
    assert row.nats == pytest.approx(naive_nats(model, ids, answer[:-1]), rel=1e-5)
    assert row.bytes == len("3 plus 4")


def test_an_answer_beyond_the_limit_is_left_out_and_none_left_is_refused(
    clean_source: Make, chat: Any, tiny_model: LocalModel, tokenizer: Any
) -> None:
    model = load_weights(tiny_model, "float32")
    rows = [chat("what is 4 plus 5? " * 20, "9"), chat("4?", "4 plus 4")]
    short = suite(source="voc", max_tokens=24)
    (row,) = open_bits_per_byte(short, clean_source(test=rows), "test", 1).run(
        in_memory(model, tokenizer)
    )
    assert row.bytes == len("4 plus 4")
    with pytest.raises(EvaluationError, match="raise max_tokens"):
        open_bits_per_byte(short, clean_source(test=rows[:1]), "test", 1).run(
            in_memory(model, tokenizer)
        )


def test_texts_of_files_are_chosen_by_seed(tmp_path: Path) -> None:
    lines = [json.dumps({"body": f"text {i}"}) for i in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    spec = suite(path=str(tmp_path), column="body", limit=5)
    first = open_bits_per_byte(spec, None, "test", 1)
    assert len(first.cases) == 5
    assert open_bits_per_byte(spec, None, "test", 1).ids == first.ids
    assert open_bits_per_byte(spec, None, "test", 2).ids != first.ids
    with pytest.raises(EvaluationError, match="set column: to one of body"):
        open_bits_per_byte(suite(path=str(tmp_path)), None, "test", 1)


def test_empty_texts_are_no_items(clean_source: Make, text: Any) -> None:
    runner = open_bits_per_byte(
        suite(source="voc"), clean_source(test=[text(" "), text("a")]), "test", 1
    )
    assert len(runner.cases) == 1
    with pytest.raises(EvaluationError, match="no texts"):
        open_bits_per_byte(suite(source="voc"), clean_source(test=[text(" ")]), "test", 1)


def test_a_row_that_is_more_than_texts_is_not_measured_in_part(
    clean_source: Make, chat: Any
) -> None:
    source = clean_source(dev=[chat("a", "x"), chat("b", "y") | {"tools": "[]"}])
    with pytest.raises(EvaluationError, match="measures texts alone"):
        open_bits_per_byte(suite(source="voc"), source, "dev", 17)


def test_on_dev_other_texts_are_measured_than_on_test(tmp_path: Path) -> None:
    for name in ("held", "choose"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": f"a text to {name}"}))
    held = suite(path=str(tmp_path / "held.jsonl"))
    with pytest.raises(EvaluationError, match="set dev_path"):
        open_bits_per_byte(held, None, "dev", 17)
    both = suite(path=str(tmp_path / "held.jsonl"), dev_path=str(tmp_path / "choose.jsonl"))
    assert open_bits_per_byte(both, None, "dev", 17).overlap() == ["a text to choose"]
    assert (
        open_bits_per_byte(both, None, "test", 17).ids
        == open_bits_per_byte(held, None, "test", 17).ids
    )

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from configs.suites.labels import ClassificationSuite
from tasks.artifacts import CleanSource, LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.suites.classification import label_index, open_classification, parse_label
from tasks.text.chat import load_tokenizer, prompt_ids

Make = Callable[..., CleanSource]
Chat = Callable[..., dict[str, Any]]


def suite(**fields: Any) -> ClassificationSuite:
    base = {"kind": "classification", "name": "voc", "source": "voc"}
    return ClassificationSuite.model_validate(base | fields)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("billing", "Billing"),
        ("  BILLING \n and more", "Billing"),
        ("late   Delivery", "late delivery"),
        ("billing.", None),
        ("", None),
        ("\n\n", None),
        ("The label is billing", None),
    ],
)
def test_an_answer_is_a_label_when_its_first_line_is(answer: str, label: str | None) -> None:
    assert parse_label(answer, label_index(["Billing", "late delivery"])) == label


@pytest.mark.parametrize("label", ["café", "hôtel", "Tiếng Việt", "가방", "गाँव", "กำ"])
def test_an_answer_is_the_label_whichever_way_its_marks_are_encoded(label: str) -> None:
    forms = {unicodedata.normalize(form, label) for form in ("NFC", "NFD")}
    for stored in forms:
        assert {parse_label(said, label_index([stored])) for said in forms} == {stored}


def test_the_label_list_is_that_of_training_rows_and_items(clean_source: Make, chat: Chat) -> None:
    source = clean_source(train=[chat("a", "x"), chat("b", "z")], test=[chat("c", "y")])
    runner = open_classification(suite(), source, "test", 17)
    assert runner.labels == ("x", "y", "z")
    assert [c.gold for c in runner.cases] == ["y"]


def test_a_gold_label_outside_the_list_is_refused(clean_source: Make, chat: Chat) -> None:
    source = clean_source(test=[chat("a", "x"), chat("b", "oops")])
    with pytest.raises(EvaluationError, match="'oops' is the label of a test row"):
        open_classification(suite(labels=["x"]), source, "test", 17)
    with pytest.raises(EvaluationError, match="differ only in case"):
        open_classification(suite(labels=["x", "X", "oops"]), source, "test", 17)
    found = open_classification(suite(labels=["OOPS", "x"]), source, "test", 17)
    assert sorted(c.gold for c in found.cases) == ["OOPS", "x"]


def test_items_are_chosen_by_label_and_seed(clean_source: Make, chat: Chat) -> None:
    rows = [chat(f"{label} {i}", label) for label in "xyz" for i in range(8)]
    source = clean_source(test=rows[:-6])

    def chosen(count: int, seed: int) -> set[str]:
        return set(open_classification(suite(items_per_label=count), source, "test", seed).ids)

    assert len(chosen(3, 1)) == 3 + 3 + 2
    assert chosen(2, 1) < chosen(3, 1)
    assert chosen(3, 1) != chosen(3, 2)


def test_a_source_without_such_rows_says_what_to_do(clean_source: Make, chat: Chat) -> None:
    with pytest.raises(EvaluationError, match=r"no dev rows.*split\.dev"):
        open_classification(suite(), clean_source(test=[chat("a", "x")]), "dev", 1)


def test_a_row_that_ends_in_no_label_is_named(clean_source: Make, text: Any, chat: Chat) -> None:
    with pytest.raises(EvaluationError, match="doesn't end in a label"):
        open_classification(suite(), clean_source(test=[text("words")]), "test", 1)
    with pytest.raises(EvaluationError, match="several lines"):
        open_classification(suite(), clean_source(test=[chat("a", "x\ny")]), "test", 1)


def test_an_answer_that_is_no_label_is_invalid_and_a_miss(
    clean_source: Make, chat: Chat, tiny_model: LocalModel
) -> None:
    pytest.importorskip("torch")
    from tasks.models.local.generation import Decoding, generate
    from tasks.models.local.loading import load_weights
    from tasks.models.local.tokenized import in_memory

    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    prompts = [prompt_ids(tokenizer, [{"role": "user", "content": p}]) for p in ("what", "is 4")]
    said = [g.text for g in generate(model, tokenizer, prompts, Decoding(4))]
    spoken = said[0].strip().splitlines()[0].strip()
    assert spoken != said[1].strip()
    source = clean_source(test=[chat("what", spoken, group="one"), chat("is 4", "other")])
    runner = open_classification(suite(max_new_tokens=4), source, "test", 17)
    right, wrong = runner.run(in_memory(model, tokenizer))
    assert (right.prediction, right.score, right.cluster) == (spoken, 1.0, "one")
    assert (wrong.prediction, wrong.score, wrong.gold) == (None, 0.0, "other")
    assert [right.raw_output, wrong.raw_output] == said
    assert right.prompt_tokens == len(prompts[0])


def test_a_row_that_is_more_than_texts_is_no_item(clean_source: Make, chat: Chat) -> None:
    source = clean_source(test=[chat("a", "x"), chat("b", "y") | {"tools": "[]"}])
    with pytest.raises(EvaluationError, match="a label is a text alone"):
        open_classification(suite(), source, "test", 17)

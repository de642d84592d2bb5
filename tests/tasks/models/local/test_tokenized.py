from typing import Any

import pytest

from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError
from tasks.models.api import Choice, Prompt
from tasks.models.local.tokenized import Tokenized, answer_ids, option_spans, wanted
from tasks.text.chat import load_tokenizer, prompt_ids


class Seeing(Tokenized):
    """As much as is needed to fit prompts."""

    def generate_batches(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


def test_a_prompt_is_cut_on_its_left_so_that_the_answer_fits() -> None:
    engine = Seeing(None, positions=8)  # type: ignore[arg-type]
    assert engine.fitted([1, 2, 3, 4, 5], 4) == ([2, 3, 4, 5], True)
    assert engine.fitted([1, 2, 3, 4], 4) == ([1, 2, 3, 4], False)
    assert engine.fitted([1, 2], 7) == ([2], True)
    assert Seeing(None).fitted([1] * 50, 4000) == ([1] * 50, False)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [8, 9, 1280])
def test_an_answer_that_leaves_no_room_is_refused(most: int) -> None:
    engine = Seeing(None, positions=8)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="leaves no room for a prompt: the model sees 8") as e:
        engine.fitted([1, 2], most)
    assert "lower max_new_tokens" in e.value.fix


LONG = "Question: what is 11 plus 12? " * 9
ASKED = [{"role": "user", "content": "what is 1 plus 2?"}]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: LocalModel) -> Any:
    return load_tokenizer(tiny_model.path)


def test_a_long_text_is_cut_and_its_bytes_with_it(tokenizer: Any) -> None:
    whole = wanted(tokenizer, [{"role": "text", "content": LONG}], 512)
    cut = wanted(tokenizer, [{"role": "text", "content": LONG}], 10)
    assert not whole.truncated
    assert cut.truncated
    assert cut.bytes == len(tokenizer.decode(cut.span.ids[1:]).encode()) < whole.bytes
    assert len(cut.span.ids) == 11


def test_a_conversation_is_rendered_and_a_text_is_continued_as_it_is(tokenizer: Any) -> None:
    assert answer_ids(tokenizer, Prompt(ASKED)) == prompt_ids(tokenizer, ASKED)
    text = [{"role": "text", "content": "what is 1 plus"}]
    assert answer_ids(tokenizer, Prompt(text)) == tokenizer("what is 1 plus")["input_ids"]


def test_options_after_a_conversation_begin_where_the_assistant_does(tokenizer: Any) -> None:
    head = prompt_ids(tokenizer, ASKED)
    spans = option_spans(tokenizer, Choice(ASKED, ("A", "35 plus")))
    for span, option in zip(spans, ("A", "35 plus"), strict=True):
        assert span.ids[: span.at[0]] == head
        assert tokenizer.decode([span.ids[i] for i in span.at]) == option


def test_the_end_of_a_conversation_that_an_option_swallows_counts_with_it(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages[0]['content'] }} what is"
    alone, whole = (
        tokenizer(f"3 what is{o}", add_special_tokens=False)["input_ids"] for o in ("", " 3")
    )
    (span,) = option_spans(tokenizer, Choice([{"role": "user", "content": "3"}], (" 3",)))
    assert span.ids == whole
    assert span.at[0] <= len(alone)
    assert span.at[-1] == len(whole) - 1

import pytest

from tasks.errors import DataError
from tasks.text.chat import IGNORED, load_tokenizer, prompt_ids, render

TALK = [
    {"role": "user", "content": "what is 1 plus 2?"},
    {"role": "assistant", "content": "It is 3."},
    {"role": "user", "content": "and plus 1?"},
    {"role": "assistant", "content": "4"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return load_tokenizer(tiny_model.path)


def supervised(tokenizer, messages):
    done = render(tokenizer, messages)
    return tokenizer.decode([i for i, label in zip(*done, strict=True) if label != IGNORED])


def test_only_assistant_turns_and_their_end_carry_loss(tokenizer):
    assert supervised(tokenizer, TALK) == "It is 3.<eos>4<eos>"


def test_labels_equal_the_ids_where_there_is_loss(tokenizer):
    done = render(tokenizer, TALK)
    assert all(label in (IGNORED, token) for token, label in zip(*done, strict=True))


def test_what_is_trained_begins_where_the_prompt_ends(tokenizer):
    done = render(tokenizer, TALK[:2])
    prompt = prompt_ids(tokenizer, TALK[:1])
    assert done.input_ids[: len(prompt)] == prompt
    assert all(label == IGNORED for label in done.labels[: len(prompt)])
    assert done.labels[len(prompt)] != IGNORED


def test_plain_text_is_supervised_as_a_whole_and_ends(tokenizer):
    done = render(tokenizer, [{"role": "text", "content": "once upon a time"}])
    assert done.labels == done.input_ids
    assert done.input_ids[-1] == tokenizer.eos_token_id


def test_a_template_that_rewrites_history_is_refused(tiny_model):
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = (
        "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    with pytest.raises(DataError, match="rewrites earlier turns"):
        render(tokenizer, TALK)


def test_a_model_without_a_template_is_named(tiny_model):
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = None
    with pytest.raises(DataError, match="no chat template"):
        render(tokenizer, TALK)

import pytest

from tasks.errors import DataError
from tasks.text.chat import load_tokenizer, prompt_ids, render, render_rows
from tasks.text.masks import IGNORED

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


def test_plain_text_is_supervised_from_its_second_token_on_and_ends(tokenizer):
    done = render(tokenizer, [{"role": "text", "content": "once upon a time"}])
    assert done.labels == [IGNORED, *done.input_ids[1:]]
    assert done.input_ids[-1] == tokenizer.eos_token_id


def test_where_history_is_rewritten_each_answer_makes_a_row_after_its_own_prompt(tiny_model):
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = (
        "{{ (messages|length) // 2 }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
        "{{ eos_token if m.role == 'assistant' }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    rows = render_rows(tokenizer, TALK)
    assert len(rows) == 2
    for end, row in zip((1, 3), rows, strict=True):
        prompt = prompt_ids(tokenizer, TALK[:end])
        assert row.input_ids[: len(prompt)] == prompt
        answer = [label for label in row.labels if label != IGNORED]
        assert row.labels == [IGNORED] * len(prompt) + answer
        assert tokenizer.decode(answer) == f"{TALK[end]['content']}<eos>"


def test_a_model_without_a_template_is_named(tiny_model):
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = None
    with pytest.raises(DataError, match="no chat template"):
        render(tokenizer, TALK)


WEATHER = '[{"name":"weather","description":"x","parameters":{"type":"object","properties":{}}}]'
USE = [
    {"role": "user", "content": "what is it?"},
    {
        "role": "assistant",
        "content": "",
        "reasoning": None,
        "tool_call_id": None,
        "tool_calls": '[{"id":"c1","name":"weather","arguments":{"a":1}}]',
    },
    {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It is 3.", "reasoning": "so I answer"},
]
TOOLS = (
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
    "{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.reasoning_content is defined %}[{{ m.reasoning_content }}]{% endif %}{{ m.content }}"
    "{% if m.tool_calls is defined %}{% for c in m.tool_calls %}"
    "{{ c.function.name }}({{ c.function.arguments | tojson }}){% endfor %}{% endif %}"
    "{% if m.tool_call_id is defined %} of {{ m.tool_call_id }}{% endif %}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@pytest.fixture
def able(tiny_model):
    """The tiny tokenizer with a template that knows tools and reasoning."""
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = TOOLS
    return tokenizer


def test_tool_calls_carry_loss_and_results_do_not(able):
    done = render(able, USE, WEATHER)
    trained = able.decode([i for i, label in zip(*done, strict=True) if label != IGNORED])
    assert trained == 'weather({"a": 1})<eos>[so I answer]It is 3.<eos>'
    whole = able.decode(done.input_ids)
    assert whole.startswith('{"type": "function", "function": {"name": "weather"')
    assert "<|tool|>\nrain of c1<eos>" in whole


def test_a_prompt_offers_the_tools(able):
    text = able.decode(prompt_ids(able, USE[:1], WEATHER))
    assert text.startswith('{"type": "function"')
    assert text.endswith("<|assistant|>\n")


@pytest.mark.parametrize(
    ("messages", "tools", "missing"),
    [
        (USE[:1], WEATHER, "the tools"),
        (USE[:2], None, "tool calls"),
        ([USE[0], USE[3]], None, "reasoning"),
    ],
)
def test_what_a_template_leaves_out_is_an_error_and_not_lost(tokenizer, messages, tools, missing):
    with pytest.raises(DataError, match=f"leaves out .*{missing}"):
        render(tokenizer, messages, tools)


def test_turns_that_a_template_refuses_are_an_error(tiny_model):
    tokenizer = load_tokenizer(tiny_model.path)
    tokenizer.chat_template = "{{ raise_exception('only users speak') }}"
    with pytest.raises(DataError, match="refuses the row's turns: only users speak"):
        render(tokenizer, TALK)

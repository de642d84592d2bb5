import pytest
from fakes.chat_families import make_tokenizer

from tasks.text.answers import write_answer
from tasks.text.reasoning import has_unclosed_reasoning, split_reasoning, strip_reasoning
from tasks.text.template import open_template
from tasks.text.thoughts import ThoughtMarks, spell_answer, thought_marks

ASKED = {"role": "user", "content": "1 plus 2?"}
THINKING = ["gemma4", "gpt_oss", "qwen3", "qwen3_5", "deepseek_r1_distill"]


def answer_ids(tokenizer, **message):
    """What the template writes as the answer, as the model would give it."""
    message = {"role": "assistant", **message}
    text = write_answer(open_template(tokenizer), [ASKED, message], None).text
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_is_parted_from_the_answer_whatever_marks_it(name):
    tokenizer = make_tokenizer(name)
    text = spell_answer(
        tokenizer, answer_ids(tokenizer, content="It is 3.", reasoning="Add them up"), ended=True
    )
    assert split_reasoning(text) == ("Add them up", "It is 3.")


@pytest.mark.parametrize("name", [*THINKING, "smollm2"])
def test_an_answer_without_a_thought_says_itself(name):
    tokenizer = make_tokenizer(name)
    text = spell_answer(tokenizer, answer_ids(tokenizer, content="It is 3."), ended=True)
    assert strip_reasoning(text) == "It is 3."


@pytest.mark.parametrize("name", THINKING)
def test_an_answer_that_is_cut_in_its_thought_says_nothing(name):
    tokenizer = make_tokenizer(name)
    ids = answer_ids(
        tokenizer, content="It is 3.", reasoning="Add them up and see what comes of it"
    )
    marks = thought_marks(tokenizer)
    end = len(tokenizer(marks.opening, add_special_tokens=False)["input_ids"]) + 6
    text = spell_answer(tokenizer, ids[:end], ended=False)
    assert strip_reasoning(text) == ""
    assert has_unclosed_reasoning(text)


def test_marks_are_the_template_s():
    assert thought_marks(make_tokenizer("qwen3")) == ThoughtMarks(heading="<think>\n\n</think>")
    found = thought_marks(make_tokenizer("gpt_oss"))
    assert found.opening == "<|channel|>analysis<|message|>"
    assert found.heading == "<|channel|>final<|message|>"
    assert thought_marks(make_tokenizer("qwen3_5")).opened

import pytest

from tasks.text.reasoning import has_unclosed_reasoning, strip_reasoning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\n\n</think>\n\ncard_arrival", "card_arrival"),
        (" <think>a</think> <think>b</think>\nc ", "c "),
        ("so it is tea</think>\n\ntea", "tea"),
        ("<think>a <think> b</think>c", "c"),
        ("<think>\n\n</think>", ""),
        (" as it is \n", " as it is \n"),
        ("", ""),
        ("tea <think>or milk</think>", "tea <think>or milk</think>"),
        ("<think></think>" * 5000 + "x", "x"),
    ],
)
def test_thoughts_at_the_beginning_are_no_part_of_what_is_said(text: str, said: str) -> None:
    assert strip_reasoning(text) == said
    assert not has_unclosed_reasoning(text)


@pytest.mark.parametrize("text", ["<think>", "\n<think>tea or", "<think>a</think>\n<think>b"])
def test_a_thought_without_an_end_says_nothing(text: str) -> None:
    assert strip_reasoning(text) == ""
    assert has_unclosed_reasoning(text)

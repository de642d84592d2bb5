import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.self_data.rehearsal import cut_to_sentence, find_flaw


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ("One thing. Another thi", "One thing."),
        ('She said "no." Then', 'She said "no."'),
        ("Pi is 3.14 and e is 2.7", None),
        ("No end in sight", None),
        ("Do this:\n1. First step.\n2. Sec", "Do this:\n1. First step."),
        ("Do this:\n1. First step\n2.", "Do this:\n1. First step"),
        ("Here are some ideas:\n\n- ", None),
        ("A line\nand a half", "A line"),
        ("Use this:\n```python\nprint(1)\nprint(", None),
        ("Use a loop.\n```python\nfor i in", "Use a loop."),
        ("Run it.\n```\nls\n```\nThen wait. And", "Run it.\n```\nls\n```\nThen wait."),
        ("Wait… what is", "Wait…"),
    ],
)
def test_an_answer_that_was_cut_is_kept_to_its_last_whole_sentence_or_line(
    cut: str, kept: str | None
) -> None:
    assert cut_to_sentence(cut) == kept


def test_what_cannot_be_rehearsed_has_a_reason() -> None:
    assert find_flaw(" \n", truncated=False) == "the answer is empty"
    assert "before its first sentence" in (find_flaw("no end in sight", truncated=True) or "")
    assert find_flaw("no end in sight", truncated=False) is None
    assert find_flaw("An end. And", truncated=True) is None


@given(st.text(alphabet="ab .!?:\n`-1,", max_size=60))
def test_a_part_is_a_beginning_of_the_answer_that_leads_to_nothing(text: str) -> None:
    part = cut_to_sentence(text)
    if part is not None:
        assert text.strip().startswith(part)
        assert part
        assert not part.endswith((":", ","))
        assert part.count("```") % 2 == 0 or "````" in text

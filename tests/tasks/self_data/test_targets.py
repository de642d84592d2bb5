from configs.sources import REWRITE_TEMPLATE
from tasks.self_data.targets import (
    LABEL,
    NO_QUESTION,
    NO_WORDS,
    TOOLS,
    Target,
    build_prompt,
    find_targets,
)


def row(*turns, label=None, **more):
    messages = [dict(zip(("role", "content"), turn, strict=True)) for turn in turns]
    return {
        "row_id": "r",
        "messages": messages,
        "label": label,
        "group": None,
        "split": "train",
        "origin": "o",
        **more,
    }


TALK = row(
    ("system", "Be brief."),
    ("user", "Hi {answer}"),
    ("assistant", "Hello."),
    ("user", "What is due?"),
    ("assistant", "Ten pounds."),
)


def test_every_assistant_turn_is_a_target_of_its_own():
    found = find_targets([TALK, TALK], frozenset())
    assert [(t.row, t.turn, t.text) for t in found] == [
        (0, 2, "Hello."),
        (0, 4, "Ten pounds."),
        (1, 2, "Hello."),
        (1, 4, "Ten pounds."),
    ]
    assert {t.kept for t in found} == {None}


def test_the_base_is_asked_in_the_conversation_with_the_answer_to_go_by():
    first, last = find_targets([TALK], frozenset())
    prompt = build_prompt(TALK, last, "Q: {prompt} A: {answer} Now you.")
    assert [m["role"] for m in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[2]["content"] == "Hello."
    assert prompt.messages[3]["content"] == "Q: What is due? A: Ten pounds. Now you."
    # What stands in a prompt is no place of the template.
    assert (
        build_prompt(TALK, first, "{answer}|{prompt}").messages[-1]["content"]
        == "Hello.|Hi {answer}"
    )
    assert TALK["messages"][1]["content"] == "Hi {answer}"
    assert "Ten pounds." in build_prompt(TALK, last, REWRITE_TEMPLATE).messages[-1]["content"]


def test_labels_tools_and_answers_to_nobody_are_not_asked_for():
    rows = [
        row(("user", "Too dear"), ("assistant", "Price."), label="price"),
        row(("user", "Too dear"), ("assistant", "It is the price."), label="price"),
        row(("user", "Too dear"), ("assistant", "free text"), label="free text"),
        row(("user", "Sum?"), ("assistant", "3"), tools="[]"),
        row(("assistant", "Welcome.")),
        row(("user", "a"), ("assistant", "b"), ("assistant", "c")),
        row(("text", "Plain.")),
        row(("user", "Thanks"), ("assistant", "... !")),
    ]
    rows[5]["messages"][1]["reasoning"] = None
    found = find_targets(rows, frozenset({"price"}))
    assert [(t.row, t.label, t.kept) for t in found] == [
        (0, "price", LABEL),
        (1, "price", None),
        (2, None, None),
        (3, None, TOOLS),
        (4, None, NO_QUESTION),
        (5, None, None),
        (5, None, NO_QUESTION),
        (7, None, NO_WORDS),
    ]
    rows[5]["messages"][1]["reasoning"] = "hm"
    assert find_targets(rows[5:6], ())[0].kept == TOOLS
    assert isinstance(found[0], Target)

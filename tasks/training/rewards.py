"""Reward functions for sampled answers: shipped ones, and the user's own.

A reward function takes an answer and what is known of its row and returns a number; higher is
better. One of the user's own is named ``module:function`` and has the same signature::

    def polite(answer: str, reference: object, row: Mapping[str, object]) -> float: ...
"""

import importlib
import importlib.util
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.training import Reward, Training
from tasks.errors import TrainingError
from tasks.text.normal import fold

OWN = "rewards"
"""The part of a job that holds the user's own modules, where it runs elsewhere."""
SAMPLED = 64
"""Rows that a reward function is tried on before anything is computed."""
Function = Callable[[str, Any, Mapping[str, Any]], float]
"""Answer, reference (as JSON gave it) and row -> reward."""


def exact_match(answer: str, reference: Any, row: Mapping[str, Any]) -> float:
    """Return 1 where the answer is the reference, but for case and spaces at the ends or doubled.

    Of a reference that is an object, its ``answer``, ``reference_answer`` or ``label`` counts.
    """
    return float(fold(answer) == fold(_text(reference)))


def label_match(answer: str, reference: Any, row: Mapping[str, Any]) -> float:
    """Return 1 where the reference is the only label that stands in the answer, else 0.

    ``row["labels"]`` are the labels there are: the references of all rows. A label inside a longer
    one that stands there too ("card" in "card payment") doesn't count.
    """
    gold, said = fold(_text(reference)), fold(answer)
    found = {label for label in row.get("labels") or [gold] if label in said}
    longest = {x for x in found if not any(x != y and x in y for y in found)}
    return float(longest == {gold})


def json_valid(answer: str, reference: Any, row: Mapping[str, Any]) -> float:
    """Return 1 for JSON with every key that the reference has at its top, half for other JSON."""
    try:
        value = json.loads(_unfenced(answer))
    except json.JSONDecodeError:
        return 0.0
    wanted = set(reference) if isinstance(reference, Mapping) else set()
    return 1.0 if not wanted or (isinstance(value, dict) and wanted <= set(value)) else 0.5


def length_under(limit: int) -> Function:
    """Return the reward of an answer's length: 1 up to ``limit`` characters, 0 from twice that."""

    def length(answer: str, reference: Any, row: Mapping[str, Any]) -> float:
        return min(1.0, max(0.0, 2.0 - len(answer) / limit))

    return length


SHIPPED: dict[str, Function] = {
    "exact_match": exact_match,
    "label_match": label_match,
    "json_valid": json_valid,
}


def open_reward(reward: Reward) -> Function:
    """Return the reward function of that name.

    Raises:
        TrainingError: It is the user's own, and can't be imported.
    """
    if reward.name == "length":
        return length_under(reward.limit)
    if reward.name in SHIPPED:
        return SHIPPED[reward.name]
    module, _, name = reward.name.partition(":")
    try:
        found: Function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(
            f"the reward {reward.name} can't be imported: {error}.",
            where="training.rft.functions",
            fix="give a module on PYTHONPATH and a function in it, as module:function.",
        ) from error
    return found


def own_modules(training: Training) -> dict[str, Path]:
    """Return the files of the user's own rewards, by their path below where they are imported from.

    Nothing where the method needs none. A module is one file; a package is all its Python files.

    Raises:
        TrainingError: A module can't be found.
    """
    found: dict[str, Path] = {}
    for reward in training.rft.functions if training.method == "rft" else ():
        module, own, _ = reward.name.partition(":")
        if own:
            found |= _files_of(reward, module.partition(".")[0])
    return found


def importable(folder: Path) -> dict[str, str]:
    """Return the environment in which modules below a folder can be imported, besides the rest."""
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([known] if known else [])])}


def _files_of(reward: Reward, top: str) -> dict[str, Path]:
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise TrainingError(
            f"the reward {reward.name} can't be imported: there is no module {top}.",
            where="training.rft.functions",
            fix="put its folder on PYTHONPATH.",
        )
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return {origin.name: origin}
    return {f"{top}/{p.relative_to(origin.parent)}": p for p in sorted(origin.parent.rglob("*.py"))}


def verify_all(
    rewards: Sequence[Reward], references: Sequence[Any], row_ids: Sequence[str]
) -> None:
    """Try reward functions on sample rows; raise where one fails or can teach nothing.

    Args:
        rewards: Which.
        references: Of all rows, as JSON gave them.
        row_ids: Of all rows.
    """
    labels = labels_of(references)
    sample = [
        {"row_id": str(row_ids[i]), "reference": references[i], "labels": labels}
        for i in range(0, len(references), max(len(references) // SAMPLED, 1))
    ]
    for reward in rewards:
        verify(reward, sample)


def verify(reward: Reward, rows: Sequence[Mapping[str, Any]]) -> None:
    """Call a reward on sample rows, with an empty answer, a wrong one and the reference.

    Raises:
        TrainingError: It raises, or gives something else than a finite number, or gives the same
            for every answer where there are rows with references: nothing could be learnt from it.
    """
    function = open_reward(reward)
    given = [(answer, row) for row in rows for answer in _samples(row)]
    values = [_value(function, reward.name, answer, row) for answer, row in given]
    told = any(row["reference"] is not None for row in rows)
    if told and reward.name in SHIPPED and reward.name != "json_valid" and len(set(values)) == 1:
        raise TrainingError(
            f"the reward {reward.name} gives {values[0]:g} whatever the answer is.",
            where="training.rft.functions",
            fix="look at the rows' references: it compares answers with them.",
        )


def reward_of(function: Function, name: str, answer: str, row: Mapping[str, Any]) -> float:
    """Return the reward of an answer.

    Raises:
        TrainingError: The function raises, or gives something else than a finite number.
    """
    return _value(function, name, answer, row)


def _value(function: Function, name: str, answer: str, row: Mapping[str, Any]) -> float:
    try:
        value = function(answer, row["reference"], row)
    except Exception as error:
        raise TrainingError(
            f"the reward {name} failed on a row: {type(error).__name__}: {error}.",
            where=f"row {row.get('row_id', '')}",
            fix="mend the function; it gets answer, reference and row.",
        ) from error
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    raise TrainingError(
        f"the reward {name} gave {value!r}, not a finite number.",
        where=f"row {row.get('row_id', '')}",
        fix="return a float.",
    )


def _samples(row: Mapping[str, Any]) -> list[str]:
    return ["", "no such answer, by any reference", _text(row["reference"])]


def _text(reference: Any) -> str:
    if isinstance(reference, Mapping):
        named = (reference.get(key) for key in ("answer", "reference_answer", "label"))
        found = next((value for value in named if value is not None), None)
        return json.dumps(reference, ensure_ascii=False) if found is None else _text(found)
    if reference is None:
        return ""
    return reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def labels_of(references: Sequence[Any]) -> list[str]:
    """Return the labels that references name, as ``label_match`` compares them."""
    return sorted({fold(_text(reference)) for reference in references} - {""})


def _unfenced(text: str) -> str:
    """Return what stands inside a Markdown code fence, where the answer is one."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text.split("\n", 1)[1].removesuffix("```").strip()
    return text

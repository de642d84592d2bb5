"""Items that two models answer differently, to be read by a person."""

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from tasks.gating.pairing import Pair

SHOWN = 400
"""Characters of an output that are kept."""


class Answer(BaseModel):
    """What one model said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str | None
    output: str | None
    score: float | None


class Flip(BaseModel):
    """An item that one model has right and the other wrong.

    Attributes:
        lost: Whether the first has it right; otherwise the second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    item_id: str
    form: str
    gold: str | None
    lost: bool
    first: Answer
    second: Answer


def flips(suite: str, both: Pair, most: int) -> list[Flip]:
    """Return up to ``most`` items lost and as many gained, in the order of item ids.

    An item's ``score`` of 1 is right, of 0 wrong; other scores are no flips.
    """
    columns = ["item_id", "form", "gold", "gold_index", "prediction", "raw_output", "score"]
    before, after = (
        {(r["form"], r["item_id"]): r for r in pq.read_table(s.items, columns=columns).to_pylist()}
        for s in (both.first, both.second)
    )
    found = []
    for lost, scores in ((True, (1.0, 0.0)), (False, (0.0, 1.0))):
        keys = sorted(k for k in before if (before[k]["score"], after[k]["score"]) == scores)
        found += [_flip(suite, lost, before[k], after[k]) for k in keys[:most]]
    return found


def _flip(suite: str, lost: bool, before: dict[str, object], after: dict[str, object]) -> Flip:
    gold = before["gold"] if before["gold"] is not None else before["gold_index"]
    return Flip(
        suite=suite,
        item_id=str(before["item_id"]),
        form=str(before["form"]),
        lost=lost,
        gold=None if gold is None else str(gold),
        first=_answer(before),
        second=_answer(after),
    )


def _answer(row: dict[str, object]) -> Answer:
    output = row["raw_output"]
    return Answer.model_validate(
        {
            "prediction": row["prediction"],
            "score": row["score"],
            "output": None if output is None else str(output)[:SHOWN],
        }
    )

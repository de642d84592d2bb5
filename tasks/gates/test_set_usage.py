"""How often a family of recipes has looked at the same test items.

Dev items choose, test items confirm. Whoever tries candidate after candidate on the same test items
and keeps the best has chosen on them, and the gates' error no longer means what it says: with ten
tries of no effect at alpha 0.05, one passes 40 % of the time. Nothing forbids it; it is counted,
under ``TEMPER_HOME/looks/``, and shown beside the verdict.
"""

import heapq
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.metrics.estimates import read_items
from tasks.scores import SuiteScores
from tasks.storage import digest_of, home, write_text

KEPT = 64
"""Item ids kept of each look: those that come first in order, so that the same or a larger choice
of the same items keeps some of the same ids."""


class UsageRecord(BaseModel):
    """One candidate judged on a suite's test items.

    Attributes:
        family: See ``Recipe.family``.
        candidate: Digest of its weights; judging the same weights again teaches nothing new.
        run_id: The first run that judged it.
        first_items: The smallest of the item ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    suite: str
    candidate: str
    run_id: str
    first_items: tuple[str, ...]


def record_look(family: str, scores: SuiteScores, run_id: str) -> int:
    """Note that a candidate was judged on a suite's test items.

    Returns:
        Candidates of the family that were judged on any of these items so far, this one included.
        Items are known by their content, whatever the suite is called and however they are put.
    """
    first = tuple(heapq.nsmallest(KEPT, set(read_items(scores.items)["item_id"].to_pylist())))
    new = UsageRecord(
        family=family,
        suite=scores.suite,
        candidate=scores.weights_digest,
        run_id=run_id,
        first_items=first,
    )
    folder = home("looks", digest_of(family)[:16])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest_of([new.candidate, first])[:32]}.json"
    if not path.exists():
        write_text(path, new.model_dump_json(indent=1))
    shared = [seen for seen in _looks(folder) if set(seen.first_items) & set(first)]
    return len({seen.candidate for seen in shared})


def _looks(folder: Path) -> list[UsageRecord]:
    return [
        UsageRecord.model_validate(json.loads(p.read_text())) for p in sorted(folder.glob("*.json"))
    ]

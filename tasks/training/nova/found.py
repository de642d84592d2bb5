"""Which of a cluster's jobs are attempts at one piece of work, and which of them is to be used."""

import re
from collections.abc import Collection, Mapping

from tasks.training.sagemaker.attempts import Described


def numbers(there: Collection[str], stem: str, known: Mapping[str, str]) -> dict[str, int]:
    """Return the attempt's number of every job that is one, by the cluster's name.

    A cluster may add to the name that was asked for, so a job is known by how its name begins;
    attempt 12 is not attempt 1 with something added.

    Args:
        there: Names of the cluster's jobs.
        stem: What stands before the number in the names that are asked for.
        known: Attempt -> name the cluster gave, as this machine remembers it.
    """
    remembered = {name: int(attempt) for attempt, name in known.items()}
    asked = re.compile(rf"{re.escape(stem)}(\d+)(?:\D.*)?")
    begun = {name: int(match[1]) for name in there if (match := asked.fullmatch(name))}
    return begun | {name: n for name, n in remembered.items() if name in there}


def best(there: Mapping[str, Described], numbered: Mapping[str, int]) -> str | None:
    """Return the attempt that is done, else the newest that still runs; None where all failed."""
    states = {name: there[name]["TrainingJobStatus"] for name in numbered}
    alive = [name for name, state in states.items() if state not in ("Failed", "Stopped")]
    order = sorted(alive, key=lambda n: (states[n] != "Completed", -numbered[n], n))
    return order[0] if order else None

"""A mixture made again from its lock, in a TEMPER_HOME of its own, and compared."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.loading import load_recipe
from configs.recipe import Recipe
from flows.prepare import prepare_mixture
from tasks.errors import DataError, StorageError
from tasks.storage import home

Lock = Mapping[str, Any]


class Reproduction(BaseModel):
    """What became of making a mixture again.

    Attributes:
        same: Whether every digest is the lock's.
        digest: Of the mixture made now.
        wanted: Of the mixture in the lock.
        changed: One line for each thing that differs, sources by name.
    """

    model_config = ConfigDict(frozen=True)

    same: bool
    digest: str
    wanted: str
    changed: tuple[str, ...]
    mixture: Path | None


def reproduce(path: Path) -> Reproduction:
    """Return how the mixture made again compares with its lock.

    It is made under ``TEMPER_HOME/reproductions``, from the sources as they are now, with nothing
    taken over from what was made before.

    Raises:
        StorageError: The file is no lock of a mixture.
        TemperError: A source can't be read any more; the error names it.
    """
    lock = _read_lock(path)
    if masked := lock.get("masked"):
        raise StorageError(
            f"the lock keeps no secrets, and its recipe has some at {', '.join(masked)}.",
            where=str(path),
            fix="make the mixture again with the recipe itself (temper mix), and compare digests.",
        )
    try:
        with _use_own_home(lock["mixture_digest"]):
            recipe = load_recipe(Recipe.model_validate(lock["recipe"]))
            made = prepare_mixture(recipe)
    except DataError as error:
        # What stops it is what has changed: a file that is gone, or rows that no longer suffice.
        return Reproduction(
            same=False,
            digest="",
            wanted=lock["mixture_digest"],
            changed=(error.paragraph(),),
            mixture=None,
        )
    changed = tuple(list_differences(lock, _read_lock(made.lock)))
    return Reproduction(
        same=made.digest == lock["mixture_digest"] and not changed,
        digest=made.digest,
        wanted=lock["mixture_digest"],
        changed=changed,
        mixture=made.path,
    )


def list_differences(old: Lock, new: Lock) -> Iterator[str]:
    """Yield what differs between two locks, the source first, then what follows from it."""
    now = {s["name"]: s for s in new["sources"]}
    for source in old["sources"]:
        name, other = source["name"], now[source["name"]]
        if other["clean_digest"] != source["clean_digest"]:
            yield (
                f"source '{name}' has changed: {source['rows_in']:,} rows then, "
                f"{other['rows_in']:,} now, from {source['uri']}."
            )
        elif other["digest"] != source["digest"]:
            yield f"source '{name}' is tokenised differently, from the same rows."
    for key, what in (
        ("tokenizer_digest", "the tokenizer"),
        ("code_digest", "Temper's own code"),
        ("plan_digest", "the plan"),
        ("mixture_digest", "the mixture"),
    ):
        if old[key] != new[key]:
            yield f"{what} has changed: {old[key][:12]} then, {new[key][:12]} now."


def _read_lock(path: Path) -> dict[str, Any]:
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        lock["recipe"]["sources"], lock["mixture_digest"]  # noqa: B018
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"this is no lock that a mixture can be made from ({type(error).__name__}: {error}).",
            where=str(path),
            fix="name the mixture.lock.json that `temper mix` wrote.",
        ) from error
    return dict(lock)


@contextmanager
def _use_own_home(digest: str) -> Iterator[None]:
    before = os.environ.get("TEMPER_HOME")
    os.environ["TEMPER_HOME"] = str(home("reproductions", f"{digest[:12]}-{os.getpid()}"))
    try:
        yield
    finally:
        if before is None:
            del os.environ["TEMPER_HOME"]
        else:
            os.environ["TEMPER_HOME"] = before

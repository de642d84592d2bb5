"""Sources to mixture, without training; and finding a mixture that a person names."""

import re
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from pydantic import ValidationError

from configs.loading import load_recipe
from configs.recipe import Recipe
from flows.pipeline import mix, prepare_data
from flows.runner import task_runner
from tasks.artifacts import MixtureReceipt
from tasks.errors import DataError
from tasks.export.formats import FormatName
from tasks.export.stage import Export, ExportRequest, export_mixture
from tasks.storage import MANIFEST, find, home, load


@flow(name="prepare", persist_result=True, task_runner=task_runner())
def prepare(recipe: Recipe | str) -> MixtureReceipt:
    """Ingest, check and mix a recipe's sources; rehearsal is generated if it has any."""
    return prepare_mixture(load_recipe(recipe))


def prepare_mixture(recipe: Recipe) -> MixtureReceipt:
    """Return a recipe's mixture; inside a flow the steps are Prefect tasks."""
    return mix(recipe, prepare_data(recipe))


def find_mixture(name: str, overrides: Sequence[str]) -> MixtureReceipt:
    """Return the mixture of that folder or digest; a recipe's is built if it isn't there yet.

    Args:
        name: A folder with a mixture, at least 8 hex digits that its digest begins with, a
            recipe's file or the name of a shipped one.
        overrides: ``a.b=c``, for a recipe.

    Raises:
        DataError: No mixture begins with that digest, or more than one.
        RecipeError: It is a recipe, and a wrong one.
    """
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        return _load_folder(folder.resolve())
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        return _find_digest(name)
    return prepare_mixture(load_recipe(name, overrides))


def export_named_mixture(
    name: str,
    overrides: Sequence[str],
    form: FormatName,
    out: Path,
    *,
    strict: bool,
    croissant: bool,
) -> Export:
    """Write a mixture's rows to a new folder, for other trainers.

    Args:
        name: As of ``find_mixture``.
        overrides: As of ``find_mixture``.
        form: Of the rows.
        out: The new folder.
        strict: Refuse when any row can't be held, instead of leaving it out.
        croissant: Also write Croissant metadata.
    """
    request = ExportRequest(form, out, strict, croissant)
    return export_mixture(find_mixture(name, overrides), request)


def _load_folder(folder: Path) -> MixtureReceipt:
    try:
        return load(folder, MixtureReceipt)
    except ValidationError as error:
        raise DataError(
            "the folder holds something else than a mixture.",
            where=str(folder),
            fix="name a folder that `temper mix` made.",
        ) from error


def _find_digest(digest: str) -> MixtureReceipt:
    folders = sorted(home("mixtures").glob(f"[!.]*/{MANIFEST}"))
    known = [m for f in folders if (m := find(f.parent, MixtureReceipt)) is not None]
    # Mixtures that differ in their shards alone have the same rows.
    found = {m.digest: m for m in known if m.digest.startswith(digest)}
    if len(found) != 1:
        listed = ", ".join(sorted({m.digest[:12] for m in known})) or "(there are none yet)"
        raise DataError(
            "there is no such mixture." if not found else "more than one mixture begins like that.",
            where=digest,
            fix=f"give one of: {listed}; or a recipe.",
        )
    return next(iter(found.values()))

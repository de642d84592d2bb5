"""Finding a mixture that a person names: by folder, by digest, or by its recipe."""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tasks.artifacts import MixtureReceipt
from tasks.errors import DataError
from tasks.storage import MANIFEST, find, home, load


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
    if (Path(name) / MANIFEST).is_file():
        return _in_folder(Path(name).resolve())
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        return _by_digest(name)
    from configs.loading import load_recipe
    from flows import data

    recipe = load_recipe(name, overrides)
    return data.mix(recipe, data.all_data(recipe))


def _in_folder(folder: Path) -> MixtureReceipt:
    try:
        return load(folder, MixtureReceipt)
    except ValidationError as error:
        raise DataError(
            "the folder holds something else than a mixture.",
            where=str(folder),
            fix="name a folder that `temper mix` made.",
        ) from error


def _by_digest(digest: str) -> MixtureReceipt:
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

"""Dividing a source's rows into train, dev and test, once, whatever order they come in."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.sources import Split
from tasks.text.keyed import keyed_rank, keyed_sample

Names = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


def assign(frame: pd.DataFrame, split: Split, key: int, *, by_label: bool) -> Names:
    """Return train, dev or test for every row.

    Rows that the source's own files put into a split stay there. The others are taken in units
    that must not be torn apart (a group, else the rows of one prompt; those that near-duplicates
    join are one), ranked by a keyed hash of the unit's name, so that neither order nor other rows'
    arrival reshuffles them. Where ``split.time`` is given they are ranked by their latest row
    instead: all training rows are older than every dev unit, and those than every test unit.

    Args:
        frame: Columns split, group, prompt_key, label; time where rows are divided by it; near
            (one value for rows that are near-duplicates) where that is asked for.
        split: Fractions; one whose path is given is not taken from the rows.
        key: Of the hash, from seed and source name.
        by_label: Give every label its share, and never take a label's last unit from training.
    """
    given = frame["split"].notna().to_numpy(dtype=bool)
    names = frame["split"].to_numpy(dtype=object).copy()
    free = frame[~given]
    unit = units(free)
    labels = free["label"].fillna("") if by_label else pd.Series("", index=free.index)
    strata = labels.groupby(unit).min()
    test = split.test if split.test_path is None and split.test_field is None else 0.0
    dev = split.dev if split.dev_path is None and split.dev_field is None else 0.0
    if split.time is not None:
        chosen = latest(free["time"].groupby(unit).agg(["max", "size"]), {"test": test, "dev": dev})
    else:
        chosen = _choose(strata, {"test": test, "dev": dev}, key)
    names[~given] = [chosen.get(name, "train") for name in unit]
    return names


def units(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return for each row the name of what must not be torn apart.

    Where rows that are near-duplicates have different names, all rows of these names are one unit
    and take the first name in alphabetical order.
    """
    own = frame["group"].where(frame["group"].notna(), frame["prompt_key"])
    if "near" not in frame:
        return own
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, names = pd.factorize(own, sort=True)
    near = pd.factorize(frame["near"])[0] + len(names)
    size = len(names) + (int(near.max()) + 1 - len(names) if len(near) else 0)
    joined = coo_array((np.ones(len(codes), dtype=bool), (codes, near)), shape=(size, size))
    component = connected_components(joined, directed=False)[1]
    # Names are sorted, so that the first code of a component is its first name.
    first = np.full(size, size)
    np.minimum.at(first, component, np.arange(size))
    return pd.Series(np.asarray(names)[first[component[codes]]], index=frame.index, dtype=own.dtype)


def latest(units: pd.DataFrame, fractions: Mapping[str, float]) -> dict[str, str]:
    """Return the latest units by the split they go to, the first split named taking the latest.

    Units of one time stay together: they go to a split as long as it has less than its fraction of
    the rows, but the earliest are left for training.

    Args:
        units: Index unit; columns max (time of its latest row) and size (rows).
        fractions: Split -> fraction of the rows.
    """
    times = units.groupby("max")["size"].sum().sort_index(ascending=False)
    total, place, chosen_of = int(times.sum()), 0, {}
    for name, fraction in fractions.items():
        count, taken = math.floor(fraction * total + 0.5), 0
        while taken < count and place < len(times) - 1:
            chosen_of[times.index[place]] = name
            taken += int(times.iloc[place])
            place += 1
    return {str(unit): chosen_of[time] for unit, time in units["max"].items() if time in chosen_of}


def apportion(sizes: Mapping[str, int], count: int, room: Mapping[str, int]) -> dict[str, int]:
    """Return how many of ``count`` each stratum gives, by the largest remainder (Hamilton).

    Args:
        sizes: Stratum -> units in it.
        count: Units wanted over all.
        room: Stratum -> the most it may give. What it can't give, the next remainders do.

    Returns:
        Stratum -> units, summing to ``count`` or, where there is less room, to all there is.
    """
    total = sum(sizes.values()) or 1
    given = {s: min(count * n // total, room[s]) for s, n in sizes.items()}
    order = sorted(sizes, key=lambda s: (-(count * sizes[s] % total), s))
    left = min(count, sum(room.values())) - sum(given.values())
    while left > 0:
        for stratum in order:
            if left and given[stratum] < room[stratum]:
                given[stratum] += 1
                left -= 1
    return given


def find_overlaps(frame: pd.DataFrame, names: Names) -> Flags:
    """Return the training rows whose prompt is a dev or test item's, and dev rows a test item's.

    Prompts are compared whole, in normal form (by the column near, where there is one): rows of
    one source share the wording of their instruction, so that common runs of words say nothing
    about a leak here.
    """
    prompts = frame["near"] if "near" in frame else frame["prompt_key"]
    in_test = prompts.isin(prompts[names == "test"]).to_numpy(dtype=bool)
    in_dev = prompts.isin(prompts[names == "dev"]).to_numpy(dtype=bool)
    leaked = ((names == "train") & (in_test | in_dev)) | ((names == "dev") & in_test)
    return np.asarray(leaked, dtype=bool)


def find_beyond_limit(
    row_ids: "pd.Series[str]", names: Names, limit: int | None, key: int
) -> Flags:
    """Return the training rows that a source's ``limit`` leaves out, chosen by keyed hash."""
    over = np.asarray(names == "train", dtype=bool)
    if limit is None:
        return np.zeros(len(over), dtype=bool)
    train = np.flatnonzero(over)
    over[train[keyed_sample(row_ids.iloc[train].tolist(), limit, key)]] = False
    return over


def _choose(strata: "pd.Series[str]", fractions: Mapping[str, float], key: int) -> dict[str, str]:
    units: dict[str, list[str]] = {}
    for unit, stratum in strata.items():
        units.setdefault(stratum, []).append(str(unit))
    for members in units.values():
        members.sort(key=lambda unit: (keyed_rank(key, unit), unit))
    sizes = {stratum: len(members) for stratum, members in units.items()}
    room = {stratum: size - 1 for stratum, size in sizes.items()}
    chosen: dict[str, str] = {}
    for name, fraction in fractions.items():
        count = math.floor(fraction * sum(sizes.values()) + 0.5)
        for stratum, number in apportion(sizes, count, room).items():
            taken = sizes[stratum] - 1 - room[stratum]
            chosen |= dict.fromkeys(units[stratum][taken : taken + number], name)
            room[stratum] -= number
    return chosen

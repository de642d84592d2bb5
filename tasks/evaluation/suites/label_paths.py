"""Labels with levels: "Delivery > Late > Courier" is a path, coarse to fine."""

from collections.abc import Iterable, Mapping, Sequence

from tasks.metrics.matching import JOINT, LabelPath, plain


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

"""Marks of one item whose answer is a list of labels, or of labelled spans."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.evaluation.paths import canonical, normal, path_of, shown
from tasks.evaluation.read_list import State, read_list
from tasks.metrics.matching import Labelled, LabelPath, Pair, pair


class Shape(NamedTuple):
    """How an object says its label.

    Attributes:
        keys: Keys of its levels, coarse to fine; or of the whole label.
        divider: What divides the levels where one key holds them all.
        span: Key of the text that the label is about, where there is one.
    """

    keys: tuple[str, ...] = ("label",)
    divider: str | None = None
    span: str | None = None


@dataclass(frozen=True)
class Marking:
    """By what an item is judged.

    Attributes:
        known: Normal form of every known path and beginning of one -> the list's spelling.
        levels: Levels of a full path.
        overlap: Token F1 from which on two spans match.
    """

    known: Mapping[LabelPath, LabelPath]
    levels: int
    overlap: float = 1.0


class Marked(NamedTuple):
    """An item after marking: what was said and meant, who is whose partner, how it was read."""

    said: list[Labelled]
    meant: list[Labelled]
    pairs: list[Pair]
    state: State


def claim(element: object, shape: Shape) -> Labelled:
    """Return what an element of the list says; an empty path where it says no label.

    A text stands for a label without a span. Levels after a missing one don't count.
    """
    if isinstance(element, str):
        return Labelled(path_of(element, shape.divider))
    if not isinstance(element, dict):
        return Labelled(())
    span = None if shape.span is None else _text(element.get(shape.span))
    if len(shape.keys) == 1:
        return Labelled(path_of(_text(element.get(shape.keys[0])), shape.divider), span)
    path: list[str] = []
    for key in shape.keys:
        level = " ".join(_text(element.get(key)).split())
        if not level:
            break
        path.append(level)
    return Labelled(tuple(path), span)


def claims(answer: str, shape: Shape) -> tuple[list[Labelled], State]:
    """Return what an answer says, and whether all of it could be read."""
    elements, state = read_list(answer)
    return [claim(element, shape) for element in elements], state


def mark(
    said: Sequence[Labelled], meant: Sequence[Labelled], marking: Marking, state: State = "whole"
) -> Marked:
    """Return an item with its best partnerships, every label in the list's spelling."""
    spelled = [one._replace(path=canonical(one.path, marking.known)) for one in said]
    pairs = pair(
        [_plain(one) for one in spelled],
        [_plain(one) for one in meant],
        marking.levels,
        marking.overlap,
    )
    return Marked(spelled, list(meant), pairs, state)


def marks(marked: Marked, marking: Marking) -> dict[str, float]:
    """Return an item's counts by name.

    ``said``, ``meant``, ``right`` (in full), ``right_e1`` ... (to that level), ``similarity``
    (summed over pairs), and 0 or 1 each: ``exact_match`` (all of it right and nothing more),
    ``off_list`` (a label outside the list), ``partial`` and ``broken`` (how it was read).
    """
    full = sum(p.right >= marking.levels for p in marked.pairs)
    deep = {
        f"right_e{k}": float(sum(p.right >= k for p in marked.pairs))
        for k in range(1, marking.levels + 1)
    }
    strange = any(normal(one.path) not in marking.known for one in marked.said)
    whole = len(marked.said) == len(marked.meant) == full and marked.state != "broken"
    return {
        "said": float(len(marked.said)),
        "meant": float(len(marked.meant)),
        "right": float(full),
        **deep,
        "similarity": sum(p.similarity for p in marked.pairs),
        "exact_match": float(whole),
        "off_list": float(strange),
        "partial": float(marked.state == "partial"),
        "broken": float(marked.state == "broken"),
    }


def stored_gold(meant: Sequence[Labelled]) -> str:
    """Return the golds as the per-item table holds them."""
    return json.dumps([_record(one) for one in meant], ensure_ascii=False)


def stored_said(marked: Marked, marking: Marking) -> str:
    """Return what was said as the per-item table holds it, each with its partner's place."""
    partner = {p.said: p for p in marked.pairs}
    records = []
    for place, one in enumerate(marked.said):
        found = partner.get(place)
        records.append(
            {
                **_record(one),
                "gold": found.meant if found else None,
                "right": found.right if found else 0,
                "whole": found is not None and found.right >= marking.levels,
            }
        )
    return json.dumps(records, ensure_ascii=False)


def _record(one: Labelled) -> dict[str, Any]:
    record: dict[str, Any] = {"label": shown(one.path)}
    return record if one.span is None else {**record, "span": one.span}


def _plain(one: Labelled) -> Labelled:
    return one._replace(path=normal(one.path))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""

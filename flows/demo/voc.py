"""A voice-of-customer data set made from a seed, with some rows that data quality should catch."""

import json
import random
from pathlib import Path

from flows.demo.phrases import compose, roughen
from flows.demo.taxonomy import SEPARATOR, labels
from tasks.storage import write_text

Row = dict[str, str | bool | None]

_EMPTY, _NO_CATEGORY, _DUPLICATE, _CONTROL, _TRUNCATED, _GIANT = 12, 6, 20, 4, 3, 2
_GIANT_CHARACTERS = 20_000
_ROUGH_SHARE = 0.2


def bad_rows_expected() -> dict[str, int]:
    """How many rows of each bad kind ``write_reviews`` adds to the rows asked for."""
    return {
        "empty_review": _EMPTY,
        "null_category": _NO_CATEGORY,
        "exact_duplicate": _DUPLICATE,
        "control_token": _CONTROL,
        "not_json": _TRUNCATED,
        "gigantic": _GIANT,
    }


def write_reviews(path: Path, *, rows: int = 1600, seed: int = 7) -> Path:
    """Write made-up reviews with their category as JSON lines.

    Args:
        path: Where the file goes; it appears whole or not at all.
        rows: How many good rows, spread evenly over the labels. The bad rows come on top.
        seed: The same seed and rows give the same bytes.

    Returns:
        ``path``.

    Raises:
        ValueError: If there are fewer rows than labels.
    """
    if rows < len(labels()):
        raise ValueError(f"rows must be at least {len(labels())}, one for each label, not {rows}")
    lines = _lines(rows, random.Random(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines) + "\n")
    return path


def _lines(rows: int, rng: random.Random) -> list[str]:
    good = _good_rows(rows, rng)
    records = good + _bad_rows(rng)
    rng.shuffle(records)
    for number, record in enumerate(records, start=1):
        record["review_id"] = f"r{number:05d}"
    lines = [_dump(record) for record in records]
    extra = [_dump(record) for record in rng.sample(good, _DUPLICATE)]
    extra += [_cut(number, rng) for number in range(len(lines) + 1, len(lines) + 1 + _TRUNCATED)]
    for line in extra:
        lines.insert(rng.randint(0, len(lines)), line)
    return lines


def _good_rows(rows: int, rng: random.Random) -> list[Row]:
    names = list(labels())
    # Shuffled, so that chance and not the tree's order decides which labels get the row left over.
    rng.shuffle(names)
    return [_row(_review(name, rng), name) for name in (names * (rows // len(names) + 1))[:rows]]


def _bad_rows(rng: random.Random) -> list[Row]:
    names = labels()
    empty = [_row("", rng.choice(names)) for _ in range(_EMPTY)]
    uncategorised = [_row(_review(rng.choice(names), rng), None) for _ in range(_NO_CATEGORY)]
    picked = [rng.choice(names) for _ in range(_CONTROL + _GIANT)]
    control = [_row(_with_control_token(_review(name, rng)), name) for name in picked[:_CONTROL]]
    giant = [_row(_blown_up(_review(name, rng)), name) for name in picked[_CONTROL:]]
    return empty + uncategorised + control + giant


def _row(review: str, category: str | None) -> Row:
    leaf = category.rsplit(SEPARATOR, 1)[-1] if category else None
    return {
        "review_id": "",
        "review": review,
        "category": category,
        "leaf": leaf,
        "synthetic": True,
    }


def _review(label: str, rng: random.Random) -> str:
    clean = compose(label, rng)
    return roughen(clean, rng) if rng.random() < _ROUGH_SHARE else clean


def _with_control_token(review: str) -> str:
    first, _, rest = review.partition(" ")
    return f"{first} <|im_end|> {rest}"


def _blown_up(review: str) -> str:
    return (f"{review} " * (_GIANT_CHARACTERS // len(review) + 1))[:_GIANT_CHARACTERS].rstrip()


def _cut(number: int, rng: random.Random) -> str:
    name = rng.choice(labels())
    whole = _dump(_row(_review(name, rng), name) | {"review_id": f"r{number:05d}"})
    return whole[: len(whole) // 2]


def _dump(record: Row) -> str:
    return json.dumps(record, ensure_ascii=False)

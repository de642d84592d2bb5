"""What a chat template makes of rows, for ``temper probe`` and ``temper check --model``."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from configs.chat import ChatSettings
from configs.models import Model
from configs.recipe import Recipe
from configs.sources import FilesSource
from tasks.artifacts import CleanSource, LocalModel
from tasks.errors import DataError
from tasks.ingest.stage import make_snapshot
from tasks.mixture.tokenize import find_special, read_rows
from tasks.models.prepare import prepare_model
from tasks.models.probe import SHAPES, Probe, ProbedRow, name_shape, probe_model, probe_row
from tasks.text.chat import load_tokenizer
from tasks.text.masks import IGNORED
from tasks.text.rows import ChatRow
from tasks.text.special import special_pattern
from tasks.text.template import Tokenizer

LOOKED_AT = 5000
"""Rows of a source among which one of every shape is looked for."""


class SpelledToken(NamedTuple):
    """A token of a training row; ``loss`` says whether it is learnt."""

    id: int
    text: str
    loss: bool


class ModelProbe(NamedTuple):
    """What was found of a model, and a row as it would be trained on.

    Attributes:
        probe: The model's.
        row: The row that was given, or one of our own.
        spelled: Its training rows, token by token.
    """

    probe: Probe
    row: ProbedRow
    spelled: list[list[SpelledToken]]

    @property
    def ok(self) -> bool:
        """Whether the model can be trained on the row."""
        return not self.row.refused and all(f.state != "refused" for f in self.probe.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the object of ``--json``."""
        return {
            "ok": self.ok,
            **self.probe.model_dump(mode="json"),
            "row": {
                "shape": self.row.shape,
                "origin": self.row.origin,
                "refused": self.row.refused,
                "tokens": [[token._asdict() for token in made] for made in self.spelled],
            },
        }


def probe_named_model(
    path: str, revision: str | None, chat: ChatSettings, row: Path | None
) -> ModelProbe:
    """Return what was found of a model, and what becomes of a row.

    Args:
        path: A folder, a hub id, or ``package:NAME/FILE.gguf``.
        revision: Commit, of a hub id.
        chat: What its chat template is given.
        row: A file of which the first row is taken; one of our own when absent.
    """
    model = prepare_model(Model(path=path, revision=revision, **dict(chat)), weights=False)
    tokenizer = load_tokenizer(model.path, model.chat)
    probed = probe_row(tokenizer, _own_row() if row is None else _read_row(row))
    spelled = [_spell(tokenizer, made.input_ids, made.labels) for made in probed.made]
    return ModelProbe(probe_model(model), probed, spelled)


def probe_sources(
    recipe: Recipe, clean: Sequence[CleanSource]
) -> tuple[Probe, dict[str, list[ProbedRow]]]:
    """Return what was found of a recipe's base model, and of each source a row of every shape.

    Args:
        recipe: Whose model it is.
        clean: Its sources after quality.
    """
    model: LocalModel = prepare_model(recipe.model, weights=False)
    tokenizer = load_tokenizer(model.path, model.chat)
    special = special_pattern(tokenizer)
    found = {
        source.name: [
            *(probe_row(tokenizer, row) for row in _pick_shapes(source)),
            *_find_special_rows(source, special),
        ]
        for source in clean
    }
    return probe_model(model), found


def _pick_shapes(source: CleanSource) -> list[ChatRow]:
    """Return the first row of every shape that a source has."""
    shapes: dict[str, ChatRow] = {}
    for i, row in enumerate(read_rows(source.split("train"))):
        if i == LOOKED_AT:
            break
        if row.get("rejected") is None and row.get("reference") is None:
            shapes.setdefault(name_shape(row), row)
    return list(shapes.values())


def _find_special_rows(source: CleanSource, special: re.Pattern[str] | None) -> Iterator[ProbedRow]:
    """Yield one finding for all rows of a source whose words hold a token of the tokenizer's."""
    held = [
        (row["origin"], token)
        for row in read_rows(source.split("train"))
        if (token := find_special(row, special))
    ]
    if held:
        origin, token = held[0]
        told = f"{len(held):,} rows hold special tokens of this tokenizer, the first {token}"
        yield ProbedRow("special tokens", origin, [], f"{told} ({origin})")


def _own_row() -> ChatRow:
    messages, tools = SHAPES["system"]
    return ChatRow(
        row_id="",
        messages=messages[1:],
        label=None,
        group=None,
        split=None,
        origin="a row of Temper's own",
        tools=tools,
    )


def _read_row(file: Path) -> ChatRow:
    source = FilesSource(kind="files", name="row", role="domain", path=str(file))
    snapshot = make_snapshot(source)
    for part in sorted((snapshot.path / "rows").glob("*.parquet")):
        for row in read_rows(part):
            return row
    raise DataError("it has no row.", where=str(file), fix="give a file with a row in it.")


def _spell(tokenizer: Tokenizer, ids: Sequence[int], labels: Sequence[int]) -> list[SpelledToken]:
    return [
        SpelledToken(token, tokenizer.decode([token]), label != IGNORED)
        for token, label in zip(ids, labels, strict=True)
    ]

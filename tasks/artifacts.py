"""Receipts: what one stage hands to the next. Small, frozen, JSON; never the data itself."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from configs.chat import ChatSettings
from configs.redaction import redact

SplitName = Literal["train", "dev", "test"]
Redacted = Annotated[str, AfterValidator(redact)]
"""A text that is kept without the secrets in it, such as the password of an address."""


class Receipt(BaseModel):
    """A finished artifact in a folder of TEMPER_HOME.

    Attributes:
        path: Absolute folder; its ``manifest.json`` holds this receipt.
        digest: Hex digest of the logical content (not of Parquet bytes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    path: Path
    digest: str


class LocalModel(Receipt):
    """A model folder (config, safetensors, tokenizer) on this machine.

    Attributes:
        digest: Of the weights.
        tokenizer_digest: Of tokenizer and chat template, and of what the template is given.
        chat: What the chat template is given beside the conversation.
    """

    name: str
    tokenizer_digest: str
    has_weights: bool = True
    chat: ChatSettings = ChatSettings()


class Origin(BaseModel):
    """Where the rows of a source come from, the same from the snapshot to the lock.

    Attributes:
        name: The source's, as the recipe has it.
        role: ``domain`` or ``general``.
        category: What the rows are of, where the recipe says it.
        licence: What they may be used under, where it is known.
        uri: The recipe's path, or what generated them (``rehearsal:<model>``).
        revision: Commit of the hub, or digest of the model that wrote them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: str
    category: Redacted | None = None
    licence: Redacted | None = None
    uri: Redacted
    revision: Redacted | None = None


class SourceReceipt(Receipt):
    """A receipt of one source's rows, whatever was done to them.

    Attributes:
        origin: Where they come from. It is no part of the digest: the same rows may come from
            elsewhere another time.
    """

    origin: Origin

    @property
    def name(self) -> str:
        """The source's name."""
        return self.origin.name

    @property
    def role(self) -> str:
        """``domain`` or ``general``."""
        return self.origin.role


class Snapshot(SourceReceipt):
    """A source as ingested: ``rows/*.parquet`` in the chat-row schema, and ``rejected.parquet``.

    ``formats`` says in a sentence which row format was taken and why, once for each way it was.
    """

    rows: int
    rejected: int
    formats: tuple[str, ...] = ()


class Filter(BaseModel):
    """One step in which rows may go, and what decided it.

    Attributes:
        name: ``quality``, ``duplicates``, ``held_out``, ``overlap:<suite>``, ``too_long``, ...
        rows_in: Rows before; the ``rows_out`` of the filter before.
        settings: What decides, as the recipe says it, and counts of what was found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rows_in: int
    rows_out: int
    settings: dict[str, Any] = {}


class CleanSource(SourceReceipt):
    """A source after quality: ``train.parquet``, ``dev.parquet``, ``test.parquet`` (chat rows),
    ``quarantine.parquet`` (rows with their reasons) and ``verdict.json``.

    Attributes:
        verdict: pass, quarantine (some rows set aside) or block.
        reason: Why it blocks; empty otherwise.
        rows_in: Rows read, rejected ones included.
        rows_out: Clean rows over all splits.
        findings: Rows found by each check.
        splits: Clean rows in each split.
        filters: What the rows went through since ingest, in order.
    """

    verdict: Literal["pass", "quarantine", "block"]
    reason: str
    rows_in: int
    rows_out: int
    findings: dict[str, int]
    splits: dict[SplitName, int]
    filters: tuple[Filter, ...] = ()

    def split(self, name: SplitName) -> Path:
        """Return the Parquet file of that split."""
        return self.path / f"{name}.parquet"

    @property
    def quarantine(self) -> Path | None:
        """The quarantined rows, where there are any."""
        return self.path / "quarantine.parquet" if self.rows_in > self.rows_out else None


class TokenizedSource(SourceReceipt):
    """Training rows rendered, tokenised and masked: ``rows.arrow``, and ``quarantine.parquet``
    (rows that may not or can't be trained on, with their reasons).

    Attributes:
        clean_digest: Digest of the CleanSource it was made from.
        rows: Rows that can be drawn.
        tokens: Tokens of those rows.
        supervised_tokens: Tokens of those rows that carry loss.
        left_out: Rows left out, by reason (``too_long``, ``overlap:<suite>``, ...).
        lost: What rows that are too long lost (``supervised_tokens_lost``, ...), and rows of which
            each answer makes a row (``rows_by_turn``); nothing that is zero.
        rows_in: Rows the source had before quality.
        findings: What quality found, by check.
        filters: What the rows went through from ingest to here, in order.
    """

    clean_digest: str
    rows_in: int
    findings: dict[str, int]
    rows: int
    tokens: int
    supervised_tokens: int
    left_out: dict[str, int]
    lost: dict[str, int] = {}
    filters: tuple[Filter, ...] = ()

    @property
    def rows_file(self) -> Path:
        """The rows that can be drawn."""
        return self.path / "rows.arrow"

    @property
    def quarantine(self) -> Path:
        """The rows left out, each with its reason."""
        return self.path / "quarantine.parquet"


class MixtureReceipt(Receipt):
    """A materialised plan: ``shard-*.parquet`` in plan order and ``mixture.lock.json``."""

    rows: int
    tokens: int
    supervised_tokens: int
    shards: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.path / "mixture.lock.json"


class HeldOut(Receipt):
    """Held-out rows to validate on while training: ``rows.parquet``, rendered and masked.

    Attributes:
        rows: Role -> rows.
    """

    rows: dict[str, int]


class Checkpoint(LocalModel):
    """Trained weights merged into the base (``adapter/`` beside them), and ``losses.jsonl``.

    Attributes:
        steps: Optimiser steps that were trained.
        best_step: The step whose weights these are, where validation chose it; else the last's.
        notes: How it was trained and saved, by what is told: the implementation of attention, the
            layout of documents and why not a quicker one, how far it is from the trained model.
    """

    parent: str
    steps: int
    adapter_digest: str
    best_step: int | None = None
    notes: dict[str, str] = {}


# What packing makes of a mixture, as the stages hand it on.


class OverlongLoss(BaseModel):
    """What the rows of one source that are longer than a pack lost by it.

    Attributes:
        rows: Rows left out whole (``drop``) or cut (``split``).
        tokens: Tokens of theirs that are in no pack.
        supervised_tokens: Tokens that would carry loss and don't.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    tokens: int
    supervised_tokens: int


class PackedMixture(Receipt):
    """A mixture as packs: ``shard-*.parquet``, several documents a row.

    Attributes:
        mixture_digest: Of the mixture it was made from.
        capacity: Tokens a pack holds.
        window: Plan positions that were packed together.
        packs: Rows of the shards.
        rows: Rows of the mixture that are in a pack.
        tokens: Tokens in packs.
        supervised_tokens: Those of them that carry loss.
        lost: Source -> what its overlong rows lost; only sources that have such rows.
    """

    mixture_digest: str
    capacity: int
    window: int
    overflow: Literal["drop", "split", "error"]
    packs: int
    rows: int
    tokens: int
    supervised_tokens: int
    shards: tuple[str, ...]
    sources: tuple[str, ...]
    lost: dict[str, OverlongLoss]

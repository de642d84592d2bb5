"""What packing makes of a mixture, as the stages hand it on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.artifacts import Receipt


class Lost(BaseModel):
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
    lost: dict[str, Lost]

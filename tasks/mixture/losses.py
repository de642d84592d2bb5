"""What tokenising left out of a source, in words; and when that is too much to go on."""

from collections.abc import Iterator

import pyarrow.parquet as pq

from tasks.artifacts import TokenizedSource
from tasks.errors import InsufficientData
from tasks.mixture.tokenize import NOT_RENDERED, SPECIAL_TOKEN

TOO_LONG = "too_long"
_FIXES = {
    NOT_RENDERED: "change the rows or the recipe's system message, or use another base model.",
    SPECIAL_TOKEN: "take the model's own tokens out of the texts.",
}


def describe_losses(tokens: TokenizedSource) -> Iterator[str]:
    """Yield what is to be known of a source before it is trained on."""
    left_out, lost = tokens.left_out, tokens.lost
    overlong = left_out.get(TOO_LONG, 0) + lost.get("rows_cut", 0)
    if overlong:
        share = lost_share(tokens)
        lose = f"they lose {share:.1%} of the supervised tokens"
        yield f"rows over sequence_length: {overlong:,}; {lose}"
    for reason in _FIXES:
        if left_out.get(reason):
            yield f"rows set aside ({reason}): {left_out[reason]:,}; {_quote_first(tokens, reason)}"
    if lost.get("rows_by_turn"):
        yield (
            f"rows of several answers: {lost['rows_by_turn']:,}; they make {lost['turns']:,}, one "
            "an answer, since the chat template writes earlier turns otherwise"
        )


def lost_share(tokens: TokenizedSource) -> float:
    """Return the share of a source's supervised tokens that rows over the length lost."""
    lost = tokens.lost.get("supervised_tokens_lost", 0)
    return lost / max(lost + tokens.supervised_tokens, 1)


def refuse_losses(tokens: TokenizedSource, length: int, most: float) -> None:
    """Raise where nothing is left of a source, or where long rows lose too much of it.

    Args:
        tokens: The source.
        length: Tokens of the longest row that is kept.
        most: Share of the supervised tokens that may be lost by it.

    Raises:
        InsufficientData: It is so; the error says by what, and what to change.
    """
    where = f"sources.{tokens.name}"
    overlong, share = tokens.left_out.get(TOO_LONG, 0), lost_share(tokens)
    longer = "raise training.sequence_length, or set training.overflow: split"
    if not tokens.rows and overlong == max(tokens.left_out.values(), default=0) > 0:
        raise InsufficientData(
            f"no row is left: {overlong:,} rows are over training.sequence_length, {length:,}.",
            where=where,
            fix=f"{longer}.",
        )
    for reason, fix in _FIXES.items():
        if not tokens.rows and tokens.left_out.get(reason):
            raise InsufficientData(
                f"no row is left: {tokens.left_out[reason]:,} rows were set aside, the first "
                f"because {_quote_first(tokens, reason)}",
                where=where,
                fix=fix,
            )
    if share > most:
        raise InsufficientData(
            f"rows over training.sequence_length ({length:,}) lose {share:.1%} of the supervised "
            f"tokens, over training.max_overlong_loss, {most:.1%}.",
            where=where,
            fix=f"{longer}, or raise training.max_overlong_loss.",
        )


def _quote_first(tokens: TokenizedSource, reason: str) -> str:
    """Return what was found in the first row that was set aside for a reason, and which it is."""
    rows = pq.read_table(tokens.quarantine, columns=["reasons", "detail", "origin"]).to_pylist()
    first = next(row for row in rows if reason in row["reasons"])
    return f"{first['detail']} ({first['origin']})"

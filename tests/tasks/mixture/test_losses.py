import pytest

from tasks.artifacts import Origin, TokenizedSource
from tasks.errors import InsufficientData
from tasks.mixture.losses import describe_losses, lost_share, refuse_losses
from tasks.mixture.tokenize import NOT_RENDERED, SPECIAL_TOKEN, Quarantine

ROW = {"row_id": "0" * 32, "messages": [], "origin": "voc.jsonl:7"}


def source(folder, rows=10, supervised=90, left_out=None, lost=None):
    """A tokenised source with a quarantine of one row a reason."""
    with Quarantine(folder / "quarantine.parquet") as quarantine:
        for reason in left_out or {}:
            quarantine.add(ROW, reason, f"what was found for {reason}.")
    return TokenizedSource(
        path=folder,
        digest="d",
        origin=Origin(name="voc", role="domain", uri="voc.jsonl"),
        clean_digest="c",
        rows_in=20,
        findings={},
        rows=rows,
        tokens=200,
        supervised_tokens=supervised,
        left_out=left_out or {},
        lost=lost or {},
    )


def test_what_long_rows_lose_is_a_share_of_all_supervised_tokens(tmp_path):
    tokens = source(tmp_path, left_out={"too_long": 3}, lost={"supervised_tokens_lost": 10})
    assert lost_share(tokens) == pytest.approx(0.1)
    assert list(describe_losses(tokens)) == [
        "rows over sequence_length: 3; they lose 10.0% of the supervised tokens"
    ]


def test_over_the_bound_the_source_is_refused_and_the_bound_named(tmp_path):
    tokens = source(tmp_path, left_out={"too_long": 3}, lost={"supervised_tokens_lost": 10})
    refuse_losses(tokens, 512, 0.1)
    with pytest.raises(InsufficientData, match=r"lose 10.0%.*max_overlong_loss, 5.0%"):
        refuse_losses(tokens, 512, 0.05)


def test_where_all_rows_are_too_long_the_length_is_named(tmp_path):
    tokens = source(tmp_path, rows=0, supervised=0, left_out={"too_long": 20, NOT_RENDERED: 1})
    with pytest.raises(InsufficientData, match="20 rows are over training.sequence_length, 512"):
        refuse_losses(tokens, 512, 1.0)


@pytest.mark.parametrize("reason", [NOT_RENDERED, SPECIAL_TOKEN])
def test_where_no_row_is_left_the_first_one_s_reason_and_origin_are_told(tmp_path, reason):
    tokens = source(tmp_path, rows=0, supervised=0, left_out={reason: 20})
    with pytest.raises(InsufficientData, match=rf"what was found for {reason}. \(voc.jsonl:7\)"):
        refuse_losses(tokens, 512, 1.0)
    assert next(describe_losses(tokens)).startswith(f"rows set aside ({reason}): 20")


def test_a_source_that_loses_nothing_has_nothing_told_of_it(tmp_path):
    tokens = source(tmp_path)
    refuse_losses(tokens, 512, 0.0)
    assert list(describe_losses(tokens)) == []

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import DataError
from tasks.mixture.packs import PACKS_PER_SHARD, pack
from tasks.mixture.shards import open_shards

CAPACITY = 20


def packs_in(packed: Any) -> list[dict[str, Any]]:
    tables = [pq.read_table(packed.path / name) for name in packed.shards]
    return list(pa.concat_tables(tables).to_pylist())


def test_the_packs_hold_each_row_of_the_mixture_with_its_source(make_mixture: Any) -> None:
    mixture = make_mixture(100)
    packed = pack(mixture, 23)
    found = {}
    for one in packs_in(packed):
        starts = [sum(one["seq_lengths"][:i]) for i in range(len(one["seq_lengths"]))]
        for start, length, source, position in zip(
            starts, one["seq_lengths"], one["source_ids"], one["positions"], strict=True
        ):
            tokens = one["input_ids"][start : start + length]
            found[position] = (mixture.sources[source], tokens, one["labels"][start])
    rows = open_shards(mixture).read(0, 100).to_pylist()
    assert found == {r["position"]: (r["source"], r["input_ids"], -100) for r in rows}
    assert (packed.rows, packed.tokens) == (100, mixture.tokens)
    assert packed.supervised_tokens == mixture.supervised_tokens
    assert packed.lost == {}


def test_what_is_dropped_is_reported_by_source_and_nothing_else_is_missing(
    make_mixture: Any,
) -> None:
    mixture = make_mixture(100)
    packed = pack(mixture, CAPACITY)
    long = [
        r for r in open_shards(mixture).read(0, 100).to_pylist() if len(r["input_ids"]) > CAPACITY
    ]
    assert {r["source"] for r in long} == set(packed.lost)
    for name, lost in packed.lost.items():
        own = [len(r["input_ids"]) for r in long if r["source"] == name]
        assert lost.rows == len(own)
        assert lost.tokens == sum(own)
        assert lost.supervised_tokens == sum(own) - len(own)
    assert packed.rows == 100 - len(long)
    assert packed.tokens == mixture.tokens - sum(x.tokens for x in packed.lost.values())
    assert packed.supervised_tokens == mixture.supervised_tokens - sum(
        x.supervised_tokens for x in packed.lost.values()
    )


def test_splitting_keeps_every_token_and_reports_the_labels_it_costs(make_mixture: Any) -> None:
    mixture = make_mixture(100)
    packed = pack(mixture, CAPACITY, "split")
    assert (packed.rows, packed.tokens) == (100, mixture.tokens)
    lost = sum(x.supervised_tokens for x in packed.lost.values())
    assert lost == sum(x.rows for x in packed.lost.values()) > 0
    assert packed.supervised_tokens == mixture.supervised_tokens - lost


def test_error_leaves_nothing_behind(make_mixture: Any) -> None:
    mixture = make_mixture(100)
    with pytest.raises(DataError, match="a pack holds 20"):
        pack(mixture, CAPACITY, "error")
    assert not list((mixture.path.parent / "home" / "packs").iterdir())


def test_packing_again_finds_the_packs_and_another_length_makes_others(make_mixture: Any) -> None:
    mixture = make_mixture(100)
    one, again, other = (pack(mixture, n) for n in (23, 23, 46))
    assert one == again
    assert one.digest != other.digest
    assert one.packs > other.packs


def test_how_the_mixture_is_sharded_changes_no_pack(make_mixture: Any) -> None:
    one, two = (pack(make_mixture(100, n), 23, window=32) for n in (16, 40))
    assert packs_in(one) == packs_in(two)


def test_shards_are_equal_but_for_the_last_so_that_a_pack_is_found_by_its_number(
    make_mixture: Any,
) -> None:
    packed = pack(make_mixture(2000, 500), 23)
    assert packed.packs > PACKS_PER_SHARD
    sizes = [pq.read_metadata(packed.path / name).num_rows for name in packed.shards]
    assert sizes == [PACKS_PER_SHARD, packed.packs - PACKS_PER_SHARD]
    last = open_shards(packed).read_row(packed.packs - 1)
    assert last["positions"].tolist() == packs_in(packed)[-1]["positions"]

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.mixture import Mixture, MixtureSize
from tasks.artifacts import CleanSource, Filter, Origin
from tasks.errors import DataError, InsufficientData
from tasks.mixture import stage
from tasks.mixture.rows import open_rows
from tasks.mixture.shares import Supply
from tasks.mixture.stage import close_build, mix, split_blocks, write_block
from tasks.mixture.table import plan_table
from tasks.mixture.tokenize import tokenise
from tasks.text.overlap import RULES
from tasks.text.rows import ROW_SCHEMA, row_id


def clean_source(folder, name, role, rows):
    folder = folder / name
    folder.mkdir(parents=True)
    records = []
    for i in range(rows):
        messages = [
            {"role": "user", "content": f"what is {i} plus {len(name)}?"},
            {"role": "assistant", "content": "It is " + "3 " * (1 + i % 5)},
        ]
        records.append({"row_id": row_id(messages), "messages": messages})
    pq.write_table(pa.Table.from_pylist(records, schema=ROW_SCHEMA), folder / "train.parquet")
    return CleanSource(
        path=folder,
        digest=f"{name}-{rows}",
        origin=Origin(name=name, role=role, uri=f"{name}.jsonl", licence="CC0"),
        verdict="pass",
        reason="",
        rows_in=rows,
        rows_out=rows,
        findings={},
        splits={"train": rows},
    )


@pytest.fixture
def tokens(temper_home, tmp_path, tiny_model):
    made = [
        clean_source(tmp_path, "voc", "domain", 60),
        clean_source(tmp_path, "chat", "general", 90),
    ]
    return [tokenise(c, tiny_model, 128, {}) for c in made]


def mixture(**fields):
    return Mixture(**{"size": MixtureSize(domain_epochs=1), "domain_share": 0.5, **fields})


def supplies(section, tokens):
    return [Supply(t.name, t.role, 1.0, getattr(t, section.unit), t) for t in tokens]


def build(section, model, tokens, seed=17):
    opened = mix(section, supplies(section, tokens), seed)
    for block in split_blocks(opened, workers=1):
        write_block(block)
    return close_build(opened, model, {})


@pytest.mark.parametrize("unit", ["rows", "tokens", "supervised_tokens"])
def test_the_shares_got_are_the_shares_asked_in_the_mixtures_unit(tokens, unit):
    section = mixture(unit=unit)
    table = plan_table(section, supplies(section, tokens), 17, {})
    for line in table.sources:
        longest = 40 if unit != "rows" else 1
        assert abs(getattr(line.share_got, unit) - line.share) <= longest / table.total


def test_the_shards_hold_the_plan_in_order_with_rows_of_every_source(tokens, tiny_model):
    made = build(mixture(rows_per_shard=50), tiny_model, tokens)
    rows = pa.concat_tables([pq.read_table(made.path / s) for s in made.shards]).to_pylist()
    assert [r["position"] for r in rows] == list(range(made.rows))
    assert len(made.shards) == -(-made.rows // 50)
    assert {r["source"] for r in rows} == {"voc", "chat"}
    assert sum(len(r["input_ids"]) for r in rows) == made.tokens
    assert len({r["row_id"] for r in rows if r["source"] == "voc"}) == 60


def test_the_digest_is_of_rows_not_of_shards(tokens, tiny_model):
    small, large = (build(mixture(rows_per_shard=n), tiny_model, tokens) for n in (7, 1000))
    assert small.digest == large.digest
    assert small.path != large.path


def test_another_seed_is_another_mixture(tokens, tiny_model):
    one, two = (build(mixture(), tiny_model, tokens, seed) for seed in (17, 18))
    assert one.digest != two.digest


def test_the_lock_says_what_went_in(tokens, tiny_model):
    made = build(mixture(), tiny_model, tokens)
    lock = json.loads(made.lock.read_text())
    assert lock["mixture_digest"] == made.digest
    assert lock["tokenizer_digest"] == tiny_model.tokenizer_digest
    voc = next(s for s in lock["sources"] if s["name"] == "voc")
    assert {"uri", "licence", "digest", "weight", "share", "share_got", "epochs"} <= voc.keys()


def test_where_a_source_is_from_stands_in_the_lock_field_by_field(
    tmp_path, temper_home, tiny_model
):
    origin = Origin(
        name="voc",
        role="domain",
        category="chat",
        licence="CC0",
        uri="org/voc",
        revision="a" * 40,
    )
    clean = clean_source(tmp_path, "voc", "domain", 4).model_copy(update={"origin": origin})
    tokens = tokenise(clean, tiny_model, 128, {})
    section = mixture(domain_share=1.0)
    supply = Supply("voc", "domain", 2.0, tokens.supervised_tokens, tokens)
    opened = mix(section, [supply], 17)
    for block in split_blocks(opened, workers=1):
        write_block(block)
    made = close_build(opened, tiny_model, {})
    [line] = json.loads(made.lock.read_text())["sources"]
    # Locks are read by other versions: a field's name and place is a promise.
    assert line == {
        "name": "voc",
        "role": "domain",
        "category": "chat",
        "licence": "CC0",
        "uri": "org/voc",
        "revision": "a" * 40,
        "weight": 2.0,
        "share": 1.0,
        "share_got": {"rows": 1.0, "tokens": 1.0, "supervised_tokens": 1.0},
        "rows": 4,
        "tokens": tokens.tokens,
        "supervised_tokens": tokens.supervised_tokens,
        "epochs": 1.0,
        "note": "",
        "clean_digest": "voc-4",
        "digest": tokens.digest,
        "rows_in": 4,
        "rows_available": 4,
        "findings": {},
        "left_out": {},
        "filters": [
            {
                "name": "held_out",
                "rows_in": 4,
                "rows_out": 4,
                "settings": {"dev": 0, "test": 0},
            }
        ],
    }


def test_without_general_data_a_source_of_share_zero_is_left_out(tokens, tiny_model):
    made = build(mixture(domain_share=1.0), tiny_model, tokens)
    assert made.sources == ("voc",)
    assert made.rows == 60


def test_a_shortage_is_an_error_before_anything_is_written(tokens, tiny_model, temper_home):
    with pytest.raises(InsufficientData, match="'chat' must give"):
        build(mixture(domain_share=0.1), tiny_model, tokens)
    # The lock of whoever builds it is all there is.
    there = (temper_home / "mixtures").rglob("*")
    assert [p.name for p in there if p.suffix != ".lock"] == []


def test_rows_that_contain_a_test_item_are_left_out_and_counted(tmp_path, temper_home, tiny_model):
    clean = clean_source(tmp_path, "voc", "domain", 30)
    done = tokenise(clean, tiny_model, 128, {"mmlu": ["What is 7 plus 3?"]})
    assert (done.rows, done.left_out) == (29, {"overlap:mmlu": 1})


def test_rows_over_the_sequence_length_are_left_out_and_counted(tmp_path, temper_home, tiny_model):
    clean = clean_source(tmp_path, "voc", "domain", 30)
    whole = tokenise(clean, tiny_model, 128, {})
    lengths = open_rows(whole.path / "rows.arrow").units("tokens").tolist()
    limit = sorted(lengths)[20]
    done = tokenise(clean, tiny_model, limit, {})
    assert done.left_out == {"too_long": sum(n > limit for n in lengths)}


def opened(tokens, rows_per_shard=10):
    section = mixture(rows_per_shard=rows_per_shard)
    return mix(section, supplies(section, tokens), 17)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_rows_are_the_same_for_any_number_of_workers_in_any_order(
    tokens, tiny_model, workers, temper_home
):
    alone = build(mixture(rows_per_shard=1000), tiny_model, tokens)
    work = opened(tokens)
    parts = split_blocks(work, workers)
    assert len(parts) == workers
    for part in reversed(parts):
        write_block(part)
    assert close_build(work, tiny_model, {}).digest == alone.digest


def test_a_killed_build_goes_on_with_the_shards_that_are_missing(tokens, tiny_model):
    work = opened(tokens)
    first, second = split_blocks(work, 2)
    write_block(first)
    written = {p.name: p.stat().st_mtime_ns for p in work.aside.glob("*.parquet")}
    (work.aside / "shard-00099.123-99").write_bytes(b"half a shard")
    again = opened(tokens)
    assert again.aside == work.aside
    assert sum(write_block(b) for b in split_blocks(again, 1)) == work.shards - len(written)
    made = close_build(again, tiny_model, {})
    assert made.digest == build(mixture(rows_per_shard=99), tiny_model, tokens).digest
    assert {p.name for p in made.path.iterdir()} == {
        *made.shards,
        "manifest.json",
        "mixture.lock.json",
        "cursors.json",
    }
    assert all((made.path / n).stat().st_mtime_ns == t for n, t in written.items())


def test_a_plan_is_made_once_however_many_shards_and_workers_there_are(
    tokens, tiny_model, monkeypatch
):
    made = []
    plan = stage.plan_quotas
    monkeypatch.setattr(stage, "plan_quotas", lambda *asked: made.append(asked) or plan(*asked))
    work = opened(tokens)
    for block in split_blocks(work, 4):
        write_block(block)
    again = opened(tokens)
    assert again == work
    close_build(again, tiny_model, {})
    assert opened(tokens).table == work.table
    assert len(made) == 1


def test_a_finished_mixture_has_nothing_left_to_write(tokens, tiny_model):
    made = build(mixture(rows_per_shard=10), tiny_model, tokens)
    assert split_blocks(opened(tokens), 4) == []
    assert close_build(opened(tokens), tiny_model, {}) == made


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("rejected", {"role": "assistant", "content": "no"}, "a pair"),
        ("reference", "null", "a question"),
    ],
)
def test_a_pair_or_a_question_is_no_row_to_fine_tune_on(
    tmp_path, temper_home, tiny_model, field, value, name
):
    clean = clean_source(tmp_path, "voc", "domain", 3)
    file = clean.split("train")
    rows = pq.read_table(file).to_pylist()
    rows[1] |= {field: value, "origin": "a.jsonl:2"}
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), file)
    with pytest.raises(DataError, match=f"the row is {name}") as error:
        tokenise(clean, tiny_model, 128, {})
    assert error.value.where == "a.jsonl:2"


def test_the_lock_holds_the_chain_of_filters_from_ingest_to_tokens(
    tmp_path, temper_home, tiny_model
):
    before = Filter(name="quality", rows_in=35, rows_out=30, settings={"checks": ["empty"]})
    clean = clean_source(tmp_path, "voc", "domain", 30).model_copy(update={"filters": (before,)})
    items = {"mmlu": ["what is 7 plus 3?"], "voc": ["nowhere to be found"]}
    done = tokenise(clean, tiny_model, 128, items)
    made = build(mixture(domain_share=1.0), tiny_model, [done])
    (line,) = json.loads(made.lock.read_text())["sources"]
    chain = [(f["name"], f["rows_in"], f["rows_out"]) for f in line["filters"]]
    assert chain == [
        ("quality", 35, 30),
        ("held_out", 30, 30),
        ("overlap:mmlu", 30, 29),
        ("overlap:voc", 29, 29),
    ]
    assert line["filters"][0]["settings"] == {"checks": ["empty"]}
    assert line["filters"][2]["settings"] == {"rules": RULES}
    assert line["rows_available"] == 29

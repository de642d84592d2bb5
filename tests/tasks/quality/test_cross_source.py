from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.quality import NearDuplicates, Quality
from configs.sources import FilesSource
from tasks.artifacts import CleanSource, Snapshot
from tasks.quality.cross_source import drop_duplicates
from tasks.quality.report import load_verdict
from tasks.quality.stage import clean_source

Clean = Callable[..., CleanSource]
NEAR = Quality(near_duplicates=NearDuplicates())


@pytest.fixture
def cleaned(
    row: Callable[..., dict[str, Any]],
    snapshot_of: Callable[..., Snapshot],
    source: Callable[..., FilesSource],
) -> Clean:
    """Makes a clean source of prompts (those of split ``test`` first)."""

    known: dict[str, Snapshot] = {}

    def make(name: str, prompts: list[str], role: str = "general", **fields: Any) -> CleanSource:
        test = fields.pop("test", [])
        rows = [row(p, f"answer of {p}", split="test", **fields) for p in test]
        rows += [row(p, f"answer of {p}", **fields) for p in prompts]
        content = f"{role} {prompts} {test}"
        snapshot = known[content] = known.get(content) or snapshot_of(rows, role=role)
        origin = snapshot.origin.model_copy(update={"name": name})
        snapshot = snapshot.model_copy(update={"origin": origin})
        spec = source(
            name=name,
            role=role,
            split={"dev": 0, "test": 0},
            columns={"prompt": "q", "completion": "a"},
        )
        return clean_source(snapshot, spec, Quality(), 17)

    return make


def prompts(done: CleanSource, split: Any = "train") -> list[str]:
    rows = pq.read_table(done.split(split)).to_pylist()
    return [r["messages"][0]["content"] for r in rows]


def aside(done: CleanSource) -> list[tuple[str, list[str], str]]:
    rows = pq.read_table(done.path / "quarantine.parquet").to_pylist()
    return [(r["messages"][0]["content"], r["reasons"], r["detail"]) for r in rows]


def test_the_domain_keeps_what_a_general_source_says_too(cleaned: Clean) -> None:
    general = cleaned("a-chat", ["how are you", "what is new"])
    domain = cleaned("voc", ["How are YOU?", "where is it"], role="domain")
    chat, voc = drop_duplicates([general, domain], Quality())
    assert (prompts(chat), prompts(voc)) == (["what is new"], prompts(domain))
    ((said, reasons, detail),) = aside(chat)
    assert (said, reasons) == ("how are you", ["duplicate_across"])
    kept = pq.read_table(voc.split("train")).to_pylist()[0]
    assert detail == f"voc: {kept['row_id']}"
    assert chat.findings["duplicate_across"] == 1
    assert chat.filters[-1].settings["kept_by"] == {"duplicate_across:voc": 1}


def test_among_sources_of_one_role_the_first_name_keeps_it_whatever_the_recipes_order(
    cleaned: Clean,
) -> None:
    made = {n: cleaned(n, ["same words", f"words of {n}"]) for n in ("b", "a", "c")}
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        done = dict(zip(order, drop_duplicates([made[n] for n in order], Quality()), strict=True))
        assert [len(prompts(done[n])) for n in "abc"] == [2, 1, 1]
        assert done["b"].filters[-1].settings["kept_by"] == {"duplicate_across:a": 1}


def test_a_test_item_of_the_domain_goes_from_anothers_training_rows(cleaned: Clean) -> None:
    domain = cleaned("voc", ["one thing"], role="domain", test=["the item"])
    other = cleaned("chat", ["the item", "another"])
    voc, chat = drop_duplicates([domain, other], Quality())
    assert prompts(voc, "test") == ["the item"]
    assert prompts(chat) == ["another"]


def test_no_row_is_lost_and_the_chain_adds_up(cleaned: Clean) -> None:
    made = [
        cleaned(n, [f"{n} {i}" for i in range(5)] + [f"shared {i}" for i in range(4)])
        for n in ("a", "b")
    ]
    for before, after in zip(made, drop_duplicates(made, NEAR), strict=True):
        gone = before.rows_out - after.rows_out
        assert len(aside(after)) == gone
        verdict = load_verdict(after)
        assert after.rows_in == after.rows_out + verdict.quarantined == 9
        assert after.splits == verdict.splits
        assert after.rows_out == sum(after.splits.values()) == len(prompts(after))
        chain = [(f.rows_in, f.rows_out) for f in after.filters]
        assert chain == [(9, 9), (9, 9 - gone)]


def test_near_duplicates_go_inside_and_across_sources_only_where_asked(cleaned: Clean) -> None:
    domain = cleaned("voc", ["where can I find the nearest branch of the bank"], role="domain")
    alike = ["what a lovely day it is today", "what a lovely day it is todayy"]
    general = cleaned("chat", ["where can I find the nearest branch of the banks", *alike])
    assert [c.rows_out for c in drop_duplicates([domain, general], Quality())] == [1, 3]
    voc, chat = drop_duplicates([domain, general], NEAR)
    assert (voc.rows_out, chat.rows_out) == (1, 1)
    partners = chat.filters[-1].settings["kept_by"]
    assert partners == {"near_duplicate:chat": 1, "near_duplicate:voc": 1}
    assert {reasons[0] for _, reasons, _ in aside(chat)} == {"near_duplicate"}


def test_the_order_of_rows_decides_nothing(cleaned: Clean) -> None:
    texts = [
        f"this is the long message number {i % 7} of the row {'x' * (i // 7)}" for i in range(40)
    ]
    one, other = cleaned("a", texts), cleaned("a", texts[::-1])
    (first,), (again,) = drop_duplicates([one], NEAR), drop_duplicates([other], NEAR)
    assert 0 < first.rows_out < 40
    assert sorted(prompts(first)) == sorted(prompts(again))


def test_without_the_check_exact_duplicates_of_others_stay(cleaned: Clean) -> None:
    made = [cleaned(n, ["same words"]) for n in ("a", "b")]
    done = drop_duplicates(made, Quality(checks=("empty",)))
    assert [c.rows_out for c in done] == [1, 1]


def test_a_source_that_is_left_with_too_little_is_blocked(cleaned: Clean) -> None:
    made = [cleaned(n, ["same words"]) for n in ("a", "b")]
    first, second = drop_duplicates(made, Quality())
    assert (first.verdict, second.verdict) == ("pass", "block")
    assert "min_rows" in second.reason


def test_a_later_source_is_compared_with_those_kept_and_takes_nothing_from_them(
    cleaned: Clean,
) -> None:
    kept = drop_duplicates([cleaned("z", ["same words", "more"])], Quality())
    (later,) = drop_duplicates([cleaned("a", ["same words", "own words"])], Quality(), kept)
    assert prompts(later) == ["own words"]


def test_it_is_done_once_and_again_when_an_earlier_source_changes(cleaned: Clean) -> None:
    one, two = cleaned("a", ["same words"]), cleaned("b", ["same words", "own"])
    first = drop_duplicates([one, two], Quality())
    before = first[1].path.stat().st_mtime_ns
    assert drop_duplicates([two, one], Quality()) == first[::-1]
    assert first[1].path.stat().st_mtime_ns == before
    other = drop_duplicates([cleaned("a", ["different"]), two], Quality())
    assert other[1].rows_out == 2
    later = drop_duplicates([one, two, cleaned("c", ["c"])], Quality())
    assert later[:2] == first

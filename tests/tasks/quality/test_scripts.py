"""Texts of every script: rows in are rows out, copies are found and labels are counted."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.quality import NearDuplicates, Quality
from configs.sources import FilesSource, Split
from tasks.artifacts import Snapshot
from tasks.quality.report import load_verdict
from tasks.quality.stage import clean_source

# Texts of a language that differ in marks or pictures alone, each with its label.
TEXTS: dict[str, list[tuple[str, str]]] = {
    "emoji": [
        (f"{t} {e}", s) for t in ("Great", "My parcel") for e, s in ("👍+", "👎-", "😀+", "😡-")
    ],
    "emoticons": [("Nice day :)", "+"), ("Nice day :(", "-"), ("Nice day", "0")],
    "thai": [
        ("เสือ", "สัตว์"),
        ("เสื้อ", "ผ้า"),
        ("เสื่อ", "บ้าน"),
        ("ขาว", "สี"),
        ("ข้าว", "อาหาร"),
        ("ข่าว", "ข้อมูล"),
    ],
    "hindi": [
        ("कल", "समय"),
        ("काल", "समय"),
        ("कील", "चीज़"),
        ("कुल", "लोग"),
        ("दिन", "समय"),
        ("दीन", "लोग"),
    ],
    "tamil": [("கல்", "பொருள்"), ("கால்", "உடல்"), ("கிளி", "பறவை"), ("களி", "உணவு")],
    "hebrew": [("סֵפֶר", "שם"), ("סָפַר", "פועל"), ("סַפָּר", "אדם"), ("דָּבָר", "שם"), ("דִּבֵּר", "פועל")],
    "arabic": [("عَلِمَ", "فعل"), ("عِلْم", "اسم"), ("عَلَم", "راية"), ("كَتَبَ", "فعل"), ("كُتُب", "اسم")],
    "chinese": [("我喜欢这个", "好"), ("我讨厌这个", "坏"), ("服务很好", "好"), ("服务很坏", "坏")],
    "japanese": [("かき", "果物"), ("がき", "人"), ("はし", "物"), ("ばし", "語"), ("ぱし", "語")],
    "korean": [("각", "모양"), ("가", "글자"), ("강", "물"), ("감", "과일")],
    "vietnamese": [("ma", "1"), ("má", "2"), ("mà", "3"), ("mả", "4"), ("mã", "5"), ("mạ", "6")],
}
Make = Callable[..., Snapshot]


@pytest.mark.parametrize(("form", "near"), [("NFC", None), ("NFD", NearDuplicates())])
def test_rows_in_are_rows_out_and_copies_are_found(
    form: Any,
    near: NearDuplicates | None,
    row: Callable[..., dict[str, Any]],
    snapshot_of: Make,
) -> None:
    source = FilesSource(
        kind="files", name="voc", role="domain", path="a", split=Split(dev=0, test=0)
    )
    other = "NFD" if form == "NFC" else "NFC"
    rows, copies = [], []
    for script, texts in TEXTS.items():
        for text, label in texts:
            label = f"{script} {label}"
            rows.append(row(unicodedata.normalize(form, text), label, label=label))
            copies.append(row(unicodedata.normalize(other, text), label, label=label))
    quality = Quality(near_duplicates=near, max_quarantine=1)
    clean = clean_source(snapshot_of([*rows, *copies]), source, quality, 17)
    assert {name: n for name, n in clean.findings.items() if n} == {"duplicate": len(copies)}
    assert clean.rows_out == len(rows)
    kept = pq.read_table(clean.split("train"))["origin"].to_pylist()
    assert len(kept) == len(rows)


def test_labels_are_counted_in_one_form(
    row: Callable[..., dict[str, Any]], snapshot_of: Make
) -> None:
    source = FilesSource(
        kind="files", name="voc", role="domain", path="a", split=Split(dev=0, test=0)
    )
    rows = [row(f"text {i}", label, label=label) for i, label in enumerate(["café", "thé"] * 10)]
    verdict = load_verdict(clean_source(snapshot_of(rows), source, Quality(), 17))
    assert {label: n["train"] for label, n in verdict.labels.items()} == {"café": 10, "thé": 10}


def test_control_tokens_of_the_models_own_tokenizer_are_found_and_taken_out(
    row: Callable[..., dict[str, Any]], snapshot_of: Make
) -> None:
    source = FilesSource(
        kind="files", name="voc", role="general", path="a", split=Split(dev=0, test=0)
    )
    rows = [row(f"row {i} is fine") for i in range(8)]
    rows += [row("say [TOOL_CALLS] now"), row("or <unused7> or"), row("[TOOL]")]
    tokens = ("<unused0>", "<unused1>", "[TOOL_CALLS]", "<s>")
    snapshot, lenient = snapshot_of(rows, role="general"), Quality(max_quarantine=1)
    assert clean_source(snapshot, source, lenient, 17).findings["reserved_tokens"] == 0
    found = clean_source(snapshot, source, lenient, 17, tokens)
    assert (found.findings["reserved_tokens"], found.rows_out) == (2, 9)
    clean = Quality(sanitise=True, max_quarantine=1)
    assert clean_source(snapshot, source, clean, 17, tokens).rows_out == 11


def test_a_sources_own_quality_comes_before_the_recipes(
    row: Callable[..., dict[str, Any]], snapshot_of: Make
) -> None:
    fields: dict[str, Any] = {"kind": "files", "name": "voc", "role": "general", "path": "a"}
    rows = [row("x" * 50), row("y" * 10)]
    strict = Quality(max_chars=20, min_rows=2)
    snapshot = snapshot_of(rows, role="general")
    whole = FilesSource.model_validate(fields | {"split": {"dev": 0, "test": 0}})
    assert clean_source(snapshot, whole, strict, 17).verdict == "block"
    own = whole.model_copy(update={"quality": Quality(max_chars=60)})
    done = clean_source(snapshot, own, strict, 17)
    # What the source doesn't say stays the recipe's.
    assert (done.verdict, done.rows_out) == ("pass", 2)
    fewer = whole.model_copy(update={"quality": Quality(max_chars=60, min_rows=3)})
    assert clean_source(snapshot, fewer, strict, 17).verdict == "block"

"""The checks: pure functions from rows to one boolean a row, true where something is wrong."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from configs.stages import Quality
from tasks.text.rows import TEXT_ROLE

Flags = npt.NDArray[np.bool_]

EXPLANATIONS = {
    "format": "The row could not be read or converted, so it can't be used at all.",
    "empty": "A message has no text, so there is nothing to learn from or to answer.",
    "alternation": "Turns must go user, assistant, user, ... after an optional system message, "
    "and end with the assistant.",
    "reserved_tokens": "The text holds a chat control token, which would forge the turn it stands "
    "in.",
    "control_characters": "The text holds control characters or U+FFFD, the mark of a wrong "
    "encoding.",
    "length": "A text is longer than max_chars.",
    "missing_label": "The source gives labels, but this row has none.",
    "duplicate": "Another row says the same but for case, spacing and punctuation; the first is "
    "kept.",
    "label_conflict": "Rows with the same prompt carry different labels, and nothing says which is "
    "right.",
    "duplicate_across": "A row of another source says the same but for case, spacing and "
    "punctuation; domain sources keep theirs before general ones, then names decide.",
    "near_duplicate": "Another row, of this or another source, says nearly the same; it is kept.",
    "overlaps_test": "The prompt is also a test or dev item's, which training on would give away.",
}
"""Check -> what it finds and why that matters, one sentence each."""

RESERVED = (
    r"<\|[A-Za-z0-9_]{1,40}\|>"  # ChatML, Llama 3, Phi, GPT: <|im_start|>, <|eot_id|>, ...
    r"|</?s>|</?bos>|</?eos>|<unk>|<pad>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|<｜[^｜<>]{1,40}｜>"  # DeepSeek writes its tokens with full-width bars
)
CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x{9f}\\x{fffd}]"


class _Flat(NamedTuple):
    """Messages of a batch of rows, one after the other."""

    roles: Any
    texts: Any
    row: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    rows: int

    def rows_with(self, mask: Any) -> Flags:
        """Return the rows of which any message is marked."""
        hit = self.row[np.asarray(pc.fill_null(mask, True), dtype=bool)]
        return np.bincount(hit, minlength=self.rows) > 0


def local_findings(table: Any, quality: Quality) -> dict[str, Flags]:
    """Return the checks that look at one row alone, of those the recipe asks for."""
    asked = [name for name in _LOCAL if name in quality.checks]
    flats = [_flat(b) for b in table.select(["messages"]).to_batches(max_chunksize=50_000)]
    none = np.zeros(0, dtype=bool)
    return {
        name: np.concatenate([none, *(_LOCAL[name](flat, quality) for flat in flats)])
        for name in asked
    }


def missing_labels(frame: pd.DataFrame, role: str) -> Flags:
    """Return the domain rows without a label, where the source gives labels at all."""
    missing = frame["label"].fillna("").str.strip().eq("").to_numpy(dtype=bool)
    if role != "domain" or missing.all():
        return np.zeros(len(frame), dtype=bool)
    return missing


def duplicates(frame: pd.DataFrame, sound: Flags) -> Flags:
    """Return sound rows that repeat the whole text of an earlier one of the same given split."""
    rows = frame[sound]
    again = pd.DataFrame({"split": rows["split"].fillna(""), "text": rows["text_key"]}).duplicated()
    found = np.zeros(len(frame), dtype=bool)
    found[rows.index[again.to_numpy(dtype=bool)]] = True
    return found


def label_conflicts(frame: pd.DataFrame, sound: Flags) -> Flags:
    """Return sound rows whose prompt carries several labels within one given split."""
    rows = frame[sound & frame["label"].notna().to_numpy(dtype=bool)]
    several = rows.groupby([rows["split"].fillna(""), rows["prompt_key"]])["label"].transform(
        "nunique"
    )
    found = np.zeros(len(frame), dtype=bool)
    found[rows.index[several.to_numpy() > 1]] = True
    return found


def _flat(batch: Any) -> _Flat:
    lists = batch.column("messages")
    messages = lists.flatten()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
    row = np.repeat(np.arange(len(lengths)), lengths)
    return _Flat(messages.field("role"), messages.field("content"), row, starts, len(lengths))


def _empty(flat: _Flat, _: Quality) -> Flags:
    blank = pc.equal(pc.utf8_trim_whitespace(flat.texts), "")
    silent: Flags = np.bincount(flat.row, minlength=flat.rows) == 0
    return flat.rows_with(blank) | silent


def _alternation(flat: _Flat, _: Quality) -> Flags:
    roles = np.asarray(flat.roles.to_numpy(zero_copy_only=False), dtype=object)
    position = np.arange(len(roles)) - flat.starts[flat.row]
    led = np.zeros(flat.rows, dtype=np.int64)
    led[flat.row[(position == 0) & (roles == "system")]] = 1
    turn = position - led[flat.row]
    wanted = np.where(turn < 0, "system", np.where(turn % 2 == 0, "user", "assistant"))
    counts = np.bincount(flat.row, minlength=flat.rows)
    unfinished = ((counts - led) % 2 == 1) | (counts - led == 0)
    plain = np.zeros(flat.rows, dtype=bool)
    plain[flat.row[roles == TEXT_ROLE]] = True
    wrong: Flags = flat.rows_with(pa.array(roles != wanted)) | unfinished
    exempt: Flags = plain & (counts == 1)
    return wrong & ~exempt


def _reserved(flat: _Flat, _: Quality) -> Flags:
    return flat.rows_with(pc.match_substring_regex(flat.texts, RESERVED))


def _control(flat: _Flat, _: Quality) -> Flags:
    return flat.rows_with(pc.match_substring_regex(flat.texts, CONTROL))


def _length(flat: _Flat, quality: Quality) -> Flags:
    return flat.rows_with(pc.greater(pc.utf8_length(flat.texts), quality.max_chars))


_LOCAL: dict[str, Callable[[_Flat, Quality], Flags]] = {
    "empty": _empty,
    "alternation": _alternation,
    "reserved_tokens": _reserved,
    "control_characters": _control,
    "length": _length,
}


def first_match(check: str, text: str) -> int:
    """Return where in a text a check's pattern first matches, so that an example can show it."""
    patterns = {
        "reserved_tokens": RESERVED,
        "control_characters": r"[\x00-\x08\x0b-\x1f\x7f-\x9f�]",
    }
    found = re.search(patterns[check], text) if check in patterns else None
    return found.start() if found else 0

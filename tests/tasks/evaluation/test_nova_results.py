"""The files of Nova's evaluator, read back."""

import json
from pathlib import Path

import pytest

from tasks.errors import EvaluationError
from tasks.evaluation.nova_results import Number, read_outputs, read_results


@pytest.mark.parametrize("block", ["all", "custom|gen_qa_gen_qa|0"])
def test_numbers_are_read_with_their_errors_where_they_have_some(
    tmp_path: Path, block: str
) -> None:
    file = tmp_path / "results_1.json"
    numbers = {"f1": 0.5, "f1_stderr": 0.01, "em": 0.25, "note": "text", "flag": True}
    file.write_text(json.dumps({"results": {block: numbers}, "config_general": {}}))
    assert read_results(file) == {"f1": Number(0.5, 0.01), "em": Number(0.25, None)}


def test_an_empty_whole_gives_way_to_the_one_block_there_is(tmp_path: Path) -> None:
    file = tmp_path / "results_1.json"
    file.write_text(json.dumps({"results": {"all": {}, "custom|x|0": {"em": 1}}}))
    assert read_results(file) == {"em": Number(1.0, None)}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"results": {}}', '{"results": {"a": {}, "b": {}}}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results_1.json"
    file.write_text(text)
    with pytest.raises(EvaluationError, match="no results of Nova's evaluator"):
        read_results(file)


def test_answers_are_read_with_quotes_and_all_and_with_what_was_sent(tmp_path: Path) -> None:
    file = tmp_path / "inference_output.jsonl"
    answers = ["plain", 'it\'s "quoted"', "two\nlines", "ünïcode"]
    rows = [
        {"prompt": f"q{i}", "inference": str([a]), "gold": "g", "metadata": f"m{i}"}
        for i, a in enumerate(answers)
    ]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = read_outputs(file)
    assert [o.prediction for o in found] == answers
    assert [o.metadata for o in found] == ["m0", "m1", "m2", "m3"]


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "q", "inference": "__import__(1)", "gold": ""}',
        '{"prompt": "q"}',
        "[1]",
        '{"prompt": "q", "inference": "[]", "gold": ""}',
        "no JSON",
    ],
)
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "inference_output.jsonl"
    file.write_text('{"prompt": "q", "inference": "[\'a\']", "gold": "g"}\n' + line + "\n")
    with pytest.raises(EvaluationError, match="line 2"):
        read_outputs(file)

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.suites.ifeval import IfevalSuite
from tasks.errors import EvaluationError
from tasks.evaluation.ifeval.exam import IfevalExam, ifeval_exam
from tasks.evaluation.items import write_items
from tasks.inference.scripted import Scripted
from tasks.metrics.estimates import estimate_all

COMMAS = {
    "prompt": "No commas please.",
    "instruction_id_list": ["punctuation:no_comma"],
    "kwargs": [{}],
}
BOTH = {
    "prompt": "Two parts: quoted, no commas.",
    "kwargs": [{"num_words": None}, None],
    "instruction_id_list": ["startend:quotation", "punctuation:no_comma"],
}


@pytest.fixture
def exam(tmp_path: Path) -> Callable[..., IfevalExam]:
    def make(*records: dict[str, Any], **fields: Any) -> IfevalExam:
        file = tmp_path / "prompts.jsonl"
        file.write_text("\n\n".join(map(json.dumps, records)))
        section = {"kind": "ifeval", "name": "if", "path": str(file)} | fields
        return ifeval_exam(IfevalSuite.model_validate(section), "test", 17)

    return make


def test_prompts_and_instructions_are_counted_apart(
    exam: Callable[..., IfevalExam], tmp_path: Path
) -> None:
    said = {COMMAS["prompt"]: "a, b", BOTH["prompt"]: '*"a b"*'}
    made = exam(COMMAS, BOTH)
    rows = made.sit(Scripted(lambda p: said[p.messages[0]["content"]]))
    assert sorted(r.form for r in rows) == ["instruction"] * 3 + ["prompt"] * 2
    write_items(tmp_path / "items.parquet", "if", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert {name: (e.value, e.n) for name, e in found.items()} == {
        "prompt_strict": (0.0, 2),
        "prompt_loose": (0.5, 2),
        "instruction_strict": (pytest.approx(1 / 3), 3),
        "instruction_loose": (pytest.approx(2 / 3), 3),
    }
    (prompt,) = [r for r in rows if r.form == "prompt" and r.raw_output == '*"a b"*']
    assert [r.cluster for r in rows if r.form == "instruction"].count(prompt.item_id) == 2


def test_a_prompt_that_was_not_answered_has_no_scores(exam: Callable[..., IfevalExam]) -> None:
    rows = exam(COMMAS, BOTH).sit(Scripted(lambda p: None))
    assert all(r.scores is None and r.error for r in rows)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"kwargs": []}, "kwargs", "no list of 1 objects"),
        ({"instruction_id_list": []}, "instruction_id_list", "no list of rules"),
        ({"instruction_id_list": ["keywords:rhyme"]}, "instruction 1", "no rule 'keywords:rhyme'"),
        ({"prompt": " "}, "prompt", "holds no text"),
    ],
)
def test_a_malformed_prompt_is_named_by_its_line(
    exam: Callable[..., IfevalExam], change: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(EvaluationError, match=said) as error:
        exam(BOTH, COMMAS | change)
    # An empty line stands between the two.
    assert error.value.where.endswith("prompts.jsonl:3")
    assert f"'{field}'" in error.value.message


def test_the_split_to_choose_on_needs_a_file_of_its_own(tmp_path: Path) -> None:
    suite = IfevalSuite.model_validate({"kind": "ifeval", "name": "if"})
    with pytest.raises(EvaluationError, match="set dev_path"):
        ifeval_exam(suite, "dev", 17)


@pytest.mark.shared_data
def test_the_published_prompts_are_all_judged(shared_data: Path) -> None:
    pytest.importorskip("langdetect", reason="the extra 'ifeval' isn't installed")
    path = shared_data / "ifeval" / "input_data.jsonl.gz"
    suite = IfevalSuite.model_validate({"kind": "ifeval", "name": "if", "path": str(path)})
    exam = ifeval_exam(suite, "test", 17)
    assert len(exam.cases) == 541
    assert sum(len(case.instructions) for _, case in exam.cases) == 834
    with gzip.open(path, "rt") as stream:
        assert set(exam.overlap()) == {json.loads(line)["prompt"] for line in stream}

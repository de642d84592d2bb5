import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.judge import judge
from tasks.errors import DataError, EvaluationError, TemperError
from tasks.metrics.intervals import paired_score
from tasks.result_files.readers import read_results
from tasks.result_files.stage import judge_results, read_gates

N = 200
BASE = (np.arange(N) % 10 < 7).astype(float)
STAMP = "2026-01-02T03-04-05.678901"


def flipped(lose: int, gain: int) -> np.ndarray:
    out = BASE.copy()
    out[np.flatnonzero(BASE == 1)[:lose]] = 0
    out[np.flatnonzero(BASE == 0)[:gain]] = 1
    return out


def harness(folder: Path, marks: np.ndarray, prompt: str = "p") -> Path:
    folder.mkdir()
    rows = [
        {
            "doc_id": i,
            "doc": {"question": f"q{i}"},
            "target": "1",
            "filter": "none",
            "metrics": ["acc"],
            "doc_hash": f"d{i}",
            "prompt_hash": f"{prompt}{i}",
            "target_hash": "t",
            "acc": float(ok),
        }
        for i, ok in enumerate(marks)
    ]
    lines = "\n".join(map(json.dumps, rows))
    (folder / f"samples_task_{STAMP}.jsonl").write_text(lines + "\n")
    return folder


def lighteval(folder: Path, marks: np.ndarray) -> Path:
    folder.mkdir()
    table = pa.table(
        {
            "doc": [{"id": str(i), "query": f"q{i}"} for i in range(len(marks))],
            "metric": [{"acc": float(ok)} for ok in marks],
        }
    )
    pq.write_table(table, folder / f"details_task_{STAMP}.parquet")
    return folder


def inspect(folder: Path, marks: np.ndarray, kind: str = "eval", status: str = "success") -> Path:
    folder.mkdir()
    head = {"status": status, "eval": {"task": "task", "task_version": 0}}
    samples: list[dict[str, Any]] = [
        {
            "id": i,
            "epoch": 1,
            "input": f"q{i}",
            "target": "1",
            "scores": {"acc": {"value": "CI"[int(1 - ok)]}},
        }
        for i, ok in enumerate(marks)
    ]
    if kind == "json":
        (folder / "log.json").write_text(json.dumps({**head, "samples": samples}))
        return folder
    with zipfile.ZipFile(folder / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(head))
        for s in samples:
            archive.writestr(f"samples/{s['id']}_epoch_1.json", json.dumps(s))
    return folder


def plain(folder: Path, marks: np.ndarray, kind: str = "csv") -> Path:
    folder.mkdir()
    rows = [{"id": f"i{i}", "acc": float(ok), "answer": "some text"} for i, ok in enumerate(marks)]
    if kind == "jsonl":
        (folder / "task.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return folder
    with (folder / "task.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "acc", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def gates(folder: Path, margin: float = 0.1, **more: Any) -> Path:
    path = folder / "gates.yaml"
    path.write_text(
        json.dumps({"gates": [{"metric": "task/acc", "rule": "hold", "margin": margin}], **more})
    )
    return path


MAKERS = {
    "harness": harness,
    "lighteval": lighteval,
    "inspect": inspect,
    "inspect json": lambda folder, marks: inspect(folder, marks, "json"),
    "csv": plain,
    "jsonl": lambda folder, marks: plain(folder, marks, "jsonl"),
}


@pytest.mark.parametrize("tool", MAKERS)
def test_every_tools_results_give_the_interval_computed_by_hand(tool: str, tmp_path: Path) -> None:
    base = MAKERS[tool](tmp_path / "base", BASE)
    [found] = judge_results(
        base, MAKERS[tool](tmp_path / "candidate", flipped(8, 6)), read_gates(gates(tmp_path))
    )
    assert (found.low, found.high) == pytest.approx(paired_score(6, 8, N, 0.9))
    assert (found.n, found.verdict) == (N, "PASS")
    assert found.difference == pytest.approx(-0.01)
    [worse] = judge_results(
        base, MAKERS[tool](tmp_path / "worse", flipped(60, 0)), read_gates(gates(tmp_path))
    )
    assert worse.verdict == "FAIL"


def test_a_judgement_is_a_summary_and_a_page_that_say_the_same(tmp_path: Path) -> None:
    found = judge(
        harness(tmp_path / "base", BASE),
        harness(tmp_path / "candidate", flipped(8, 6)),
        gates(tmp_path),
        tmp_path / "out",
    )
    assert found.summary.startswith("**PASS**")
    assert (tmp_path / "out" / "summary.md").read_text() == found.summary
    page = (tmp_path / "out" / "judgement.html").read_text()
    assert "task/acc" in page
    assert "at worst" in page


def test_the_command_needs_neither_torch_nor_a_recipe_and_exits_by_the_verdict(
    tmp_path: Path,
) -> None:
    base = plain(tmp_path / "base", BASE)
    told = gates(tmp_path)
    for name, marks, code in (
        ("good", BASE, 0),
        ("bad", flipped(60, 0), 3),
        ("open", flipped(24, 8), 4),
    ):
        candidate = plain(tmp_path / name, marks)
        script = (
            "import sys\nfrom flows.cli import main\n"
            f"sys.argv = ['temper', 'judge', {str(base)!r}, {str(candidate)!r}, "
            f"'--gates', {str(told)!r}]\n"
            "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr


def test_dependent_items_are_judged_by_their_clusters(tmp_path: Path) -> None:
    for name, marks in (("base", BASE), ("candidate", flipped(8, 6))):
        (tmp_path / name).mkdir()
        rows = [{"id": i, "acc": float(ok), "cluster": i // 100} for i, ok in enumerate(marks)]
        (tmp_path / name / "task.jsonl").write_text("\n".join(map(json.dumps, rows)))
    [found] = judge_results(tmp_path / "base", tmp_path / "candidate", read_gates(gates(tmp_path)))
    assert found.verdict == "INCONCLUSIVE"
    assert "worth 2 of one size" in found.reason


def _duplicate(folder: Path) -> None:
    path = next(folder.glob("samples_*"))
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")


def _cut(folder: Path) -> None:
    path = next(folder.glob("samples_*"))
    path.write_text(path.read_text()[:-30])


def _second(folder: Path) -> None:
    path = next(folder.glob("samples_*"))
    (folder / path.name.replace("05.678901", "06.678901")).write_text(path.read_text())


def _unscored(folder: Path) -> None:
    path = next(folder.glob("samples_*"))
    path.write_text(path.read_text().replace('"acc": 1.0', '"acc": NaN', 1))


def _fewer(folder: Path) -> None:
    path = next(folder.glob("samples_*"))
    path.write_text("\n".join(path.read_text().splitlines()[3:]))


def _mixed(folder: Path) -> None:
    pq.write_table(pa.table({"doc": [{"id": "0"}]}), folder / f"details_task_{STAMP}.parquet")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_duplicate, "item '0' is there twice"),
        (_cut, "damaged or cut off"),
        (_second, "was evaluated twice"),
        (_unscored, "no usable 'task/acc'"),
        (_fewer, "3 items only in the base"),
        (_mixed, "holds both"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_one_paragraph(
    spoil: Any, words: str, tmp_path: Path
) -> None:
    base, candidate = harness(tmp_path / "base", BASE), harness(tmp_path / "candidate", BASE)
    spoil(candidate)
    with pytest.raises(TemperError, match=words) as error:
        judge_results(base, candidate, read_gates(gates(tmp_path)))
    assert "\n" not in str(error.value)
    assert error.value.fix


def test_other_prompts_and_unfinished_logs_are_refused(tmp_path: Path) -> None:
    told = read_gates(gates(tmp_path))
    with pytest.raises(EvaluationError, match="200 of 200 shared items were asked differently"):
        judge_results(
            harness(tmp_path / "base", BASE), harness(tmp_path / "other", BASE, "few-shot "), told
        )
    with pytest.raises(DataError, match="status is 'cancelled'"):
        read_results(inspect(tmp_path / "cut", BASE, status="cancelled"))
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "other.csv").write_text("id,score\n1,1\n2,0\n")
    with pytest.raises(EvaluationError, match="the base has no 'task/acc'"):
        judge_results(tmp_path / "csv", tmp_path / "csv", told)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no per-item results"):
        read_results(tmp_path / "nothing")


def test_scores_beyond_0_to_1_need_ends_or_many_items(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(3, 1, N)
    base, candidate = plain(tmp_path / "base", first), plain(tmp_path / "candidate", first + 0.01)
    [found] = judge_results(base, candidate, read_gates(gates(tmp_path, 0.5)))
    assert found.verdict == "INCONCLUSIVE"
    assert "declares no ends" in found.reason
    told = gates(tmp_path, 0.5, metrics={"task/acc": {"range": [0, 6]}})
    [found] = judge_results(base, candidate, read_gates(told))
    assert found.verdict == "PASS"


def test_gates_that_say_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gates.yaml"
    for text in ("gates: []", "gates: [{metric: a, rule: hold}]", "gats: 3", "a: [", "{gates: 1}"):
        path.write_text(text)
        with pytest.raises(DataError):
            read_gates(path)

"""The command line, called as a person or a machine calls it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

HEAVY = {"torch", "mlflow", "great_expectations", "sagemaker", "prefect", "transformers"}
COMMANDS = ("run", "plan", "check", "mix", "train", "evaluate", "compare", "doctor")
Fields = dict[str, Any]


@pytest.mark.parametrize("args", [["--help"], *([c, "--help"] for c in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(temper: Any, args: list[str]) -> None:
    said = temper(*args)
    assert said.code == 0
    assert "Usage" in said.out
    assert said.loaded & HEAVY == set()


def test_no_command_at_all_shows_the_commands(temper: Any) -> None:
    said = temper()
    assert all(command in said.out + said.err for command in COMMANDS)


def _misspell(fields: Fields) -> None:
    fields["mixture"]["domain_shares"] = fields["mixture"].pop("domain_share")


def _negative_weight(fields: Fields) -> None:
    fields["sources"][0]["weight"] = -1


def _unknown_kind(fields: Fields) -> None:
    fields["sources"][0]["kind"] = "flies"


def _missing_data(fields: Fields) -> None:
    fields["sources"][0]["path"] = "nowhere/reviews.jsonl"


def _wrong_columns(fields: Fields) -> None:
    fields["sources"][0]["columns"] = {"prompt": "text", "completion": "category"}


def _share_over_one(fields: Fields) -> None:
    fields["mixture"]["domain_share"] = 1.5


def _unknown_suite(fields: Fields) -> None:
    fields["mixture"]["exclude_overlap_with"] = ["mmmlu"]


def _unknown_metric(fields: Fields) -> None:
    fields["gates"][0]["metric"] = "reviews/macro_f2"


WRONG: dict[str, tuple[Callable[[Fields], None], tuple[str, ...]]] = {
    "a misspelt key": (_misspell, ("mixture.domain_shares", "did you mean 'domain_share'?")),
    "a negative weight": (_negative_weight, ("sources.0.weight", "-1")),
    "an unknown kind": (_unknown_kind, ("sources.0.kind", "flies", "files", "rehearsal")),
    "a missing data file": (_missing_data, ("reviews", "nowhere/reviews.jsonl")),
    "wrong columns": (_wrong_columns, ("reviews", "text", "review")),
    "a share over 1": (_share_over_one, ("mixture.domain_share", "1.5")),
    "an unknown suite": (_unknown_suite, ("mixture.exclude_overlap_with.0", "mmlu")),
    "a gate on a metric no suite gives": (_unknown_metric, ("gates.0.metric", "reviews/macro_f1")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_recipe_gets_one_paragraph_before_any_model_is_loaded(
    temper: Any, tiny_fields: Fields, tmp_path: Path, what: str
) -> None:
    spoil, named = WRONG[what]
    fields = deepcopy(tiny_fields)
    spoil(fields)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    _is_one_paragraph(temper("plan", path, seconds=60), *named)


def test_an_empty_data_file_gets_one_paragraph(
    temper: Any, tiny_fields: Fields, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    fields = deepcopy(tiny_fields)
    fields["sources"][0]["path"] = str(empty)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    _is_one_paragraph(temper("plan", path, seconds=60), "empty.jsonl", "empty")


def test_a_tab_in_yaml_gets_one_paragraph(temper: Any, tmp_path: Path) -> None:
    path = tmp_path / "tab.yaml"
    path.write_text("name: tab\nmixture:\n\tdomain_share: 1.0\n")
    _is_one_paragraph(temper("plan", path, seconds=60), "tab.yaml:3", "spaces")


def _is_one_paragraph(said: Any, *named: str) -> None:
    assert said.code == 2, said.err
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert "Fix: " in lines[0]
    assert [n for n in named if n not in lines[0]] == [], lines[0]
    assert said.out == ""
    assert "torch" not in said.loaded


@pytest.mark.parametrize(
    ("override", "kind", "where"),
    [
        ("seed=-3", "recipe", "seed"),
        ("sources.reviews.path=nowhere.jsonl", "source", "nowhere.jsonl"),
        ("quality.min_rows=1000", "quality", "reviews"),
        ("mixture.on_shortage=error", "shortage", "general"),
    ],
)
def test_an_error_is_an_object_with_json(
    temper: Any, tiny_recipe: Path, override: str, kind: str, where: str
) -> None:
    args = ["--set", override, "--set", "mixture.max_epochs=1", "--set", "mixture.domain_share=0.1"]
    said = temper("plan", tiny_recipe, "--json", *args)
    assert said.code == 2, said.err
    assert set(said.json) == {"error"}
    assert set(said.json["error"]) == {"kind", "message", "where", "fix"}
    assert said.json["error"]["kind"] == kind
    assert where in said.json["error"]["where"] + said.json["error"]["message"]
    assert all(said.json["error"].values())


UNITS = {"rows", "tokens", "supervised_tokens"}
ESTIMATE = {"value", "low", "high", "n"}
GATE = {"metric", "rule", "verdict", "base", "candidate", "difference", "low", "high", "n",
        "needed_n", "reason"}  # fmt: skip


def test_plan_keeps_its_contract(temper: Any, tiny_recipe: Path) -> None:
    said = temper("plan", tiny_recipe, "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"digest", "unit", "total", "sources"}
    line = {"name", "role", "weight", "share", *UNITS, "epochs", "share_got", "note"}
    assert [set(s) for s in said.json["sources"]] == [line, line]
    assert all(set(s["share_got"]) == UNITS for s in said.json["sources"])
    assert "torch" not in said.loaded


def test_check_keeps_its_contract(temper: Any, tiny_recipe: Path) -> None:
    said = temper("check", tiny_recipe, "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"ok", "verdicts"}
    assert said.json["ok"] is True
    keys = {"source", "verdict", "rows_in", "rows_out", "findings", "quarantine"}
    assert [set(v) for v in said.json["verdicts"]] == [keys, keys]
    assert [v["rows_in"] for v in said.json["verdicts"]] == [40, 20]


def test_mix_keeps_its_contract_and_writes_where_it_is_told(
    temper: Any, tiny_recipe: Path, tmp_path: Path
) -> None:
    said = temper("mix", tiny_recipe, "--out", tmp_path / "mixture", "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"digest", "rows", "tokens", "shards", "lock", "seconds"}
    assert all(Path(shard).is_file() for shard in said.json["shards"])
    assert Path(said.json["lock"]) == tmp_path / "mixture" / "mixture.lock.json"
    assert json.loads(Path(said.json["lock"]).read_text())


@pytest.mark.slow
def test_evaluate_keeps_its_contract(
    temper: Any, tiny_recipe: Path, tiny_model_folder: Path
) -> None:
    said = temper("evaluate", tiny_recipe, "--model", tiny_model_folder, "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"weights_digest", "suites"}
    assert set(said.json["suites"]) == {"reviews", "mmlu"}
    for suite in said.json["suites"].values():
        assert set(suite) == {"metrics", "items"}
        assert all(set(m) == ESTIMATE for m in suite["metrics"].values())
        assert Path(suite["items"]).is_file()


@pytest.mark.slow
def test_run_keeps_its_contract_and_its_exit_code_is_the_verdict(
    temper: Any, tiny_recipe: Path
) -> None:
    said = temper("run", tiny_recipe, "--json")
    assert said.code in (0, 3, 4), said.err
    report = said.json
    assert set(report) == {"run_id", "verdict", "gates", "metrics", "scorecard", "checkpoint", "lock"}
    assert said.code == {"PASS": 0, "FAIL": 3, "INCONCLUSIVE": 4}[report["verdict"]]
    assert [set(g) for g in report["gates"]] == [GATE, GATE]
    assert set(report["metrics"]) == {"base", "candidate"}
    assert set(report["metrics"]["base"]) == set(report["metrics"]["candidate"])
    assert all(set(m) == ESTIMATE for m in report["metrics"]["candidate"].values())
    assert all(Path(report[key]).exists() for key in ("scorecard", "checkpoint", "lock"))
    _compares_with_itself(temper, report["run_id"])


def _compares_with_itself(temper: Any, run_id: str) -> None:
    said = temper("compare", run_id, run_id, "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"a", "b", "metrics"}
    assert {m["difference"] for m in said.json["metrics"]} == {0.0}


@pytest.mark.slow
def test_run_names_a_missing_file_before_it_loads_the_model(
    temper: Any, tiny_recipe: Path
) -> None:
    said = temper("run", tiny_recipe, "--json", "--set", "sources.reviews.path=nowhere.jsonl")
    assert said.code == 2, said.err
    assert said.json["error"]["kind"] == "source"
    assert "torch" not in said.loaded


def test_doctor_names_what_is_missing(temper: Any) -> None:
    said = temper("doctor", "--json")
    assert set(said.json) == {"ok", "checks"}
    assert said.code == (0 if said.json["ok"] else 1)
    assert all(c["fix"] for c in said.json["checks"] if c["state"] == "missing")

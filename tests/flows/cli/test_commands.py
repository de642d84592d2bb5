"""The command line, called as a person or a machine calls it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

HEAVY = {"torch", "mlflow", "great_expectations", "sagemaker", "prefect", "transformers"}
COMMANDS = (
    "run",
    "plan",
    "check",
    "mix",
    "train",
    "evaluate",
    "compare",
    "export",
    "trace",
    "promote",
    "doctor",
)
Fields = dict[str, Any]


def test_help_loads_nothing_heavy(temper: Any) -> None:
    commands = [["--help"], *([command, "--help"] for command in COMMANDS)]
    for said in temper.each(commands, fresh=True):
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
    fields["model"]["path"] = "nowhere/model"  # isn't looked for before the data


def _empty_data(fields: Fields) -> None:
    fields["sources"][0]["path"] = "FOLDER/empty.jsonl"


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
    "an empty data file": (_empty_data, ("empty.jsonl", "empty")),
    "wrong columns": (_wrong_columns, ("reviews", "text", "review")),
    "a share over 1": (_share_over_one, ("mixture.domain_share", "1.5")),
    "an unknown suite": (_unknown_suite, ("mixture.exclude_overlap_with.0", "mmlu")),
    "a gate on a metric no suite gives": (_unknown_metric, ("gates.0.metric", "reviews/macro_f1")),
}


@pytest.fixture(scope="module")
def refusals(
    temper: Any, tiny_fields: Fields, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What ``temper plan`` says of each wrong recipe; one fresh process answers for all."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "empty.jsonl").touch()
    paths = {}
    for number, (what, (spoil, _)) in enumerate(WRONG.items()):
        fields = deepcopy(tiny_fields)
        spoil(fields)
        paths[what] = folder / f"wrong-{number}.yaml"
        paths[what].write_text(
            yaml.safe_dump(fields, sort_keys=False).replace("FOLDER", str(folder))
        )
    paths["a tab"] = folder / "tab.yaml"
    paths["a tab"].write_text("name: tab\nmixture:\n\tdomain_share: 1.0\n")
    said = temper.each([["plan", path] for path in paths.values()], fresh=True)
    return dict(zip(paths, said, strict=True))


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_recipe_gets_one_paragraph_before_any_model_is_loaded(
    refusals: dict[str, Any], what: str
) -> None:
    _is_one_paragraph(refusals[what], *WRONG[what][1])


def test_a_tab_in_yaml_gets_one_paragraph(refusals: dict[str, Any]) -> None:
    _is_one_paragraph(refusals["a tab"], "tab.yaml:3", "spaces")


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
    ],
)
def test_an_error_is_an_object_with_json(
    temper: Any, tiny_recipe: Path, override: str, kind: str, where: str
) -> None:
    said = temper("plan", tiny_recipe, "--json", "--set", override)
    assert said.code == 2, said.err
    assert set(said.json) == {"error"}
    assert set(said.json["error"]) == {"kind", "message", "where", "fix"}
    assert said.json["error"]["kind"] == kind
    assert where in said.json["error"]["where"]
    assert all(said.json["error"].values())


UNITS = {"rows", "tokens", "supervised_tokens"}
ESTIMATE = {"value", "low", "high", "n"}
GATE = {
    "metric",
    "rule",
    "verdict",
    "base",
    "candidate",
    "difference",
    "low",
    "high",
    "n",
    "needed_n",
    "reason",
    "against",
    "alpha",
    "policy",
    "look",
    "seen",
    "fingerprint",
    "candidate_digest",
    "reference_digest",
    "base_chance",
    "candidate_chance",
    "split",
}


@pytest.fixture(scope="module")
def answers(
    temper: Any, tiny_recipe: Path, tiny_model_folder: Path, mixture: Path
) -> dict[str, Any]:
    """What each command says of the tiny recipe with ``--json``."""
    commands = {
        "check": [],
        "plan": [],
        "mix": ["--out", mixture],
        "evaluate": ["--model", tiny_model_folder],
        "run": [],
    }
    said = temper.each([[c, tiny_recipe, "--json", *rest] for c, rest in commands.items()])
    assert [s.code for s in said[:-1]] == [0, 0, 0, 0], said[0].err
    return dict(zip(commands, said, strict=True))


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``temper mix --out`` writes."""
    return tmp_path_factory.mktemp("out") / "mixture"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_check_keeps_its_contract(answers: dict[str, Any]) -> None:
    found = answers["check"].json
    assert set(found) == {"ok", "verdicts", "notes"}
    assert found["ok"] is True
    keys = {"source", "verdict", "rows_in", "rows_out", "findings", "quarantine"}
    keys |= {"reported", "beyond_limit", "overlaps"}
    assert [set(v) for v in found["verdicts"]] == [keys, keys]
    assert [v["rows_in"] for v in found["verdicts"]] == [40, 20]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_plan_keeps_its_contract(answers: dict[str, Any]) -> None:
    found = answers["plan"].json
    assert set(found) == {"digest", "unit", "total", "sources", "gates", "model"}
    line = {"name", "role", "weight", "share", *UNITS, "epochs", "share_got", "note"}
    assert [set(s) for s in found["sources"]] == [line, line]
    assert all(set(s["share_got"]) == UNITS for s in found["sources"])
    assert found["total"] == sum(s[found["unit"]] for s in found["sources"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mix_keeps_its_contract_and_writes_where_it_is_told(
    answers: dict[str, Any], mixture: Path
) -> None:
    found = answers["mix"].json
    assert set(found) == {"digest", "rows", "tokens", "shards", "lock", "seconds"}
    assert {Path(shard).parent for shard in found["shards"]} == {mixture}
    assert all(Path(shard).is_file() for shard in found["shards"])
    assert Path(found["lock"]) == mixture / "mixture.lock.json"
    assert json.loads(Path(found["lock"]).read_text())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_evaluate_keeps_its_contract(answers: dict[str, Any]) -> None:
    found = answers["evaluate"].json
    assert set(found) == {"weights_digest", "suites"}
    assert set(found["suites"]) == {"reviews", "mmlu"}
    # Four new tokens cut every answer of a model that knows nothing; letters are never cut.
    assert (
        found["suites"]["reviews"].pop("truncated")
        == found["suites"]["reviews"]["metrics"]["macro_f1"]["n"]
    )
    for suite in found["suites"].values():
        assert set(suite) == {"metrics", "items"}
        assert all(set(m) == ESTIMATE for m in suite["metrics"].values())
        assert Path(suite["items"]).is_file()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_run_keeps_its_contract_and_its_exit_code_is_the_verdict(answers: dict[str, Any]) -> None:
    said = answers["run"]
    assert said.code in (0, 3, 4), said.err
    report = said.json
    assert set(report) == {
        "run_id",
        "verdict",
        "gates",
        "metrics",
        "scorecard",
        "checkpoint",
        "lock",
    }
    assert said.code == {"PASS": 0, "FAIL": 3, "INCONCLUSIVE": 4}[report["verdict"]]
    assert [set(g) for g in report["gates"]] == [GATE, GATE]
    assert set(report["metrics"]) == {"base", "candidate"}
    assert set(report["metrics"]["base"]) == set(report["metrics"]["candidate"])
    assert all(set(m) == ESTIMATE for m in report["metrics"]["candidate"].values())
    assert all(Path(report[key]).exists() for key in ("scorecard", "checkpoint", "lock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_compared_with_itself_differs_in_nothing(
    temper: Any, answers: dict[str, Any]
) -> None:
    run_id = answers["run"].json["run_id"]
    said = temper("compare", run_id, run_id[:12], "--json")
    assert said.code == 0, said.err
    assert set(said.json) == {"a", "b", "metrics", "slices", "flips", "unmatched"}
    assert said.json["flips"] == []
    assert {m["difference"] for m in said.json["metrics"]} == {0.0}


def test_without_the_training_extra_a_mixture_is_made_and_a_run_says_what_to_install(
    temper: Any, tiny_recipe: Path
) -> None:
    extra = "torch trl peft accelerate safetensors gguf"
    mixed, ran = temper.each([[c, tiny_recipe, "--json"] for c in ("mix", "run")], without=extra)
    assert mixed.code == 0, mixed.err
    assert mixed.json["rows"] > 0
    assert ran.code == 1
    assert ran.json["error"]["kind"] == "setup"
    assert "[train]" in ran.json["error"]["fix"]
    assert mixed.loaded & set(extra.split()) == set()


def test_doctor_names_what_is_missing(temper: Any) -> None:
    said = temper("doctor", "--json")
    assert set(said.json) == {"ok", "checks"}
    assert said.code == (0 if said.json["ok"] else 1)
    assert all(c["fix"] for c in said.json["checks"] if c["state"] == "missing")

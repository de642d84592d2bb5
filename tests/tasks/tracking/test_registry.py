import json
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from configs.settings import Settings
from tasks.errors import EvaluationError
from tasks.scores import GateResult
from tasks.tracking.registry import (
    Record,
    champion_of,
    register_version,
    require_passing_record,
    set_champion,
)


def gate(**changes: Any) -> dict[str, Any]:
    seen = {"base": 0.25, "candidate": 0.75, "difference": 0.5, "low": 0.4, "high": 0.6, "n": 60}
    known = {"reference_digest": "b" * 64, "candidate_digest": "c" * 64, "reason": "0.4 better"}
    fields = {
        **seen,
        **known,
        "metric": "voc/macro_f1",
        "rule": "improve",
        "verdict": "PASS",
        "needed_n": None,
        **changes,
    }
    return GateResult(**fields).model_dump(mode="json")


def record(run_id: str = "run", **changes: Any) -> Record:
    fields = {"run_id": run_id, "verdict": "PASS", "candidate": "c" * 64, "gates": (gate(),)}
    return Record(**{**fields, **changes})


@pytest.fixture(scope="module")
def run_id(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run in a store of this module's own: making one takes seconds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPER_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        client = MlflowClient(Settings().tracking_uri)
        experiment = client.create_experiment("voc", (home / "artifacts").as_uri())
        yield client.create_run(experiment).info.run_id


def test_a_version_carries_its_record_and_the_champion_is_an_alias(run_id: str) -> None:
    assert champion_of("voc-0") is None
    release = register_version("voc-0", record(run_id))
    assert champion_of("voc-0") is None
    client = MlflowClient(Settings().tracking_uri)
    assert client.get_model_version_by_alias("voc-0", "challenger").version == 1
    set_champion(release)
    assert champion_of("voc-0") == release
    assert (release.run_id, release.weights) == (run_id, "c" * 64)
    version = client.get_model_version("voc-0", release.version)
    assert json.loads(version.tags["gates"])[0]["reference_digest"] == "b" * 64
    assert version.aliases == ["champion"]
    assert version.source == f"runs:/{run_id}/release"
    [kept] = client.list_artifacts(run_id, "release")
    assert kept.path == "release/gates.json"


def test_the_same_weights_are_one_version_and_others_another(run_id: str) -> None:
    first, again = (register_version("voc-1", record(run_id)) for _ in "ab")
    other = register_version("voc-1", record(run_id, candidate="d" * 64))
    assert (first.version, again.version, other.version) == ("1", "1", "2")
    set_champion(first)
    set_champion(other)
    found = champion_of("voc-1")
    assert found is not None
    assert found.version == "2"


def test_more_gates_than_a_tag_holds_are_kept_whole_in_the_run(run_id: str) -> None:
    client = MlflowClient(Settings().tracking_uri)
    for number in (12, 300):
        many = record(
            run_id,
            gates=tuple(gate(metric=f"s/m{i}") for i in range(number)),
            candidate=f"{number:064d}",
        )
        release = register_version("voc-2", many)
        tag = json.loads(client.get_model_version("voc-2", release.version).tags["gates"])
        assert len(tag) == 12 if number == 12 else tag["gates"] == 300


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "FAIL"}, "verdict is FAIL"),
        ({"verdict": "INCONCLUSIVE"}, "verdict is INCONCLUSIVE"),
        ({"gates": ()}, "no gates"),
        ({"gates": (gate(candidate_digest="e" * 64),)}, "other weights"),
        ({"gates": (gate(reference_digest=""),)}, "doesn't name the weights"),
    ],
)
def test_only_a_pass_that_names_both_weights_is_proof(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        require_passing_record(record(**changes), None)
    require_passing_record(record(**changes, waiver="the old one is down"), None)


def test_a_pass_on_dev_items_chooses_and_does_not_release() -> None:
    chosen = record(gates=(gate(), gate(split="dev")))
    with pytest.raises(EvaluationError, match="judged on dev items: chosen, not confirmed"):
        require_passing_record(chosen, None)
    require_passing_record(record(gates=(gate(split="test"),)), None)
    require_passing_record(chosen.model_copy(update={"waiver": "a trial of one day"}), None)


def test_a_record_against_a_former_champion_is_no_proof(run_id: str) -> None:
    against = gate(against="champion", reference_digest="d" * 64)
    require_passing_record(record(gates=(against,)), None)
    former = register_version("voc-4", record(run_id, candidate="d" * 64))
    require_passing_record(record(gates=(against,)), former)
    present = register_version("voc-4", record(run_id, candidate="e" * 64))
    with pytest.raises(EvaluationError, match="another model than the present champion"):
        require_passing_record(record(gates=(against,)), present)

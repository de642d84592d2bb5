from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from configs.settings import Settings
from tasks.errors import DataError, EvaluationError
from tasks.scores import GateResult
from tasks.tracking.registry import (
    Record,
    champion_of,
    release_history,
    release_version,
    require_passing_record,
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
    release = release_version("voc-0", record(run_id))
    client = MlflowClient(Settings().tracking_uri)
    assert champion_of("voc-0") == release
    assert (release.run_id, release.weights) == (run_id, "c" * 64)
    version = client.get_model_version("voc-0", release.version)
    [entry] = release_history("voc-0")
    assert entry["gates"][0]["reference_digest"] == "b" * 64
    assert entry["who"]
    assert entry["when"]
    assert version.aliases == ["champion"]
    assert version.source == f"runs:/{run_id}/release"
    [kept] = client.list_artifacts(run_id, "release")
    assert kept.path == entry["see"]


def test_the_same_weights_are_one_version_and_others_another(run_id: str) -> None:
    first, again = (release_version("voc-1", record(run_id)) for _ in "ab")
    other = release_version("voc-1", record(run_id, candidate="d" * 64))
    assert (first.version, again.version, other.version) == ("1", "1", "2")
    found = champion_of("voc-1")
    assert found is not None
    assert found.version == "2"


def test_what_was_written_of_a_release_is_never_changed(run_id: str) -> None:
    first = record(run_id, verdict="INCONCLUSIVE", waiver="the old one is down")
    release_version("voc-5", first)
    release_version("voc-5", record(run_id, verdict="FAIL", waiver="and it still is"))
    release_version("voc-5", record(run_id))
    history = release_history("voc-5")
    assert [(e["verdict"], e["waiver"]) for e in history] == [
        ("INCONCLUSIVE", "the old one is down"),
        ("FAIL", "and it still is"),
        ("PASS", None),
    ]
    client = MlflowClient(Settings().tracking_uri)
    kept = {a.path for a in client.list_artifacts(run_id, "release")}
    assert {e["see"] for e in history} <= kept


def test_more_gates_than_a_tag_holds_are_kept_whole_in_the_run(run_id: str) -> None:
    for number in (12, 300):
        many = record(
            run_id,
            gates=tuple(gate(metric=f"s/m{i}") for i in range(number)),
            candidate=f"{number:064d}",
        )
        release_version("voc-2", many)
    few, more = (entry["gates"] for entry in release_history("voc-2"))
    assert len(few) == 12
    assert more == {"gates": 300}


def test_a_name_that_mlflow_refuses_is_named(run_id: str) -> None:
    with pytest.raises(DataError, match="takes no registered model of that name"):
        release_version("a/b", record(run_id))


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
    former = release_version("voc-4", record(run_id, candidate="d" * 64))
    require_passing_record(record(gates=(against,)), former)
    present = release_version("voc-4", record(run_id, candidate="e" * 64))
    with pytest.raises(EvaluationError, match="another model than the present champion"):
        require_passing_record(record(gates=(against,)), present)

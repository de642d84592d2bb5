"""``temper run`` on SageMaker without AWS: S3 by a moto server, jobs by the stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]
Fields = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def jobs(open_account: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """AWS on loopback for every command of this module; returns the folder of the jobs."""
    from tasks.errors import SetupError
    from tasks.training.backends.sagemaker.standin.mounts import way_in

    try:
        way_in()
    except SetupError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("standin")
    with pytest.MonkeyPatch.context() as patch:
        open_account(patch, {"TEMPER_SAGEMAKER_STANDIN": str(folder)})
        yield folder


@pytest.fixture
def recipe(tiny_fields: Fields, tmp_path: Path) -> Path:
    """The tiny recipe, trained on SageMaker."""
    backend = {"kind": "sagemaker", "instance_type": "ml.m5.xlarge", "install": False}
    fields = {**tiny_fields, "training": {**tiny_fields["training"], "backend": backend}}
    path = tmp_path / "remote.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def test_a_run_ends_with_a_scorecard_of_what_the_job_trained(
    temper: Any, recipe: Path, jobs: Path
) -> None:
    said = temper("run", recipe, "--json")
    assert said.code in (0, 3, 4), said.err
    assert "SDK" not in said.err
    assert Path(said.json["scorecard"]).is_file()
    [job] = [p for p in jobs.iterdir() if p.is_dir()]
    state = json.loads((job / "state.json").read_text())
    assert state["TrainingJobStatus"] == "Completed"
    checkpoint = Path(said.json["checkpoint"])
    trained = json.loads((checkpoint / "job.json").read_text())
    assert trained["folder"] == "/opt/ml/work"
    assert job.name == f"temper-{trained['key'][:32]}-1"
    again = temper("run", recipe, "--json")
    assert again.code == said.code
    assert again.json["checkpoint"] == said.json["checkpoint"]
    assert [p.name for p in jobs.iterdir() if p.is_dir()] == [job.name]

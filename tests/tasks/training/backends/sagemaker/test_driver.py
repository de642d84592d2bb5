"""The side inside the container: what arrives, what is started, what is left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs.backends import LocalBackend
from configs.training import Training
from tasks.artifacts import LocalModel, MixtureReceipt, PackedMixture
from tasks.training.backends.sagemaker import driver
from tasks.training.backends.sagemaker.driver import Container
from tasks.training.job import TrainingJob
from tasks.training.resume import mark


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Container:
    """A machine's /opt/ml with a job of packs."""
    monkeypatch.setenv("TRAINING_JOB_NAME", "temper-x-1")
    found = Container(tmp_path / "ml")
    there = Path("/opt/ml/input/data")
    job = TrainingJob(
        key="k" * 64,
        folder=there,
        seed=1,
        steps=4,
        training=Training(packing="on"),
        model=LocalModel(path=there, digest="a" * 64, name="m", tokenizer_digest="t" * 64),
        mixture=MixtureReceipt(
            path=there,
            digest="b" * 64,
            rows=8,
            tokens=80,
            supervised_tokens=8,
            shards=("s",),
            sources=("a",),
        ),
        packs=PackedMixture(
            path=there,
            digest="c" * 64,
            mixture_digest="b" * 64,
            capacity=16,
            window=8,
            overflow="drop",
            packs=4,
            rows=8,
            tokens=80,
            supervised_tokens=8,
            shards=("s",),
            sources=("a",),
            lost={},
        ),
    )
    folder = found.channel("job")
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json())
    config = found.root / "input" / "config"
    config.mkdir(parents=True)
    (config / "inputdataconfig.json").write_text('{"job": {}, "model": {}}')
    (config / "hyperparameters.json").write_text('{"steps": "4"}')
    return found


def _hosts(container: Container, current: str, *hosts: str, interface: str = "lo") -> None:
    config = {"current_host": current, "hosts": list(hosts), "network_interface_name": interface}
    path = container.root / "input" / "config" / "resourceconfig.json"
    path.write_text(json.dumps(config))


def test_every_artifact_of_the_job_has_its_channel_s_path(container: Container) -> None:
    job = driver.fetch_job(container)
    assert job.model.path == container.channel("model")
    assert job.mixture.path == container.channel("mixture")
    assert job.packs is not None
    assert job.packs.path == container.channel("packs")
    assert job.folder == container.work
    assert json.loads((container.work / "job.json").read_text())["key"] == job.key


def test_states_lie_where_the_service_keeps_them_in_step_with_s3(container: Container) -> None:
    driver.fetch_job(container)
    (container.work / "states" / "file").write_text("x")
    assert (container.checkpoints / "states" / "file").read_text() == "x"
    driver.fetch_job(container)  # on the same disk again, as when the service retries


def test_a_spot_machine_goes_on_from_the_newest_whole_state(container: Container) -> None:
    states = container.checkpoints / "states"
    for step in (1, 2):
        folder = states / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "optimizer.pt").write_bytes(b"x" * 10)
        mark(folder, step, step, "c" * 64)
    (states / "checkpoint-2" / "optimizer.pt").write_bytes(b"x" * 5)
    job = driver.fetch_job(container)
    assert driver.resumed_step(container, job) == 1
    assert not (states / "checkpoint-2").exists()


def test_only_new_records_are_printed(
    container: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.fetch_job(container)
    lines = [json.dumps({"step": s, "loss": 1.0 / s}) for s in (1, 2, 3)]
    (container.work / "losses.jsonl").write_text("".join(f"{x}\n" for x in lines) + '{"ste')
    assert driver._pass_on(container, 1) == 3
    assert capsys.readouterr().out == f"temper {lines[1]}\ntemper {lines[2]}\n"


def test_one_process_is_started_plainly_and_more_by_torchrun(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hosts(container, "algo-1", "algo-1")
    job = driver.fetch_job(container)
    assert driver.command(container, job)[1:3] == ["-m", "tasks.training.trainer"]
    sharded = job.training.model_copy(update={"backend": LocalBackend(sharding="fsdp")})
    found = driver.command(container, job.model_copy(update={"training": sharded}))
    assert found[1:4] == ["-m", "torch.distributed.run", "--nproc-per-node=1"]
    monkeypatch.setattr(driver, "gpus", lambda: 8)
    _hosts(container, "algo-10", "algo-1", "algo-10", "algo-2")
    found = driver.command(container, job)
    assert found[1:7] == [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=8",
        "--nnodes=3",
        "--node-rank=2",
        "--master-addr=algo-1",
    ]


def test_the_users_own_rewards_can_be_imported_by_the_trainer(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/ml/code")
    assert driver.environment(container)["PYTHONPATH"] == "/opt/ml/code"
    own = container.channel("rewards")
    own.mkdir()
    (own / "my_rewards.py").write_text("def polite(answer, reference, row): return 1.0\n")
    found = driver.environment(container)
    assert found["PYTHONPATH"].split(":") == [str(own), "/opt/ml/code"]
    code = "import my_rewards; print(my_rewards.polite(1, 2, 3))"
    done = subprocess.run([sys.executable, "-c", code], env=found, capture_output=True, text=True)
    assert done.stdout == "1.0\n", done.stderr


def test_the_machines_of_a_job_meet_at_one_port_by_the_service_s_interface(
    container: Container,
) -> None:
    ports = {driver.port("temper-x-1"), driver.port("temper-x-1")}
    assert len(ports) == 1
    assert ports != {driver.port("temper-x-2")}
    _hosts(container, "algo-1", "algo-1")
    assert "GLOO_SOCKET_IFNAME" not in container.variables()
    _hosts(container, "algo-2", "algo-1", "algo-2", interface="eth0")
    found = container.variables()
    assert json.loads(found["SM_HOSTS"]) == ["algo-1", "algo-2"]
    assert (found["SM_CURRENT_HOST"], found["SM_HOST_COUNT"]) == ("algo-2", "2")
    assert found["GLOO_SOCKET_IFNAME"] == found["NCCL_SOCKET_IFNAME"] == "eth0"


def test_another_machine_than_the_first_leaves_nothing_when_all_went_well(
    container: Container,
) -> None:
    _hosts(container, "algo-2", "algo-1", "algo-2")
    driver.fetch_job(container)
    assert driver.publish_result(container, 0) == 0
    assert list(container.model.iterdir()) == []
    assert not (container.checkpoints / "ends").exists()


def test_another_machine_s_reason_is_told_where_it_has_one(container: Container) -> None:
    _hosts(container, "algo-2", "algo-1", "algo-2")
    driver.fetch_job(container)
    assert driver.publish_result(container, -15) != 0
    assert "was stopped" in container.failure.read_text()
    assert not (container.checkpoints / "ends").exists()
    (container.work / "result.json").write_text('{"status": "failed", "message": "disk full"}')
    assert driver.publish_result(container, 1) == 1
    [end] = (container.checkpoints / "ends").iterdir()
    assert json.loads(end.read_text())["message"] == "disk full"


def test_a_completed_job_leaves_its_model_and_streams(container: Container) -> None:
    driver.fetch_job(container)
    (container.work / "out").mkdir()
    (container.work / "out" / "model.safetensors").write_text("w")
    for name in ("losses.jsonl", "rows.jsonl"):
        (container.work / name).write_text("{}\n")
    (container.work / "result.json").write_text('{"status": "completed"}')
    assert driver.publish_result(container, 0) == 0
    left = {str(p.relative_to(container.model)) for p in container.model.rglob("*") if p.is_file()}
    assert left == {
        "out/model.safetensors",
        "losses.jsonl",
        "rows.jsonl",
        "job.json",
        "result.json",
    }
    assert not container.failure.exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [(-9, "memory runs out"), (-15, "was stopped"), (7, "ended with code 7")],
)
def test_a_trainer_that_left_nothing_is_explained(
    container: Container, code: int, said: str
) -> None:
    driver.fetch_job(container)
    assert driver.publish_result(container, code) != 0
    assert said in container.failure.read_text()


def test_a_long_reason_is_kept_whole_beside_the_states(container: Container) -> None:
    driver.fetch_job(container)
    reason = "x" * 5000
    (container.work / "result.json").write_text(json.dumps({"status": "failed", "message": reason}))
    assert driver.publish_result(container, 1) == 1
    kept = json.loads((container.checkpoints / "ends" / "temper-x-1.json").read_text())
    assert kept["message"] == reason


def test_the_trainer_is_told_what_the_service_s_own_scripts_would_tell(
    container: Container,
) -> None:
    found = container.variables()
    assert found["SM_CHANNEL_MODEL"] == str(container.channel("model"))
    assert json.loads(found["SM_HPS"]) == {"steps": "4"}
    assert json.loads(found["SM_HOSTS"]) == ["algo-1"]
    assert found["SM_MODEL_DIR"] == str(container.model)

"""A sharded model is saved as the whole one is; shown with two processes on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from configs.backends import LocalBackend  # noqa: E402
from configs.training import Training  # noqa: E402
from tasks.artifacts import LocalModel  # noqa: E402
from tasks.models.identity import weights_digest  # noqa: E402
from tasks.training.models import adapter_config, gathered, load_base, save_merged  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]
LORA: dict[str, Any] = {"adapter": {"rank": 4, "targets": ["q_proj", "v_proj"]}}


def learnt(model: LocalModel, training: Training) -> Any:
    """A model with weights that are not the base's, the same wherever it is made."""
    from peft import get_peft_model

    made = load_base(model, training, "float32")
    torch.manual_seed(5)
    if training.adapter:
        made = get_peft_model(made, adapter_config(training.adapter))
    with torch.no_grad():
        for weight in made.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
    return made


def save_sharded(told: Path) -> None:
    """What each of the processes does."""
    from torch.distributed.fsdp import fully_shard

    given = json.loads(told.read_text())
    training = Training.model_validate(given["training"])
    base = LocalModel.model_validate(given["model"])
    torch.distributed.init_process_group("gloo")
    model = learnt(base, training)
    for layer in model.get_base_model().model.layers if training.adapter else model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    whole = gathered(training, model)
    if torch.distributed.get_rank() == 0:
        save_merged(base, training, model, Path(given["out"]), whole)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("section", [{"adapter": None}, LORA], ids=["whole", "adapter"])
def test_what_two_processes_share_is_saved_as_one_would(
    tiny_model: LocalModel, tmp_path: Path, section: dict[str, Any]
) -> None:
    training = Training(dtype="float32", backend=LocalBackend(sharding="fsdp"), **section)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    save_merged(tiny_model, training, learnt(tiny_model, training), alone)
    told = tmp_path / "told.json"
    told.write_text(
        json.dumps(
            {
                "training": training.model_dump(mode="json"),
                "out": str(shared),
                "model": tiny_model.model_dump(mode="json"),
            }
        )
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--rdzv-backend=c10d",
            "--rdzv-endpoint=127.0.0.1:0",
            "--local-addr=127.0.0.1",
            __file__,
            str(told),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert weights_digest(shared) == weights_digest(alone) != tiny_model.digest
    files = [sorted(str(f.relative_to(out)) for f in out.rglob("*")) for out in (alone, shared)]
    assert files[0] == files[1]
    settings = [json.loads((out / "config.json").read_text()) for out in (alone, shared)]
    assert settings[0] == settings[1]


if __name__ == "__main__":
    save_sharded(Path(sys.argv[1]))

"""Sharded models take steps of unequal documents; shown with two processes on a CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from fakes.families import make_family  # noqa: E402

from configs.training import Lora  # noqa: E402
from tasks.training.layouts import choose_layout  # noqa: E402
from tasks.training.loader import MicroBatches, Rank, Shape  # noqa: E402
from tasks.training.models import adapter_config  # noqa: E402
from tasks.training.sft import supervised_logits, token_nats  # noqa: E402

pytestmark = pytest.mark.slow
# By length to and fro, the first process gets 90 and 20, which are two passes, the other 50 and 40.
LENGTHS = (90, 50, 40, 20)


def rows():
    for i, length in enumerate(LENGTHS):
        ids = [5 + (7 * i + 3 * j) % 250 for j in range(length)]
        yield {"row_id": str(i), "input_ids": ids, "labels": list(ids), "source": "a"}


def slopes(model, place: Rank, layout) -> float:
    """Take a step's passes and return the length of its gradient."""
    batch = MicroBatches(Shape(0, 100, layout), ["a"], place)(list(rows()))
    for micro in batch["micro"]:
        logits, at = supervised_logits(model, micro)
        loss = token_nats(logits, micro, at).sum() / batch["supervised"]
        (loss * place.world).backward()
    found = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return float(found.full_tensor() if hasattr(found, "full_tensor") else found)


def adapted(adapter: bool):
    model = make_family("llama")
    if adapter:
        from peft import get_peft_model

        # A frozen base in 16 bits, and an adapter in 32.
        torch.manual_seed(1)
        model = get_peft_model(model.bfloat16(), adapter_config(Lora(rank=4), model))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
    return model


def take_step(adapter: bool) -> None:
    """What each of the processes does."""
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo")
    place = Rank(torch.distributed.get_rank(), 2)
    whole = slopes(adapted(adapter), Rank(), "sorted")
    model = adapted(adapter)
    inner = model.get_base_model() if adapter else model
    for layer in inner.model.layers:
        fully_shard(layer)
    fully_shard(model)
    choice = choose_layout(model, list(rows()), "packed", 0)
    assert choice.layout == "packed", choice
    count = len(MicroBatches(Shape(0, 100, "packed"), ["a"], place)(list(rows()))["micro"])
    shared = slopes(model, place, choice.layout)
    print(f"\npasses {count} alone {whole:.4f} shared {shared:.4f}", flush=True)
    assert abs(shared - whole) < (0.05 if adapter else 1e-3) * whole
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_two_processes_of_a_sharded_model_take_a_step_of_unequal_documents(kind: str) -> None:
    tests = Path(__file__).parents[2]
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
            kind,
        ],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {line.split()[1] for line in done.stdout.splitlines() if "passes" in line} == {"2"}


if __name__ == "__main__":
    take_step(sys.argv[1] == "adapter")

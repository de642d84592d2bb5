"""What a running job leaves for whoever watches: a metrics stream, the rows it used, its states."""

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from tasks.errors import TrainingError
from tasks.training.grpo import RewardTrainer
from tasks.training.layouts import choose_layout
from tasks.training.loader import MicroBatches, Shape
from tasks.training.models import check_sharding
from tasks.training.resume import ROWS, STREAM, keep_streams, mark
from tasks.training.sft import PlanTrainer
from tasks.training.trainer_step import PlanSteps


class Stream(TrainerCallback):  # type: ignore[misc]
    """Appends one JSON line a step to ``losses.jsonl`` and ``rows.jsonl``, flushed.

    A record has ``step``, ``time`` (seconds since 1970), ``loss`` and ``loss/SOURCE`` (nats a
    supervised token), ``tokens``, ``supervised_tokens`` and both a second, ``learning_rate``,
    ``grad_norm`` and ``memory`` (peak bytes of this process, or of its GPU). Steps are of all
    processes together, and the first process writes.
    """

    def __init__(self, folder: Path, trainer: PlanSteps) -> None:
        self._folder, self._trainer = folder, trainer

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write the record of the step just finished, with what Trainer logged of it."""
        if not logs or "grad_norm" not in logs:
            return
        record = {
            "step": state.global_step,
            "time": time.time(),
            **self._trainer.step_record,
            "learning_rate": logs["learning_rate"],
            "grad_norm": float(logs["grad_norm"]),
            "memory": peak_memory(),
        }
        rows = self._gathered(self._trainer.step_rows)
        if self._trainer.place.rank == 0:
            self._append(ROWS, {"step": state.global_step, "rows": rows})
            self._append(STREAM, record)

    def _gathered(self, rows: Sequence[str]) -> list[str]:
        if self._trainer.place.world == 1:
            return list(rows)
        from accelerate.utils import gather_object

        found: list[str] = gather_object(list(rows))
        return found

    def _append(self, name: str, record: dict[str, Any]) -> None:
        with (self._folder / name).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


class Marker(TrainerCallback):  # type: ignore[misc]
    """Checks how the model was wrapped when training begins, and marks states as they are saved.

    Args:
        job: The job.
        data: Digest of what it is trained on.
        rows: Rows or packs of it.
        rank: Of this process.
    """

    def __init__(self, job: Any, data: str, rows: int, rank: int) -> None:
        self._job, self._data, self._rows, self._rank = job, data, rows, rank

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Raise where the sharding that was asked for was not obtained."""
        check_sharding(self._job.training, given["model"])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the state just saved."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if self._rank == 0:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            keep_streams(self._job.folder, folder)
            position = min(state.global_step * self._job.training.batch_rows, self._rows)
            mark(folder, state.global_step, position, self._data)


class LayoutProbe(TrainerCallback):  # type: ignore[misc]
    """Asks the model, as it was wrapped, which layout it gets right, before the first step.

    Args:
        trainer: Whose collator is told.
        longest: Tokens of the longest document.
    """

    def __init__(self, trainer: PlanSteps, longest: int) -> None:
        self._trainer, self._longest = trainer, longest

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the layout.

        Raises:
            TrainingError: The method pads its rows, and the model can't leave padding out.
        """
        trainer, collate = self._trainer, self._trainer.data_collator
        shape = getattr(collate, "shape", Shape(0, 0))
        rows = trainer.first_rows()
        with trainer.compute_loss_context_manager():
            choice = choose_layout(trainer.model, rows, shape.layout, shape.pad_id, self._longest)
            if isinstance(trainer, PlanTrainer):
                trainer.verify_head(rows)
        trainer.layout = choice
        if isinstance(collate, MicroBatches):
            collate.shape = shape._replace(layout=choice.layout)
        elif isinstance(trainer, RewardTrainer) and choice.layout == "unpadded":
            raise TrainingError(
                f"the model can't be trained on padded rows ({choice.reason}), and rewards are.",
                where="training.method",
                fix="take method sft or dpo, or another model.",
            )


def peak_memory() -> int:
    """Return the most bytes this process has had: of its GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_rows(stream: Path, planned: Iterator[Sequence[str]], left_over: int = 0) -> int:
    """Compare the rows that steps consumed with the plan, step by step; return how many there were.

    Args:
        stream: ``rows.jsonl``.
        planned: Row ids of each step, in plan order.
        left_over: Rows that the last step may lack.

    Raises:
        TrainingError: A step used other rows than the plan's.
    """
    count = 0
    with stream.open(encoding="utf-8") as lines:
        for step, (line, wanted) in enumerate(zip(lines, planned, strict=True), start=1):
            used = json.loads(line)
            # Within a step rows are taken by length, and shared out: its set is what is promised.
            missing = sorted(set(wanted) - set(used["rows"]))
            extra = sorted(set(used["rows"]) - set(wanted))
            many = len(wanted) - len(used["rows"])
            if (
                used["step"] != step
                or extra
                or len(missing) > left_over
                or not 0 <= many <= left_over
            ):
                raise TrainingError(
                    f"step {step} consumed other rows than the plan's: {extra[:3]} for "
                    f"{missing[:3]}.",
                    where=str(stream),
                    fix="delete the job's folder and run again.",
                )
            count += len(used["rows"])
    return count

"""TRL's GRPOTrainer on steps of the plan: questions, answered by sampling and rewarded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from trl import GRPOTrainer

from configs.training import Reward
from tasks.errors import TrainingError
from tasks.training.loader import Micro, Rank, Row, dealt
from tasks.training.rewards import labels_of, open_reward, reward_of
from tasks.training.trainer_step import Batch, PlanSteps

KEPT = (
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "completions/mean_length",
    "completions/clipped_ratio",
)
"""What TRL measures of a step's answers that is kept; gathered over processes."""


class Questions:
    """Collates the questions of an optimiser step, each as often as answers are sampled.

    All processes take equally many questions, as TRL gathers their rewards in groups: the last
    ``rows % world`` of a short step are left out (``left_over`` counts them).
    """

    def __init__(self, answers: int, decode: Any, place: Rank = Rank()) -> None:  # noqa: B008
        self._answers, self._decode, self._place = answers, decode, place
        self.left_over = 0

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return ``{"questions": [...], "rows": ids, "micro": []}``."""
        whole = len(rows) - len(rows) % self._place.world
        self.left_over += len(rows) - whole
        own = dealt(rows[:whole], self._place)
        if not own:
            raise TrainingError(
                f"the last step has {len(rows)} row(s) for {self._place.world} processes.",
                where="mixture",
                fix="choose batch_rows so that the last step has a row for each.",
            )
        asked = [self._question(row) for row in own for _ in range(self._answers)]
        return {"questions": asked, "rows": [r["row_id"] for r in own], "micro": []}

    def _question(self, row: Row) -> dict[str, Any]:
        ids = [int(token) for token in row["input_ids"]]
        return {
            "prompt": self._decode(ids),
            "prompt_ids": ids,
            "row_id": row["row_id"],
            "reference": json.loads(str(row["reference"])),
            "source": row["source"],
        }


class Grader:
    """A reward as GRPOTrainer calls it: on all answers of a step at once.

    Args:
        reward: Which, from the recipe.
        references: Of all rows: the labels there are.
    """

    def __init__(self, reward: Reward, references: Sequence[Any]) -> None:
        self._function, self._reward = open_reward(reward), reward
        self._labels = labels_of(references)
        self.__name__ = reward.name.replace(":", ".")

    def __call__(
        self,
        completions: Sequence[str],
        reference: Sequence[Any],
        row_id: Sequence[str],
        **more: Any,
    ) -> list[float]:
        """Return the reward of each answer."""
        return [
            reward_of(
                self._function,
                self._reward.name,
                answer,
                {"reference": known, "row_id": row, "labels": self._labels},
            )
            for answer, known, row in zip(completions, reference, row_id, strict=True)
        ]


class RewardTrainer(PlanSteps, GRPOTrainer):  # type: ignore[misc]
    """Samples answers to a step's questions, rewards them, and learns from the step once.

    Each step's answers come from the weights before it, so the ratio to the sampling policy is 1
    and the update is on-policy. The loss is token-normalised over all answers of the step (DAPO,
    Yu et al. 2025), so that cutting it into micro-batches doesn't change it.

    Args:
        budget: Most tokens of a micro-batch, padding included.
    """

    def __init__(self, *args: Any, budget: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._budget = budget
        self._asked: list[Mapping[str, Any]] = []

    def prepare_step(self, batch: Batch) -> Batch:
        """Return the batch with the step's answers in micro-batches."""
        self._metrics["train"].clear()
        self._asked = batch["questions"]
        made = self._generate_and_score_completions(batch["questions"])
        # TRL divides by what it is told of accumulation; here the parts are already of one sum.
        self.current_gradient_accumulation_steps = self.args.steps_per_generation
        sizes = made["prompt_ids"].size(1) + made["completion_ids"].size(1)
        rows = self._rows_each(len(made["prompt_ids"]), max(1, self._budget // sizes))
        self._items = made.pop("num_items_in_batch")
        parts = [
            {
                name: value[start : start + rows]
                for name, value in made.items()
                if isinstance(value, torch.Tensor)
            }
            for start in range(0, len(made["prompt_ids"]), rows)
        ]
        self._lengths = torch.stack([made["prompt_mask"].sum(), made["completion_mask"].sum()])
        return {**batch, "micro": parts}

    def _rows_each(self, rows: int, wanted: int) -> int:
        """Return the answers of a micro-batch, the same on every process."""
        each = torch.tensor([min(wanted, rows)], device=self.args.device)
        return int(self.accelerator.gather(each).min()) if self.place.world > 1 else int(each)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        # The questions were rendered with their tools when the mixture was made.
        return [question["prompt_ids"] for question in self._asked], None, {}

    def micro_loss(self, model: Any, micro: Micro, batch: Batch) -> torch.Tensor:
        """Return the micro-batch's part of the step's loss."""
        loss: torch.Tensor = self._compute_loss(model, {**micro, "num_items_in_batch": self._items})
        # TRL scales by the number of processes, for a wrapper that averages; so does the step.
        return loss / self.place.world

    def measured(self, batch: Batch) -> dict[str, float]:
        """Return tokens and rewards, as TRL gathered them over processes."""
        tokens = self.summed(self._lengths.float()).tolist()
        found = self._metrics["train"]
        kept = {name: found[name][-1] for name in KEPT if found.get(name)}
        named = {name: found[name][-1] for name in found if name.startswith("rewards/")}
        kl = {"kl_to_base": sum(found["kl"]) / len(found["kl"])} if found.get("kl") else {}
        return {"tokens": sum(tokens), "supervised_tokens": tokens[1], **kept, **named, **kl}

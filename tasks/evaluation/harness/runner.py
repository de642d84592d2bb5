"""A task of lm-evaluation-harness put to any model."""

import importlib.metadata
import importlib.util
import json
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from configs.suites.harness import HarnessSuite
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.harness.samples import rows_of
from tasks.evaluation.items import ItemRow
from tasks.models.api import Model
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.overlap import Item

_ASKED = (
    "task",
    "output_type",
    "description",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "target_delimiter",
    "fewshot_delimiter",
    "num_fewshot",
    "fewshot_config",
    "gen_prefix",
    "generation_kwargs",
    "repeats",
    "filter_list",
    "metadata",
)
"""Fields of a task that decide what is asked and how it is read; where its data lay does not."""


def open_harness(suite: HarnessSuite, split: str) -> "HarnessRunner":
    """Return the task with its items.

    Raises:
        EvaluationError: ``split`` is dev, or the harness knows no such task.
        SetupError: lm-evaluation-harness isn't installed.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise SetupError(
            "a suite of kind harness needs lm-evaluation-harness.",
            where=f"evaluation.suites.{suite.name}",
            fix="pip install 'temper-llm[harness]'",
        )
    if split != "test":
        raise EvaluationError(
            "a task of the harness has test items alone, and these are not for choosing.",
            where=f"evaluation.suites.{suite.name}",
            fix="take the suite out where split is dev.",
        )
    return HarnessRunner(suite)


@dataclass(frozen=True)
class HarnessRunner:
    """One task, or the tasks of a group."""

    suite: HarnessSuite
    labels: None = None

    @cached_property
    def tasks(self) -> dict[str, Any]:
        """The harness's tasks by name, their data loaded."""
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        try:
            found: dict[str, Any] = self._manager.load([self.suite.task])["tasks"]
        except (KeyError, ValueError, OSError) as error:
            raise EvaluationError(
                f"the harness can't load '{self.suite.task}': {error}",
                where=f"evaluation.suites.{self.suite.name}.task",
                fix="name one of its tasks, or give include: the folder of yours.",
            ) from error
        return found

    @property
    def content(self) -> str:
        """Digest of items, examples and the tasks' templates, with the harness's version."""
        tasks = [self._content(task) for _, task in sorted(self.tasks.items())]
        return digest_of({"tasks": tasks, "version": importlib.metadata.version("lm_eval")})

    @property
    def needs(self) -> Literal["answers", "log_probs"]:
        """Answers where all tasks generate."""
        kinds = {task.OUTPUT_TYPE for task in self.tasks.values()}
        return "answers" if kinds == {"generate_until"} else "log_probs"

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Have the harness ask and judge; its per-item results become our rows."""
        from lm_eval import simple_evaluate

        from tasks.evaluation.harness.bridge import BridgedModel

        bridge = BridgedModel(model, self.suite, progress)
        found = simple_evaluate(
            model=bridge,
            tasks=[self.suite.task],
            num_fewshot=self.suite.shots,
            limit=self.suite.limit,
            task_manager=self._manager,
            log_samples=True,
            bootstrap_iters=0,
            apply_chat_template=self.suite.chat,
            fewshot_as_multiturn=self.suite.chat,
        )
        samples = {name: list(of_task) for name, of_task in found["samples"].items()}
        return rows_of(samples, self.suite, bridge.notes)

    def overlap(self) -> list[str | Item]:
        """Return the items' questions, with their choices where they have some."""
        return [_question(task, doc) for task in self.tasks.values() for doc in self._docs(task)]

    @cached_property
    def _manager(self) -> Any:
        from lm_eval.tasks import TaskManager

        own = self.suite.include
        # Indexing the harness's own 14,000 names takes ten seconds: only where it is needed.
        if (
            own
            and self.suite.task in TaskManager(include_path=own, include_defaults=False).all_tasks
        ):
            return TaskManager(include_path=own, include_defaults=False)
        return TaskManager(include_path=own)

    def _docs(self, task: Any) -> list[dict[str, Any]]:
        docs = task.eval_docs
        return [docs[i] for i in range(min(len(docs), self.suite.limit or len(docs)))]

    def _content(self, task: Any) -> list[Any]:
        config = {k: v for k, v in task.dump_config().items() if k in _ASKED}
        shots = self.suite.shots if self.suite.shots is not None else config.get("num_fewshot")
        shown = list(task.fewshot_docs()) if shots else []
        return [_plain(config), _plain(self._docs(task)), _plain(shown)]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; code counts by its name, an image not at all."""
    return json.loads(
        json.dumps(value, default=lambda x: getattr(x, "__qualname__", type(x).__name__))
    )


def _question(task: Any, doc: dict[str, Any]) -> str | Item:
    text = task.doc_to_text(doc)
    if not isinstance(text, str):
        # Where the question itself is what differs (Winogrande), its words are in the record.
        return "\n".join(str(v) for v in doc.values() if isinstance(v, str))
    choices = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else ()
    return Item(text, tuple(map(str, choices))) if choices else text

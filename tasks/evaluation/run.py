"""One suite put to one model, or its scores found from before."""

from typing import assert_never

from configs.evaluation import BitsPerByteSuite, ClassificationSuite, MmluSuite, Suite
from tasks.artifacts import CleanSource, LocalModel, SuiteScores
from tasks.errors import EvaluationError
from tasks.evaluation.bits_per_byte import text_exam
from tasks.evaluation.classification import classification_exam
from tasks.evaluation.context import EvalContext
from tasks.evaluation.items import Exam, fingerprint, items_digest, write_items
from tasks.evaluation.mmlu import MmluExam
from tasks.evaluation.mmlu_data import load_questions
from tasks.inference.identity import stopping
from tasks.inference.loading import load_model, resolve_dtype
from tasks.inference.progress import Progress
from tasks.metrics.estimates import estimate_all
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.chat import load_tokenizer
from tasks.text.overlap import Item
from tasks.text.rows import full_text, prompt_text

CODE = ("tasks.evaluation", "tasks.inference", "tasks.text")
_NOT_PROTOCOL = {"name", "source", "path", "batch_size", "batch_tokens"}


def evaluate(
    suite: Suite, model: LocalModel, context: EvalContext, progress: Progress | None = None
) -> SuiteScores:
    """Return the model's scores on the suite, computed now or found whole from before.

    The key holds the suite's section, the items' content, the digests of weights and tokenizer,
    split, dtype and code; never a path or a model's name.

    Args:
        suite: The section.
        model: Prepared, or a checkpoint.
        context: Split, seed, dtype and sources.
        progress: Called with answers given and their number.

    Raises:
        EvaluationError: The suite has no items, or they can't be used.
        SetupError: Questions or model aren't on this machine.
    """
    exam, metrics = open_exam(suite, context), suite.metric_table()
    dtype = resolve_dtype(context.dtype)
    section = suite.model_dump(mode="json", exclude={"path", "source"})
    key = stage_key("evaluation", {
        "suite": section, "items": exam.content, "split": context.split, "dtype": dtype,
        "weights": model.digest, "tokenizer": model.tokenizer_digest,
        "stopping": stopping(model.path),
    }, *CODE)  # fmt: skip
    folder = home("scores", key)
    known = find(folder, SuiteScores)
    if known is not None:
        # Metrics come from the stored answers, so that a new one costs no inference.
        return known.model_copy(update={"metrics": estimate_all(known.items, metrics)})
    rows = exam.sit(load_model(model, dtype), load_tokenizer(model.path), progress)
    protocol = {k: v for k, v in section.items() if k not in _NOT_PROTOCOL}
    with building(folder) as aside:
        write_items(aside / "items.parquet", suite.name, rows, exam.labels)
        return commit(aside, SuiteScores(
            path=folder, digest=items_digest(rows), suite=suite.name, kind=suite.kind,
            fingerprint=fingerprint({**protocol, "labels": exam.labels}, rows),
            weights_digest=model.digest,
            metrics=estimate_all(aside / "items.parquet", metrics),
        ))  # fmt: skip


def open_exam(suite: Suite, context: EvalContext) -> Exam:
    """Return the suite with its items.

    Raises:
        EvaluationError: Its source isn't among the context's, or has no usable rows.
    """
    match suite:
        case MmluSuite():
            return MmluExam(suite, load_questions(suite, context.split, context.seed))
        case ClassificationSuite():
            source = _source(suite.name, suite.source, context)
            return classification_exam(suite, source, context.split, context.seed)
        case BitsPerByteSuite():
            held = _source(suite.name, suite.source, context) if suite.source else None
            return text_exam(suite, held, context.split, context.seed)
        case _:
            assert_never(suite)


def overlap_texts(suite: Suite, context: EvalContext) -> list[str | Item]:
    """Return what :class:`tasks.text.overlap.OverlapIndex` keeps out of training rows.

    Of MMLU the questions with their choices (all subjects' few-shot examples are public and stay);
    of a classification the prompt; of bits per byte the text.
    """
    match suite:
        case MmluSuite():
            asked = load_questions(suite, context.split, context.seed).asked
            return [Item(q.question, q.choices) for q in asked]
        case ClassificationSuite():
            source = _source(suite.name, suite.source, context)
            exam = classification_exam(suite, source, context.split, context.seed)
            return [prompt_text(case.prompt) for case in exam.cases]
        case BitsPerByteSuite():
            held = _source(suite.name, suite.source, context) if suite.source else None
            return [
                full_text(h.messages)
                for h in text_exam(suite, held, context.split, context.seed).texts
            ]
        case _:
            assert_never(suite)


def _source(suite: str, name: str, context: EvalContext) -> CleanSource:
    if name not in context.sources:
        known = ", ".join(sorted(context.sources)) or "none"
        raise EvaluationError(f"the source '{name}' wasn't prepared.",
                              where=f"evaluation.suites.{suite}.source",
                              fix=f"name one that was: {known}.")  # fmt: skip
    return context.sources[name]

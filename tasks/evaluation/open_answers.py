"""Open answers: what the model writes against what could have been written."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from configs.suites.open_answers import OpenAnswersSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.held_out import held_out
from tasks.evaluation.items import ItemRow, answered, item_ids
from tasks.evaluation.origins import Located, of_files
from tasks.inference.progress import Progress
from tasks.inference.seam import Decoding, Model, Prompt
from tasks.metrics.words import exact, quasi_exact, token_f1
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.overlap import Item
from tasks.text.rows import Message, prompt_text


class Asked(NamedTuple):
    """A question with the answers that are right; ``group`` joins what depends on each other."""

    prompt: list[Message]
    answers: tuple[str, ...]
    group: str | None


@dataclass(frozen=True)
class OpenExam:
    """Questions with their references."""

    suite: OpenAnswersSuite
    asked: Sequence[Asked]
    ids: Sequence[str]
    labels: None = None
    needs: Literal["answers"] = "answers"

    @property
    def content(self) -> str:
        """Digest of questions and references."""
        return digest_of(list(self.ids))

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the answers, greedily decoded, with the scores of each."""
        decoding = Decoding(self.suite.max_new_tokens, self.suite.batch_size)
        answers = model.answers([Prompt(a.prompt) for a in self.asked], decoding, progress)
        rows = []
        for item, asked, answer in zip(self.ids, self.asked, answers, strict=True):
            scores = scored(answer.text, asked.answers, self.suite)
            rows.append(answered(item, "open", answer)._replace(
                cluster=asked.group, gold=json.dumps(asked.answers, ensure_ascii=False),
                prediction=answer.text.strip(), scores=scores,
                score=quasi_exact_any(answer.text, asked.answers),
            ))  # fmt: skip
        return rows

    def overlap(self) -> list[str | Item]:
        """Return the questions."""
        return [prompt_text(asked.prompt) for asked in self.asked]


def scored(said: str, meant: Sequence[str], suite: OpenAnswersSuite) -> dict[str, float]:
    """Return the scores the suite asks for, the best over the references.

    BLEU is of all answers together: an answer has the counts it is computed from.
    """
    wanted = suite.metrics
    scores: dict[str, float] = {
        name: max(by(said, one) for one in meant)
        for name, by in _scorers().items()
        if name in wanted
    }
    if "bleu" in wanted:
        from tasks.metrics.bleu import sentence_counts

        scores |= sentence_counts(said, meant, suite.bleu_words)
    return scores


def quasi_exact_any(said: str, meant: Sequence[str]) -> float:
    """Return 1 where an answer is quasi-exactly one of the references, else 0."""
    return max(quasi_exact(said, one) for one in meant)


def open_exam_of(
    suite: OpenAnswersSuite, source: CleanSource | None, split: SplitName, seed: int
) -> OpenExam:
    """Return the suite's questions, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or one has no question or no answer.
    """
    if source is not None:
        rows = held_out(suite.name, source, split)
        asked = [Asked(row.prompt, (row.answer,), row.group) for row in rows]
    else:
        asked = [_of_record(suite, found) for found in _records(suite, split)]
    if not asked:
        raise EvaluationError("there are no questions.", where=f"evaluation.suites.{suite.name}",
                              fix="give a file that has some.")  # fmt: skip
    ids = item_ids([{"prompt": a.prompt, "answers": list(a.answers)} for a in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "open_answers"))
    return OpenExam(suite, [asked[i] for i in chosen], [ids[i] for i in chosen])


def _scorers() -> dict[str, Callable[[str, str], float]]:
    from tasks.evaluation.rouge import rouge_l

    return {"exact": exact, "quasi_exact": quasi_exact, "token_f1": token_f1, "rouge_l": rouge_l}


def _records(suite: OpenAnswersSuite, split: SplitName) -> Iterator[Located]:
    path = suite.path if split == "test" else suite.dev_path
    if path is None:
        raise EvaluationError(f"the suite has no file of {split} items.",
                              where=f"evaluation.suites.{suite.name}",
                              fix="set dev_path: too.")  # fmt: skip
    return of_files(path)


def _of_record(suite: OpenAnswersSuite, found: Located) -> Asked:
    record = found.record
    question, answers = record.get(suite.question), _answers(record.get(suite.answer))
    if not isinstance(question, str) or not question.strip() or not answers:
        raise EvaluationError(
            f"it has no '{suite.question}' or no '{suite.answer}'.", where=found.where,
            fix=f"set question: and answer: to columns of it: {', '.join(sorted(record))}.",
        )  # fmt: skip
    system, group = record.get(suite.system), record.get(suite.group or "")
    turns = [Message(role="system", content=str(system))] if system else []
    return Asked([*turns, Message(role="user", content=question)], answers,
                 None if group is None else str(group))  # fmt: skip


def _answers(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(str(one) for one in given if str(one).strip())

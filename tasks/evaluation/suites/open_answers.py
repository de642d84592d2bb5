"""Open answers: what the model writes against what could have been written."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

from configs.suites.generation import OpenAnswersSuite, ReferenceSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.datasets import Located, held_out, of_files, path_for
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.metrics.text_scores import exact, quasi_exact, token_f1
from tasks.models.api import Answer, Prompt
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.normal import MARKS, to_nfc
from tasks.text.rows import Message

# Questions that are answered in one's own words, with the answers that are right.


class OpenQuestion(NamedTuple):
    """A question with the answers that are right; ``group`` joins what depends on each other."""

    prompt: list[Message]
    answers: tuple[str, ...]
    group: str | None


def questions_of(
    suite: ReferenceSuite,
    source: CleanSource | None,
    split: SplitName,
    seed: int,
    bare: bool = False,
) -> list[tuple[str, OpenQuestion]]:
    """Return a suite's questions, each with its id, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.
        bare: Whether a question of a file may be without a reference.

    Raises:
        EvaluationError: There are none, or one has no question or no answer.
    """
    if source is not None:
        rows = held_out(suite.name, source, split)
        asked = [OpenQuestion(row.prompt, (row.answer,), row.group) for row in rows]
    else:
        asked = [_of_record(suite, found, bare) for found in _records(suite, split)]
    if not asked:
        raise EvaluationError(
            "there are no questions.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    ids = item_ids([{"prompt": a.prompt, "answers": list(a.answers)} for a in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "open_answers"))
    return [(ids[i], asked[i]) for i in chosen]


def _records(suite: ReferenceSuite, split: SplitName) -> Iterator[Located]:
    return of_files(path_for(suite, split))


def _of_record(suite: ReferenceSuite, found: Located, bare: bool) -> OpenQuestion:
    record = found.record
    question, answers = record.get(suite.question), _answers(record.get(suite.answer))
    if not isinstance(question, str) or not question.strip() or not (answers or bare):
        raise EvaluationError(
            f"it has no '{suite.question}' or no '{suite.answer}'.",
            where=found.where,
            fix=f"set question: and answer: to columns of it: {', '.join(sorted(record))}.",
        )
    system, group = record.get(suite.system), record.get(suite.group or "")
    turns = [Message(role="system", content=str(system))] if system else []
    return OpenQuestion(
        [*turns, Message(role="user", content=question)],
        answers,
        None if group is None else str(group),
    )


def _answers(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(str(one) for one in given if str(one).strip())


class OpenAnswersRunner(AnswersRunner[OpenAnswersSuite, OpenQuestion]):
    """Questions with their references."""

    def prompt(self, case: OpenQuestion) -> Prompt:
        """Return the question."""
        return Prompt(case.prompt)

    def rows(self, item: str, case: OpenQuestion, answer: Answer) -> list[ItemRow]:
        """Return the answer with its scores."""
        return [
            answer_row(item, "open", answer)._replace(
                cluster=case.group,
                gold=json.dumps(case.answers, ensure_ascii=False),
                prediction=answer.said.strip(),
                scores=score_answer(answer.said, case.answers, self.suite),
                score=quasi_exact_any(answer.said, case.answers),
            )
        ]


def score_answer(said: str, meant: Sequence[str], suite: OpenAnswersSuite) -> dict[str, float]:
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
        from tasks.metrics.text_scores import sentence_counts

        scores |= sentence_counts(said, meant, suite.bleu_words)
    return scores


def quasi_exact_any(said: str, meant: Sequence[str]) -> float:
    """Return 1 where an answer is quasi-exactly one of the references, else 0."""
    return max(quasi_exact(said, one) for one in meant)


def open_open_answers(
    suite: OpenAnswersSuite, source: CleanSource | None, split: SplitName, seed: int
) -> OpenAnswersRunner:
    """Return the suite's questions, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or one has no question or no answer.
        SetupError: A metric's library isn't installed.
    """
    _need_libraries(suite)
    return OpenAnswersRunner(suite, questions_of(suite, source, split, seed))


def _need_libraries(suite: OpenAnswersSuite) -> None:
    """Refuse before any answer is paid for."""
    needed = {"rouge_l": "rouge_score", "bleu": "sacrebleu"}
    lacking = [
        name
        for metric, name in needed.items()
        if metric in suite.metrics and find_spec(name) is None
    ]
    if lacking:
        raise SetupError(
            f"{' and '.join(lacking)} isn't installed.",
            where=f"evaluation.suites.{suite.name}.metrics",
            fix="pip install 'temper-llm[texts]', or leave the metric out.",
        )


def _scorers() -> dict[str, Callable[[str, str], float]]:

    return {"exact": exact, "quasi_exact": quasi_exact, "token_f1": token_f1, "rouge_l": rouge_l}


# ROUGE-L by rouge-score, its words being those of any script.

_WORD = re.compile(rf"[^\W_]+(?:[{MARKS}]+[^\W_]*)*")


class Words:
    """rouge-score's own tokeniser, but letters and digits of every script count as such.

    On ASCII text the two are the same; the library's takes every other letter for a space.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return a text's words, in lower case."""
        return _WORD.findall(to_nfc(text).lower())


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=Words())


def rouge_l(said: str, meant: str) -> float:
    """Return the F-measure of the longest common subsequence of words (Lin 2004), in [0, 1]."""
    return float(_scorer().score(meant, said)["rougeL"].fmeasure)

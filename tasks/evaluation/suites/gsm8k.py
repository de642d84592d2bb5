"""GSM8K put to a model: a question after worked examples, the answer read for its last number."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from configs.suites.generation import Gsm8kSuite
from tasks.artifacts import SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located, Published, locate_records, of_files, of_published
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.metrics.text_scores import bare, flexible_number, same_number, strict_number
from tasks.models.api import Answer, Decoding, Prompt
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.overlap import Item
from tasks.text.rows import TEXT_ROLE, Message

STOP = ("Question:", "</s>", "<|im_end|>")
_TEST = Published("openai/gsm8k", "cc7b047b6e5bb11b4f1af84efc572db110a51b3c", "main", "test")


class WordProblem(NamedTuple):
    """A question with its worked answer, which ends in "#### " and the number."""

    question: str
    answer: str


@dataclass(frozen=True)
class Gsm8kRunner(AnswersRunner[Gsm8kSuite, WordProblem]):
    """Questions and the worked examples before each."""

    examples: Sequence[WordProblem] = ()

    @property
    def content(self) -> str:
        """Digest of questions and examples."""
        return digest_of({"ids": self.ids, "examples": [list(e) for e in self.examples]})

    @property
    def decoding(self) -> Decoding:
        """Greedy, up to where a next question would begin."""
        return Decoding(self.suite.max_new_tokens, self.suite.batch_size, stop=STOP)

    def prompt(self, case: WordProblem) -> Prompt:
        """Return the question after the examples."""
        return (chat_prompt if self.suite.chat else continuation_prompt)(case, self.examples)

    def rows(self, item: str, case: WordProblem, answer: Answer) -> list[ItemRow]:
        """Return the answer with both readings."""
        return [_row(item, case, answer)]

    def overlap(self) -> list[str | Item]:
        """Return the questions; the examples are public and stay."""
        return [one.question for _, one in self.cases]


def continuation_prompt(asked: WordProblem, examples: Sequence[WordProblem]) -> Prompt:
    """Return the prompt of lm-evaluation-harness 0.4.13 ``gsm8k``, to be continued as it is."""
    shown = [f"{_question(e)} {e.answer}" for e in examples]
    text = "\n\n".join([*shown, _question(asked)])
    return Prompt([Message(role=TEXT_ROLE, content=text)])


def chat_prompt(asked: WordProblem, examples: Sequence[WordProblem]) -> Prompt:
    """Return the same as a conversation: each example a question and its answer."""
    turns = [
        m
        for e in examples
        for m in (
            Message(role="user", content=_question(e)),
            Message(role="assistant", content=e.answer),
        )
    ]
    return Prompt([*turns, Message(role="user", content=_question(asked))])


def open_gsm8k(suite: Gsm8kSuite, split: SplitName, seed: int) -> Gsm8kRunner:
    """Return the suite's questions, ``limit`` of them chosen by seed, and its examples.

    They come from the suite's files, else from the hub at a pinned commit. The published set has no
    questions to choose on: ``dev`` asks training questions, those of the examples left out.

    Raises:
        EvaluationError: A record is no sum, or there are too few examples.
        SetupError: They aren't on this machine and the hub can't be reached.
    """
    place = _TEST if split == "test" else _TEST._replace(split="train")
    paths = (suite.path, suite.dev_path)
    examples = [_sum(found) for found in islice(_examples(suite), suite.shots)]
    if len(examples) < suite.shots:
        raise EvaluationError(
            f"there are {len(examples)} examples and {suite.shots} shots are asked for.",
            where=f"evaluation.suites.{suite.name}.examples",
            fix="give a file with more, or lower shots:.",
        )
    asked = [
        one
        for found in locate_records(paths, split, place, suite.name)
        if (one := _sum(found)) not in examples
    ]
    if not asked:
        raise EvaluationError(
            "there are no questions.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    ids = item_ids([list(one) for one in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "gsm8k"))
    return Gsm8kRunner(suite, [(ids[i], asked[i]) for i in chosen], examples)


def _examples(suite: Gsm8kSuite) -> "islice[Located]":
    if suite.shots == 0:
        return islice((), 0)
    if suite.examples is not None:
        return islice(of_files(suite.examples), None)
    if suite.path is not None or suite.dev_path is not None:
        raise EvaluationError(
            "the suite has its own questions and no examples.",
            where=f"evaluation.suites.{suite.name}.examples",
            fix="give a file of worked examples, or set shots: 0.",
        )
    return islice(of_published(_TEST._replace(split="train")), None)


def _question(one: WordProblem) -> str:
    return f"Question: {one.question}\nAnswer:"


def _sum(found: Located) -> WordProblem:
    question, answer = (found.record.get(c) for c in ("question", "answer"))
    if not isinstance(question, str) or not isinstance(answer, str):
        raise EvaluationError(
            "it has no question and answer.",
            where=found.where,
            fix="give GSM8K's files, or records of that form.",
        )
    if strict_number(answer) is None:
        raise EvaluationError(
            "its answer doesn't end in '#### ' and a number.",
            where=found.where,
            fix="write the result on a last line: #### 42",
        )
    return WordProblem(question, answer)


def _row(item: str, asked: WordProblem, answer: Answer) -> ItemRow:
    found = {"strict": strict_number(answer.said), "flexible": flexible_number(answer.said)}
    scores = {name: same_number(said, asked.answer) for name, said in found.items()}
    said = found["flexible"]
    return answer_row(item, "sum", answer)._replace(
        gold=bare(asked.answer),
        prediction=None if said is None else bare(said),
        score=scores["strict"],
        scores=scores,
    )

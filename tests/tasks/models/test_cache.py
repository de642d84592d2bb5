from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from tasks.models.api import NONE, Answer, Batch, Choice, Decoding, Encoded, Prompt, Text
from tasks.models.cache import Cached


def prompts(*words: str) -> list[Prompt]:
    return [Prompt([{"role": "user", "content": word}]) for word in words]


def shout(prompt: Prompt) -> str:
    return prompt.messages[-1]["content"].upper()


def length(context: str, option: str) -> float:
    return -float(len(context) + len(option))


class Paired(Scripted):
    """Answers two at a time, and stops after ``stop`` batches as if it were killed."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(shout)
        self.stop = stop
        self.batches: list[list[int]] = []

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        for start in range(0, len(asked), 2):
            places = list(range(start, min(start + 2, len(asked))))
            if all(p in skip for p in places):
                continue
            if len(self.batches) == self.stop:
                raise KeyboardInterrupt
            self.batches.append(places)
            each = super().generate_batches([asked[p] for p in places], decoding)
            yield [(places[n], answer) for batch in each for n, answer in batch]


def said(model: Any, *words: str, decoding: Decoding | None = None) -> list[str]:
    return [a.text for a in Cached(model).answers(prompts(*words), decoding or Decoding(4))]


def test_what_was_answered_is_not_asked_again(temper_home: Path) -> None:
    first, second = Scripted(shout), Scripted(shout)
    assert said(first, "a", "b") == said(second, "a", "b") == ["A", "B"]
    assert (first.asked, second.asked) == (2, 0)
    assert said(second, "b", "c", "a") == ["B", "C", "A"]
    assert second.asked == 1


def test_another_way_to_draw_is_another_answer(temper_home: Path) -> None:
    model = Scripted(shout)
    ways = [
        Decoding(4),
        Decoding(8),
        Decoding(4, stop=("x",)),
        Decoding(4, temperature=1.0),
        Decoding(4, temperature=1.0, seed=2),
    ]
    for decoding in ways:
        said(model, "a", decoding=decoding)
    assert model.asked == 5
    said(model, "a", decoding=Decoding(4, batch_size=1))
    said(model, "a", decoding=Decoding(4, seed=9))
    assert model.asked == 5


def test_options_and_texts_are_kept_like_answers(temper_home: Path) -> None:
    model = Scripted(score=length)
    choice, text = Choice("ab", ("c", "de")), Text([{"role": "text", "content": "abc"}], 9)
    for _ in range(2):
        (chosen,) = Cached(model).choices([choice])
        (measured,) = Cached(model).negative_log_likelihood([text])
        assert chosen.logprobs == [-3.0, -4.0]
        assert chosen.greedy == [True, False]
        assert measured.nats == 3.0
    assert model.asked == 2


def test_work_that_was_stopped_goes_on_with_the_very_batches_that_are_missing(
    temper_home: Path,
) -> None:
    words = [chr(97 + i) for i in range(7)]
    stopped = Paired(stop=2)
    with pytest.raises(KeyboardInterrupt):
        said(stopped, *words)
    again = Paired()
    assert said(again, *words) == [w.upper() for w in words]
    assert stopped.batches == [[0, 1], [2, 3]]
    assert again.batches == [[4, 5], [6]]


def test_what_other_evaluations_left_is_taken_out_before_batches_are_made(
    temper_home: Path,
) -> None:
    said(Paired(), "a", "c")
    model = Paired()
    assert said(model, "a", "b", "c", "d", "e") == list("ABCDE")
    assert model.batches == [[0, 1], [2]]


def test_copies_of_a_prompt_are_answered_each(temper_home: Path) -> None:
    model = Scripted(shout)
    assert said(model, "a", "a", "b") == ["A", "A", "B"]
    assert said(model, "a", "b", "a") == ["A", "B", "A"]
    assert model.asked == 3


def test_an_error_is_told_and_not_kept(temper_home: Path) -> None:
    broken = Scripted(lambda p: None if "b" in p.messages[0]["content"] else "fine")
    found = Cached(broken).answers(prompts("a", "b"), Decoding(4))
    assert [a.error is None for a in found] == [True, False]
    mended = Scripted(shout)
    assert said(mended, "a", "b") == ["fine", "B"]
    assert mended.asked == 1


def test_progress_begins_with_what_was_known(temper_home: Path) -> None:
    said(Scripted(shout), "a", "b")
    told: list[tuple[int, int]] = []
    Cached(Scripted(shout)).answers(prompts("a", "b", "c"), Decoding(4), lambda *x: told.append(x))
    assert told == [(2, 3), (3, 3)]


def test_a_chunk_is_whole_or_not_there(temper_home: Path) -> None:
    said(Scripted(shout), "a")
    (folder,) = (temper_home / "answers").iterdir()
    assert [f.suffix for f in folder.iterdir()] == [".parquet"]

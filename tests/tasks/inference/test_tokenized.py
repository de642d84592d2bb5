from typing import Any

import pytest

from tasks.errors import EvaluationError
from tasks.inference.tokenized import Tokenized


class Seeing(Tokenized):
    """As much as is needed to fit prompts."""

    def answering(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


def test_a_prompt_is_cut_on_its_left_so_that_the_answer_fits() -> None:
    engine = Seeing(None, positions=8)  # type: ignore[arg-type]
    assert engine.fitted([1, 2, 3, 4, 5], 4) == ([2, 3, 4, 5], True)
    assert engine.fitted([1, 2, 3, 4], 4) == ([1, 2, 3, 4], False)
    assert engine.fitted([1, 2], 7) == ([2], True)
    assert Seeing(None).fitted([1] * 50, 4000) == ([1] * 50, False)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [8, 9, 1280])
def test_an_answer_that_leaves_no_room_is_refused(most: int) -> None:
    engine = Seeing(None, positions=8)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="leaves no room for a prompt: the model sees 8") as e:
        engine.fitted([1, 2], most)
    assert "lower max_new_tokens" in e.value.fix

import pytest

from tasks.metrics.words import exact, normalised, quasi_exact, token_f1


def test_case_punctuation_articles_and_space_dont_count() -> None:
    assert normalised("  The quick-brown fox, (an animal)\n") == "quickbrown fox animal"
    assert normalised("Anthem theatre") == "anthem theatre"
    assert quasi_exact("The Eiffel Tower.", "eiffel tower") == 1.0
    assert exact("The Eiffel Tower.", "eiffel tower") == 0.0
    assert exact(" Paris\n", "Paris") == 1.0


@pytest.mark.parametrize(
    ("said", "meant", "expected"),
    [
        ("blue and red", "red", 2 * 1 / 4),
        ("red red", "red", 2 * 1 / 3),
        ("", "", 1.0),
        ("", "red", 0.0),
        ("the", "a", 1.0),
        ("red, blue", "blue red", 1.0),
        ("in Paris, France", "Paris", 2 * 1 / 4),
    ],
)
def test_token_f1_is_that_worked_out_by_hand(said: str, meant: str, expected: float) -> None:
    assert token_f1(said, meant) == pytest.approx(expected)


def test_words_are_compared_as_squad_compares_them() -> None:
    squad = pytest.importorskip("lm_eval.tasks.qasper.metrics")
    texts = ["The cat", "a  cat sat!", "cat", "An x-ray; the theory", "sat CAT sat", "étude"]
    for said in texts:
        assert normalised(said) == squad.normalize_answer(said)
        for meant in texts:
            assert token_f1(said, meant) == pytest.approx(squad.f1_abstractive([said], [meant]))

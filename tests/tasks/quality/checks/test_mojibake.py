import numpy as np
import pyarrow as pa
from ftfy.badness import is_bad
from hypothesis import given
from hypothesis import strategies as st

from configs.quality import Mojibake
from tasks.quality.checks.mojibake import _POSSIBLE, find_mojibake
from tasks.quality.checks.texts import match_pattern

ODD = "aZ .,!ÃÂŒœâ€™“”é×²³°ÐÑŸ\x85\xa0Ββ€ГўВЂ│█ØÙà√≈‚Äó–—ñüīā"


@given(st.lists(st.text(st.sampled_from(ODD), max_size=8), min_size=1, max_size=30))
def test_no_text_that_is_bad_escapes_the_first_look(texts: list[str]) -> None:
    bad = np.array([is_bad(text) for text in texts])
    possible = match_pattern(pa.array(texts), _POSSIBLE)
    assert (possible | ~bad).all()


def test_wrongly_decoded_text_is_found_and_right_text_in_many_languages_is_not() -> None:
    right = [
        "The café’s menu costs 5 € — “très bien”, naïve… ½ cup.",
        "Größe über Maß",
        "Привет, как дела?",
        "你好，世界。",
        "Γειά σου Κόσμε",
        "نص عربي هنا",
        "😀 👍 ok",
        "plain ASCII",
        "¿Qué tal, señor?",
        "Łódź, źdźbło",
        "Việt Nam đất nước",
    ]
    wrong = [text.encode().decode("latin-1") for text in ("Größe über Maß", "señor, café olé")]
    wrong += ["I donâ€™t know", "the â€œbestâ€\x9d cafÃ© in town"]
    found = find_mojibake(pa.array([*right, *wrong]), Mojibake())
    assert found.tolist() == [False] * len(right) + [True] * len(wrong)


def test_a_limit_leaves_texts_with_less() -> None:
    box = "│ a │ é " * 3 + "x" * 400
    strict = find_mojibake(pa.array([box]), Mojibake(max_badness=0))
    lax = find_mojibake(pa.array([box]), Mojibake(max_badness=1000, max_share=1))
    assert strict.tolist() == [is_bad(box)]
    assert lax.tolist() == [False]

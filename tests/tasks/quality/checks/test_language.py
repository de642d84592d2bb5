import pyarrow as pa
import pytest

from configs.quality import LanguageLimits
from tasks.quality.checks.language import classify, detect_languages

ENGLISH = "The weather has been wonderful this week, and we went for a long walk by the sea."
GERMAN = "Das Wetter war diese Woche wunderbar, und wir sind lange am Meer spazieren gegangen."
FRENCH = "Il a fait un temps magnifique cette semaine et nous avons marché longtemps au bord."


def test_rows_in_another_language_are_found() -> None:
    found = detect_languages(pa.array([ENGLISH, GERMAN, FRENCH, ENGLISH]), LanguageLimits())
    assert found.codes.tolist() == ["en", "de", "fr", "en"]
    assert found.others(("en",)).tolist() == [False, True, True, False]
    assert found.others(("en", "de")).tolist() == [False, False, True, False]


def test_short_and_unsure_texts_are_never_found() -> None:
    short = ["Bonjour", "1234567890 " * 20, ""]
    assert not detect_languages(pa.array(short), LanguageLimits()).others(("en",)).any()
    strict = detect_languages(pa.array([GERMAN]), LanguageLimits(min_confidence=1.0))
    assert strict.codes.tolist() == ["unsure"] or strict.codes.tolist() == ["de"]
    assert detect_languages(pa.array([], pa.string()), LanguageLimits()).codes.tolist() == []


def test_the_compiled_model_says_what_the_library_says() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    texts = [
        ENGLISH,
        GERMAN,
        FRENCH,
        ENGLISH.upper(),
        "",
        "1 2 3",
        "Привет, дела?",
        "e\u0301té",
        "你好，世界。今天天气很好。",
        "Dobar dan, kako ste danas?",
        "नमस्ते दुनिया",
    ]
    texts += [text[a : a + 30] for text in (ENGLISH, GERMAN, FRENCH) for a in range(0, 50, 3)]
    codes, confidence = classify(pa.array(texts))
    for text, code, sure in zip(texts, codes, confidence, strict=True):
        wanted, likely = known.classify(text)
        assert sure == pytest.approx(likely, abs=1e-3)
        assert code == wanted

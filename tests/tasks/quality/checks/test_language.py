import pyarrow as pa

from configs.checks import LanguageLimits
from tasks.quality.checks.language import languages

ENGLISH = "The weather has been wonderful this week, and we went for a long walk by the sea."
GERMAN = "Das Wetter war diese Woche wunderbar, und wir sind lange am Meer spazieren gegangen."
FRENCH = "Il a fait un temps magnifique cette semaine et nous avons marché longtemps au bord."


def test_rows_in_another_language_are_found() -> None:
    found = languages(pa.array([ENGLISH, GERMAN, FRENCH, ENGLISH]), LanguageLimits())
    assert found.codes.tolist() == ["en", "de", "fr", "en"]
    assert found.others(("en",)).tolist() == [False, True, True, False]
    assert found.others(("en", "de")).tolist() == [False, False, True, False]


def test_short_and_unsure_texts_are_never_found() -> None:
    short = ["Bonjour", "1234567890 " * 20, ""]
    assert not languages(pa.array(short), LanguageLimits()).others(("en",)).any()
    strict = languages(pa.array([GERMAN]), LanguageLimits(min_confidence=1.0))
    assert strict.codes.tolist() == ["unsure"] or strict.codes.tolist() == ["de"]
    assert languages(pa.array([], pa.string()), LanguageLimits()).codes.tolist() == []

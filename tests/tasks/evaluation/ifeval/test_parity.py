"""Verdicts of the 25 rules beside lm-evaluation-harness's, on answers made to keep and break them.

It needs the extra ``ifeval``, lm-evaluation-harness 0.4.13 and the 541 prompts; what lacks one of
them is skipped and says so.
"""

import gzip
import importlib.util
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tasks.evaluation.ifeval.runner import Instruction, judge

pytestmark = pytest.mark.shared_data
NEEDS = ("lm_eval", "langdetect", "punkt", "nltk", "immutabledict")
# The reference draws a letter at random where the one asked for is not a letter (# and !).
DRAWN = {1122, 1129}
TONGUES = {
    "hi": "मुझे आज बाज़ार जाना है और वहाँ से ताज़ी सब्ज़ियाँ लानी हैं।",
    "kn": "ನಾನು ಇಂದು ಮಾರುಕಟ್ಟೆಗೆ ಹೋಗಿ ತರಕಾರಿಗಳನ್ನು ತರುತ್ತೇನೆ.",
    "mr": "मला आज बाजारात जायचे आहे आणि तिथून ताज्या भाज्या आणायच्या आहेत.",
    "vi": "Hôm nay tôi phải đi chợ và mua một ít rau tươi cho gia đình.",
    "ko": "오늘은 시장에 가서 신선한 채소를 사야 합니다.",
    "sw": "Leo ninapaswa kwenda sokoni na kununua mboga mpya kwa familia yangu.",
    "de": "Heute muss ich auf den Markt gehen und frisches Gemüse für die Familie kaufen.",
    "pa": "ਮੈਂ ਅੱਜ ਬਾਜ਼ਾਰ ਜਾਣਾ ਹੈ ਅਤੇ ਤਾਜ਼ੀਆਂ ਸਬਜ਼ੀਆਂ ਲਿਆਉਣੀਆਂ ਹਨ।",
    "fa": "امروز باید به بازار بروم و برای خانواده سبزی تازه بخرم.",
    "ru": "Сегодня мне нужно пойти на рынок и купить свежих овощей для семьи.",
    "bg": "Днес трябва да отида на пазара и да купя пресни зеленчуци за семейството.",
    "pt": "Hoje preciso ir ao mercado e comprar legumes frescos para a família.",
    "gu": "મારે આજે બજારમાં જવું છે અને તાજા શાકભાજી લાવવા છે.",
    "te": "నేను ఈరోజు మార్కెట్‌కు వెళ్లి తాజా కూరగాయలు తీసుకురావాలి.",
    "th": "วันนี้ฉันต้องไปตลาดและซื้อผักสดสำหรับครอบครัว",
    "ur": "آج مجھے بازار جانا ہے اور گھر والوں کے لیے تازہ سبزیاں لانی ہیں۔",
    "it": "Oggi devo andare al mercato e comprare verdure fresche per la famiglia.",
    "ar": "يجب أن أذهب اليوم إلى السوق وأشتري خضروات طازجة للعائلة.",
    "bn": "আজ আমাকে বাজারে যেতে হবে এবং টাটকা সবজি আনতে হবে।",
    "ta": "நான் இன்று சந்தைக்குச் சென்று காய்கறிகள் வாங்க வேண்டும்.",
    "ne": "मलाई आज बजार जानु छ र ताजा तरकारी ल्याउनु छ।",
    "fi": "Tänään minun täytyy mennä torille ja ostaa tuoreita vihanneksia perheelle.",
    "en": "Today I have to go to the market and buy fresh vegetables for the family.",
}
STUFF = (
    "Dr. Smith paid $3.50 at 5 p.m. in the U.S. and left.",
    "Well... who knows?! I don't.",
    'He said "No." Then he left.',
    "See www.example.com for more, e.g. the FAQ.",
    "* one\n* two\n*\n- three",
    "**Bold** and *light* and ** ** and *** x ***",
    "[name] lives at [street\n] in []",
    "<<Title>> and << >> and <<>>",
    "P.S. more\n\nP.P.S. again",
    "p. p. s no",
    "Section 1\nfoo\nSECTION 2\nSection3 bar",
    "My answer is yes.",
    "It's 12,5 %.",
    '{"a": [1, 2, {"b": null}]}',
    "NaN",
    "12 34 !!",
    "",
    " \n ",
    "—",
    "ÄÖÜ ÉCOLE",
    "naïve café",
    "one\n\n\n\ntwo\n\n \n\nthree",
    "a ****** b",
    "a ****** a",
    "****** a ****** b ******",
)

Make = Callable[[random.Random, str, dict[str, Any]], str]


def near(rng: random.Random, number: int) -> int:
    return max(0, number + rng.choice((-2, -1, 0, 0, 0, 1, 2)))


def keyword(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    words = args.get("keywords") or args.get("forbidden_words") or [args["keyword"]]
    for _ in range(near(rng, args.get("frequency", len(words)))):
        word = rng.choice(words)
        word = rng.choice((word, word.upper(), word.title(), f"x{word}y", f"{word}s", f"{word}_a"))
        text += rng.choice((" ", ", ", "-", "\n", "'")) + word + rng.choice((".", "", "!", "'s"))
    return text


def letter(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    wanted = args["letter"]
    bare = re.sub(re.escape(wanted), "", text, flags=re.IGNORECASE)
    count = near(rng, args["let_frequency"])
    return bare + " " + "".join(rng.choice((wanted, wanted.upper())) for _ in range(count))


def tongue(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    other = rng.choice(sorted(TONGUES))
    said = TONGUES.get(args["language"], TONGUES["en"])
    return rng.choice((said, said * 3, TONGUES[other], f"{said} {TONGUES[other]}", text, "12 !"))


def sentences(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    known = [*re.split(r"(?<=[.?!])\s+", text), *STUFF[:4], "No!", "Why?", "And so on ..."]
    joint = rng.choice((" ", "\n", "\n\n"))
    return joint.join(rng.choice(known) for _ in range(near(rng, args["num_sentences"])))


def words(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    known = [*text.split(), "well-known", "it's", "—", "3.5", "naïve", "snake_case", "#"]
    return " ".join(rng.choice(known) for _ in range(near(rng, args["num_words"])))


def paragraphs(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    first = args.get("first_word", "so")
    parts = [rng.choice(STUFF[:4]) for _ in range(near(rng, args["num_paragraphs"]))]
    place = args.get("nth_paragraph", 1) - 1
    opened = rng.choice((first, first.title(), f'"{first}', f"''{first}", f"{first}.", f"{first}s"))
    if place < len(parts):
        parts[place] = opened + rng.choice((" ", " ", ", ", "")) + parts[place]
    joint = rng.choice(
        ("\n\n", "\n\n\n", "\n\n \n\n", " *** ", "\n***\n", "***", "****", "\n\n***\n\n")
    )
    if "first_word" in args and rng.random() < 0.7:
        return "\n\n".join(parts)
    ends = rng.choice(("", "", joint, "\n\n"))
    return rng.choice(("", "", joint)) + joint.join(parts) + ends


def capitals(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    known = ("YES", "NO-GO", "U.S.", "A", "I'M", "DON'T", "X2", "E.G.", "“OK”", "(NATO)", "GONNA")
    count = near(rng, args["capital_frequency"])
    return text.lower() + " " + " ".join(rng.choice(known) for _ in range(count))


def case(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    return rng.choice(
        (
            text.upper(),
            text.lower(),
            TONGUES["de"].upper(),
            TONGUES["fi"].lower(),
            text.upper() + " é",
            text.lower() + " I",
            "12 34",
            "A",
            "b !",
            TONGUES["en"].upper(),
            TONGUES["en"].lower(),
        )
    )


def repeated(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    said = args["prompt_to_repeat"]
    said = rng.choice((said, said.upper(), f" {said}", f"Sure. {said}", said[:-2], said * 2))
    return said + rng.choice((" ", "\n", "")) + text


def ended(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    said = args["end_phrase"]
    said = rng.choice(
        (said, said.upper(), f'{said}"', f"{said} ", f"{said}.", said[:-1], f"{said}\nBye")
    )
    return f"{text} {said}"


def counted(key: str, *forms: str) -> Make:
    def make(rng: random.Random, text: str, args: dict[str, Any]) -> str:
        parts = [rng.choice(forms) for _ in range(near(rng, args[key]))]
        return text + rng.choice(("\n", " ", "")) + rng.choice(("\n", "", " x ")).join(parts)

    return make


def headed(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    head = args["section_spliter"]
    return "\n".join(
        rng.choice(
            (
                f"{head} {n}\n{text[:40]}",
                f"{head} {n}",
                f"{head}{n}",
                f"{head}  {n}",
                f"**{head} {n}**",
                f"{head.lower()} {n}",
                f"{head} X",
            )
        )
        for n in range(near(rng, args["num_sections"]))
    )


def one_of(*forms: str) -> Make:
    return lambda rng, text, args: rng.choice(forms).replace("TEXT", text)


def marked(rng: random.Random, text: str, args: dict[str, Any]) -> str:
    mark = args["postscript_marker"]
    form = rng.choice((mark, mark.lower(), "P. S.", "P. P. S", "PS", "p.p.s.", f"({mark}"))
    return f"{text}\n\n{form} and more"


MAKERS: dict[str, Make] = {
    "keywords:existence": keyword,
    "keywords:frequency": keyword,
    "keywords:forbidden_words": keyword,
    "keywords:letter_frequency": letter,
    "language:response_language": tongue,
    "length_constraints:number_sentences": sentences,
    "length_constraints:number_paragraphs": paragraphs,
    "length_constraints:number_words": words,
    "length_constraints:nth_paragraph_first_word": paragraphs,
    "detectable_content:number_placeholders": counted(
        "num_placeholders", "[a]", "[]", "[b\n]", "[[c]"
    ),
    "detectable_content:postscript": marked,
    "detectable_format:number_bullet_lists": counted(
        "num_bullets", "\n* a", "\n- b", "\n  * c", "\n*\n", "\n** d", "\n-", "\n\n - e"
    ),
    "detectable_format:constrained_response": one_of(
        "My answer is yes.", "my answer is no.", "TEXT My answer is maybe. TEXT", "My answer is no"
    ),
    "detectable_format:number_highlighted_sections": counted(
        "num_highlights", "*a b*", "**c**", "* *", "** **", "*d\n*", "***e***"
    ),
    "detectable_format:multiple_sections": headed,
    "detectable_format:json_format": one_of(
        '{"a": 1}',
        '```json\n{"a": "TEXT"}\n```',
        "```\n[1, 2]\n```",
        '```JSON {"a": 1,} ```',
        "```json```json\n1```",
        "null",
        "{'a': 1}",
        'Here: {"a": 1}',
        '{"a": NaN}',
        '"TEXT"',
        "[[[[",
    ),
    "detectable_format:title": one_of(
        "<<TEXT>>\nTEXT", "<<a b>> TEXT", "<< >>", "<<<>>>", "<<a\nb>>", "TEXT <<x>> <<y>>", "<a>"
    ),
    "combination:two_responses": one_of(
        "TEXT ****** b",
        "TEXT ****** TEXT",
        "a****** b ****** c",
        "****** a ****** b",
        "a ****** b ******",
        "a ****** ****** b",
        "a ******* b",
        "a ***** b",
    ),
    "combination:repeat_prompt": repeated,
    "startend:end_checker": ended,
    "change_case:capital_word_frequency": capitals,
    "change_case:english_capital": case,
    "change_case:english_lowercase": case,
    "punctuation:no_comma": one_of("TEXT", "TEXT, no", "a b", "a、b", "1,5"),
    "startend:quotation": one_of('"TEXT"', ' "TEXT" ', '"TEXT', '"', '""', "“TEXT”", "'TEXT'"),
}
AROUND: tuple[Callable[[str], str], ...] = (
    lambda t: f"Sure, here it is:\n{t}",
    lambda t: f"{t}\nI hope this helps!",
    lambda t: f"Sure!\n\n{t}\n\nBye.",
    lambda t: f'"{t}"',
    lambda t: f"**{t}**",
    str.upper,
    str.lower,
    lambda t: f"```\n{t}\n```",
    lambda t: t.replace(",", ""),
    lambda t: f"\n\n{t}\n ",
)


def made(rng: random.Random, record: dict[str, Any], pool: list[str], count: int) -> Iterator[str]:
    """Yield answers that keep, nearly keep or break a prompt's instructions."""
    asked = list(zip(record["instruction_id_list"], record["kwargs"], strict=True))
    for _ in range(count):
        text = rng.choice(pool)[: rng.choice((60, 300, 900))]
        for name, args in rng.sample(asked, len(asked)):
            if rng.random() < 0.8:
                text = MAKERS[name](rng, text, args)
        if rng.random() < 0.5:
            text = rng.choice(AROUND)(text)
        yield rng.choice(STUFF) if rng.random() < 0.05 else text


def reference(folder: Path) -> ModuleType:
    """Import the reference's verdicts, with Punkt's model as files where NLTK looks for them."""
    import langdetect
    import nltk
    import punkt

    model, place = punkt.load_model("english"), folder / "tokenizers/punkt_tab/english"
    place.mkdir(parents=True)
    pairs = {
        k: [f"{a}\t{int(n)}" for a, n in v.items()]
        for k, v in {"ortho_context.tab": model.ortho_context}.items()
    }
    lists = {
        "collocations.tab": ["\t".join(c) for c in model.collocations],
        "sent_starters.txt": model.sent_starters,
        "abbrev_types.txt": model.abbrev_types,
    }
    for name, lines in {**pairs, **lists}.items():
        (place / name).write_text("\n".join(sorted(lines)))
    nltk.data.path.insert(0, str(folder))
    # Unseeded, its verdicts on a language differ from one run to the next.
    langdetect.DetectorFactory.seed = 0
    from lm_eval.tasks.ifeval import utils

    return utils


def compare(utils: Any, record: dict[str, Any], answer: str) -> list[tuple[Any, ...]]:
    """Return name, level and both verdicts of each instruction of a prompt."""
    asked = utils.InputExample(**record)
    judges = (utils.test_instruction_following_strict, utils.test_instruction_following_loose)
    theirs = [judge_of(asked, answer).follow_instruction_list for judge_of in judges]
    names = record["instruction_id_list"]
    told = [Instruction(n, a) for n, a in zip(names, record["kwargs"], strict=True)]
    ours = judge(answer, told)
    return [
        (name, level, getattr(ours[i], level), theirs[n][i])
        for i, name in enumerate(names)
        for n, level in enumerate(("strict", "loose"))
        if not (record["key"] in DRAWN and name == "keywords:letter_frequency")
    ]


def some_of_each(prompts: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return prompts until each rule has been asked for ``count`` times."""
    asked: dict[str, int] = {}
    kept = []
    for record in prompts:
        names = record["instruction_id_list"]
        if any(asked.get(name, 0) < count for name in names):
            kept.append(record)
            for name in names:
                asked[name] = asked.get(name, 0) + 1
    return kept


@pytest.fixture(scope="module")
def utils(tmp_path_factory: pytest.TempPathFactory) -> Any:
    lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed")
    return reference(tmp_path_factory.mktemp("nltk_data"))


def test_every_verdict_is_the_references(utils: Any, shared_data: Path) -> None:
    def records(name: str) -> list[dict[str, Any]]:
        with gzip.open(shared_data / name, "rt") as stream:
            return [json.loads(line) for line in stream]

    prompts = records("ifeval/input_data.jsonl.gz")
    pool = [r["completion"] for r in records("xstest/human_labelled_completions.jsonl.gz")[::40]]
    rng = random.Random(17)
    seen: dict[str, set[bool]] = {}
    for record in some_of_each(prompts, 8):
        for answer in made(rng, record, pool, 2):
            for name, level, ours, theirs in compare(utils, record, answer):
                assert ours == theirs, (record["key"], name, level, answer)
                seen.setdefault(name, set()).add(ours)
    assert set(seen) == set(MAKERS)
    assert sum(len(verdicts) == 2 for verdicts in seen.values()) >= 22

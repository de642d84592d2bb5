"""Dividing a text without spaces into words, as spaCy 3.8's tokenizer for English does.

The thresholds of the Gopher rules are about such words: "can't" is two, "e.g." is one, and the
full stop behind a word is one of its own. One piece between spaces is divided by itself: affixes
are cut off until nothing changes, special words and addresses stay whole, the rest is divided at
infixes. One case differs: where the parts of a special word stand in two pieces (": )"), spaCy may
keep a shorter special word beside it apart.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

_WHOLE = r"""
' \") <space> '' C++ — \t \n and/or w/o ma'am Ma'am o'clock O'clock 's 'S ‘s ‘S 're 'd 'bout 'cause
'Cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz em 'em ll 'll nuff 'nuff ol ol' Ol Ol'
a.m. p.m. e.g. E.g. E.G. i.e. I.e. I.E. vs. v.s. Ph.D. D.C. co. Co. Adm. Bros. Corp. Dr. Gen. Gov.
Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. Prof. Rep. Rev. Sen. St. Mt. Ak. Ala. Apr. Ariz.
Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan. Kans.
Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla.
Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis.
:) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (;
(-; :( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P
:p :-p :O :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD
XDD 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0
o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ)
¯\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>
"""
_DIVIDED = """
y'|all y|all how|'d|'y How|'d|'y not|'ve not|ve Not|'ve Not|ve can|not Can|not gon|na Gon|na got|ta
Got|ta let|'s Let|'s c'm|on C'm|on
"""
_DROPPED_G = ("doin", "goin", "nothin", "nuthin", "somethin", "lovin", "havin")
_ORDINARY = ("ill", "its", "hell", "shell", "shed", "were", "well", "whore")
"""Words of their own, though they read as contractions."""
_SUBJECTS = ("i", "you", "he", "she", "it", "we", "they")
_ASKING = ("who", "what", "when", "where", "why", "how", "there", "that", "this", "these", "those")
_NEGATED = (
    "ca",
    "could",
    "do",
    "does",
    "did",
    "had",
    "may",
    "might",
    "must",
    "need",
    "ought",
    "sha",
    "should",
    "wo",
    "would",
)
_ONLY_NEGATED = ("ai", "are", "is", "was", "were", "have", "has", "dare")
_WITH_HAVE = ("could", "might", "must", "should", "would")


@cache
def special_words() -> dict[str, tuple[str, ...]]:
    """Return word -> the tokens it is divided into (itself alone where it is kept whole)."""
    found = {"".join(parts): parts for parts in _contractions()}
    for word in _ORDINARY:
        found.pop(word, None)
        found.pop(word.title(), None)
    whole = [*_WHOLE.split(), *(f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyzäöü")]
    for word in _DROPPED_G:
        whole += [word, word.title(), f"{word}'", f"{word.title()}'"]
    found |= {word: (word,) for word in whole}
    found |= {word.replace("|", ""): tuple(word.split("|")) for word in _DIVIDED.split()}
    found |= {f"°{unit}.": ("°", unit, ".") for unit in "cfkCFK"}
    typeset = {
        word.replace("'", "’"): tuple(part.replace("'", "’") for part in parts)
        for word, parts in found.items()
    }
    return typeset | found | _clock_times()


def _clock_times() -> dict[str, tuple[str, ...]]:
    halves = ("a.m.", "am", "p.m.", "pm")
    return {f"{hour}{half}": (str(hour), half) for hour in range(1, 13) for half in halves}


def _contractions() -> Iterator[tuple[str, ...]]:
    """Yield contractions with their apostrophes, and as typed without."""
    for first, *rest in _with_apostrophes():
        for word in (first, first.title()):
            yield (word, *rest)
            yield (word, *(part.replace("'", "") for part in rest))


def _with_apostrophes() -> Iterator[tuple[str, ...]]:
    yield ("i", "'m")
    yield ("i", "'m", "a")
    for word in (*_SUBJECTS, *_ASKING):
        yield from ((word, "'ll"), (word, "'ll", "'ve"), (word, "'d"), (word, "'d", "'ve"))
    for word in ("i", "you", "we", "they", *_ASKING):
        if word not in ("that", "this"):
            yield (word, "'ve")
    for word in ("you", "we", "they", *_ASKING):
        if word not in ("that", "this"):
            yield (word, "'re")
    for word in ("he", "she", "it", *_ASKING[:-2]):
        yield (word, "'s")
    for word in _NEGATED:
        yield from ((word, "n't"), (word, "n't", "'ve"))
    for word in _ONLY_NEGATED:
        yield (word, "n't")
    for word in _WITH_HAVE:
        yield (word, "'ve")


_UNCASED = (
    "591-5f4 620-64a 66e-6d5 6e5-6ff 750-77f 8a0-8bd 900-9ff b80-cff d80-dff 1100-137f 2e80-2fdf "
    "2ff0-30ff 31c0-31ef 3200-4dbf 4e00-9fff ac00-d7af f900-faff fb1d-fbb1 fbd3-fd3d fd50-fdc7 "
    "fdf0-fdfb fe30-fe4f fe70-fefc 1ee00-1eebb 1f200-1f2ff 20000-2a6df 2a700-2ebef 2f800-2fa1f"
)
"""Hebrew, Arabic, Indic, Ethiopic, Hangul, kana and Chinese, as hexadecimal ranges."""
_CASED = (
    "41-5a 61-7a c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4 1c6-1c7 1c9-1ca 1cc-1f1 1f3-2af 386 388-38a 38c "
    "38e-38f 391-3a9 3ac-3af 3b1-3c9 3cc-3ce 400-401 403-40a 40c-40d 410-451 453-45a 45c-45d "
    "490-491 496-497 4a2-4a3 4ae-4af 4ba-4bb 4d8-4d9 4e8-4e9 1d00-1d25 1d6b-1d77 1d79-1d9a "
    "1e00-1eff 2c60-2c7b 2c7e-2c7f a722-a76f a771-a787 a78b-a78e a790-a7b9 a7fa ab30-ab5a "
    "ab60-ab64 ff21-ff3a ff41-ff5a"
)
_TITLE = "1bb 1c5 1c8 1cb 1f2"
_LATER_SYMBOLS = (
    "166d 2b97 2bc9 2bff 2e50-2e51 32ff fd40-fd4f fdcf fdfe-fdff 1019c 11fd5-11fdc 11fe1-11ff1 "
    "1cf50-1cfc3 1d1e9-1d1ea 1e14f 1ed2e 1f10d-1f10f 1f16c-1f16f 1f1ad 1f6d5-1f6d7 1f6dc-1f6df "
    "1f6fa-1f6fc 1f774-1f776 1f77b-1f77f 1f7d9-1f7ff 1f8b0-1f8ff 1f90c-1f90f 1f93f 1f971-1f972 "
    "1f977-1f979 1f97b 1f9a3-1f9af 1f9ba-1f9bf 1f9c3-1f9cf 1fa00-1fa5f 1fa6e-1fbff"
)
"""Symbols of Unicode versions after the list of those that are cut off."""
SIGNS = ",:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪…"
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
CURRENCY = ("US$", "C$", "A$", *"$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿")
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s "
    "km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см "
    "см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тбكم كم² "
    "كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام جم كغ ملغ كوب اكواب"
)
UNITS = tuple(_UNITS.split())


@cache
def letters(case: str = "any") -> str:
    """Return the inside of a set of letters: ``lower`` or ``upper`` with uncased ones, or all."""
    cased = _read_points(_CASED)
    if case == "any":
        return _format_set(cased | _read_points(_TITLE) | _read_points(_UNCASED))
    wanted = {"lower": "Ll", "upper": "Lu"}[case]
    same = {point for point in cased if unicodedata.category(chr(point)) == wanted}
    # Two characters stand where their categories don't say: ʔ among small letters, U+03A2 among
    # capitals.
    extra = {"lower": {0x294}, "upper": {0x3A2}}[case]
    return _format_set(same | extra | _read_points(_UNCASED))


@cache
def symbols() -> str:
    """Return the inside of a set of symbols such as emoji."""
    later = _read_points(_LATER_SYMBOLS)
    found = {
        point
        for point in range(0x80, sys.maxunicode + 1)
        if unicodedata.category(chr(point)) == "So"
    }
    return _format_set(found - later)


def _read_points(ranges: str) -> set[int]:
    found: set[int] = set()
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def _format_set(points: set[int]) -> str:
    pieces: list[str] = []
    ordered = sorted(points)
    start = 0
    for i in range(1, len(ordered) + 1):
        if i == len(ordered) or ordered[i] != ordered[i - 1] + 1:
            pieces.append(f"{re.escape(chr(ordered[start]))}-{re.escape(chr(ordered[i - 1]))}")
            start = i
    return "".join(pieces)


def _mark_set(ranges: str) -> frozenset[str]:
    found: set[str] = set()
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        found.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(found)


TERMINAL = _mark_set(
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e "
    "1735-1736 17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e "
    "1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 "
    "a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f "
    "ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 "
    "111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 "
    "11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 "
    "11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
)
"""Marks that end a sentence in any script; a line that ends with one is whole."""

SENTENCE_ENDS = TERMINAL - _mark_set(
    "61d-61e 837 839 83d-83e 17d4-17d6 17d9-17da 1b7d-1b7e 2e53-2e54 10f55-10f59 10f86-10f89 "
    "11944 11946 11ef7-11ef8 11f43-11f44 16e98"
)
"""Those after which sentences are counted."""

PUNCTUATION = TERMINAL | _mark_set(
    "0-8 b-1f 21-2f 3a-40 5b-60 7b-9f ab b4 bb 2013-2014 2019 201c-201e 2026 2236 2501 25ba "
    "3001-3002 3008-300d 3010-3011 ff01 ff05 ff08-ff09 ff0c ff0e ff11 ff1a-ff1b ff1f ff5e"
)
"""Characters a word can't be made of alone."""

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Of these English prose has at least two (Rae et al. 2021, appendix A)."""


_PAIRS = re.compile(r"[A-Za-z]+[a-z][,:;!?.]")


class _Patterns(NamedTuple):
    prefix: re.Pattern[str]
    suffix: re.Pattern[str]
    infix: re.Pattern[str]
    address: re.Pattern[str]


def split_piece(piece: str) -> list[str]:
    """Return the words of a text that holds no white space."""
    special = special_words()
    if piece in special:
        return list(special[piece])
    if piece.isalpha():
        return [piece]
    if _PAIRS.fullmatch(piece) and piece[:-1] not in special:
        return [piece[:-1], piece[-1]]
    return _with_specials(_split(piece, special))


def _split(piece: str, special: dict[str, tuple[str, ...]]) -> list[str]:
    before, middle, after = _cut_affixes(piece, special)
    return [*before, *_split_infixes(middle, special), *reversed(after)]


def _cut_affixes(
    text: str, special: dict[str, tuple[str, ...]]
) -> tuple[list[str], str, list[str]]:
    patterns = _patterns()
    before: list[str] = []
    after: list[str] = []
    size = 0
    while text and len(text) != size and text not in special:
        size = len(text)
        found = patterns.prefix.match(text)
        head = found.end() if found else 0
        if head and text[head:] in special:
            before.append(text[:head])
            return before, text[head:], after
        found = patterns.suffix.search(text[head:]) if _may_end(text) else None
        tail = len(text) - head - found.start() if found else 0
        if tail and text[:-tail] in special:
            after.append(text[-tail:])
            return before, text[:-tail], after
        before += [text[:head]] if head else []
        after += [text[-tail:]] if tail else []
        text = text[head : len(text) - tail]
    return before, text, after


def _may_end(text: str) -> bool:
    """Return whether an end may be cut off, which spares most pieces the long pattern.

    Behind a digit nothing can be; a letter can only be part of 's, or of a unit behind a digit.
    """
    last = text[-1]
    if not last.isascii() or not last.isalnum():
        return True
    return last.isalpha() and (text[-2:-1] in ("'", "’") or any(map(str.isdecimal, text[-6:])))


def _split_infixes(text: str, special: dict[str, tuple[str, ...]]) -> list[str]:
    if not text:
        return []
    if text in special:
        return list(special[text])
    patterns = _patterns()
    if "." in text and patterns.address.match(text):
        return [text]
    words: list[str] = []
    start = 0
    for found in patterns.infix.finditer(text):
        if found.start() == 0:
            continue
        if found.start() != start:
            words.append(text[start : found.start()])
        words.append(found.group())
        start = found.end()
    return [*words, text[start:]] if text[start:] else words


def _with_specials(words: list[str]) -> list[str]:
    """Return the words with special words put together that were cut apart, longest first."""
    special, pieces = special_words(), _special_pieces()
    ranges = [
        (i, i + n)
        for i, word in enumerate(words)
        for n in pieces.get(word, ())
        if i + n <= len(words)
    ]
    spans = [
        (i, j)
        for i, j in ranges
        if (joined := "".join(words[i:j])) in special and tuple(words[i:j]) == _plain(joined)
    ]
    if not spans:
        return words
    taken: set[int] = set()
    chosen: dict[int, int] = {}
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if start not in taken and end - 1 not in taken:
            chosen[start] = end
        taken.update(range(start, end))
    return _replace_words(words, chosen, special)


def _replace_words(
    words: Sequence[str], chosen: dict[int, int], special: dict[str, tuple[str, ...]]
) -> list[str]:
    made: list[str] = []
    i = 0
    while i < len(words):
        end = chosen.get(i, i + 1)
        made += special["".join(words[i:end])] if i in chosen else [words[i]]
        i = end
    return made


@cache
def _special_pieces() -> dict[str, tuple[int, ...]]:
    """Return first word -> how many words special words that begin with it are cut into."""
    patterns = _patterns()
    found: dict[str, set[int]] = {}
    for word in special_words():
        if (
            patterns.prefix.match(word)
            or patterns.infix.search(word)
            or patterns.suffix.search(word)
        ):
            pieces = _plain(word)
            found.setdefault(pieces[0], set()).add(len(pieces))
    return {first: tuple(sorted(counts)) for first, counts in found.items()}


@cache
def _plain(word: str) -> tuple[str, ...]:
    """Return a special word as it is cut where the list is not used."""
    return tuple(_split(word, {}))


@cache
def _patterns() -> _Patterns:
    return _Patterns(_prefix(), _suffix(), _infix(), _address())


def _set(characters: str) -> str:
    return "".join(re.escape(c) for c in characters)


def _prefix() -> re.Pattern[str]:
    money = "|".join(re.escape(sign) for sign in CURRENCY)
    return re.compile(rf"[§%=—–]|\+(?![0-9])|\.\.+|[{_set(SIGNS + QUOTES)}]|{money}|[{symbols()}]")


def _suffix() -> re.Pattern[str]:
    lower, upper = letters("lower"), letters("upper")
    money = "|".join(re.escape(sign) for sign in CURRENCY)
    units = "|".join(re.escape(unit) for unit in UNITS)
    stop_after = rf"0-9{lower}%²\-+|{_set(SIGNS + QUOTES)}"
    return re.compile(
        rf"(?:……|\.\.+|[{_set(SIGNS + QUOTES)}—–{symbols()}]|['’][sS]|(?<=[0-9])\+"
        rf"|(?<=°[FfCcKk])\.|(?<=[0-9])(?:{money}|{units})|(?<=[{stop_after}])\."
        rf"|(?<=[{upper}][{upper}])\.)\Z"
    )


def _infix() -> re.Pattern[str]:
    every, lower, upper = letters(), letters("lower"), letters("upper")
    quotes = _set(QUOTES)
    return re.compile(
        rf"\.\.+|[…{symbols()}]|(?<=[0-9])[+\-*^](?=[0-9-])"
        rf"|(?<=[{lower}{quotes}])\.(?=[{upper}{quotes}])|(?<=[{every}]),(?=[{every}])"
        rf"|(?<=[{every}0-9])(?:---|--|——|[-–—~])(?=[{every}])|(?<=[{every}0-9])[:<>=/](?=[{every}])"
    )


def _address() -> re.Pattern[str]:
    letter = "A-Za-z0-9\u00a1-\uffff"
    private = (
        r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})"
        r"(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})"
    )
    numbers = (
        r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}"
        r"\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])"
    )
    names = rf"(?:(?:[{letter}][{letter}_-]{{0,62}})?[{letter}]\.)+[{letters('lower')}]{{2,63}}"
    return re.compile(
        rf"(?:[\w+\-.]{{2,}}://)?(?:\S+(?::\S*)?@)?(?:{private}{numbers}|{names})"
        r"(?::\d{2,5})?(?:[/?#]\S*)?\Z"
    )

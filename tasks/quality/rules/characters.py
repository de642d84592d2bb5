"""Classes of characters that decide where a word ends, as regular-expression sets.

Facts of spaCy 3.8's tokenizer: which alphabets count as letters, which signs are cut off.
"""

import re
import sys
import unicodedata
from functools import cache

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
    cased = _points(_CASED)
    if case == "any":
        return _inside(cased | _points(_TITLE) | _points(_UNCASED))
    wanted = {"lower": "Ll", "upper": "Lu"}[case]
    same = {point for point in cased if unicodedata.category(chr(point)) == wanted}
    # Two characters stand where their categories don't say: ʔ among small letters, U+03A2 among
    # capitals.
    extra = {"lower": {0x294}, "upper": {0x3A2}}[case]
    return _inside(same | extra | _points(_UNCASED))


@cache
def symbols() -> str:
    """Return the inside of a set of symbols such as emoji."""
    later = _points(_LATER_SYMBOLS)
    found = {
        point
        for point in range(0x80, sys.maxunicode + 1)
        if unicodedata.category(chr(point)) == "So"
    }
    return _inside(found - later)


def _points(ranges: str) -> set[int]:
    found: set[int] = set()
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def _inside(points: set[int]) -> str:
    pieces: list[str] = []
    ordered = sorted(points)
    start = 0
    for i in range(1, len(ordered) + 1):
        if i == len(ordered) or ordered[i] != ordered[i - 1] + 1:
            pieces.append(f"{re.escape(chr(ordered[start]))}-{re.escape(chr(ordered[i - 1]))}")
            start = i
    return "".join(pieces)

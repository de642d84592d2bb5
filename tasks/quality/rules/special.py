"""Words that English tokenization keeps whole or divides by a list instead of by rule.

The list is spaCy 3.8's for English, whose words the published thresholds are applied to: what is
a word there is a word here. A bar marks where a word is divided.
"""

from collections.abc import Iterator
from functools import cache

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
    return typeset | found | _times()


def _times() -> dict[str, tuple[str, ...]]:
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

"""Rules for prose, against datatrove's filters of the same rules."""

import random
from itertools import count

import pyarrow as pa
from pair import Benchmark

_FREQUENT = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from "
    "or had an they which you were her all she there would their we him been has when who will no "
    "more if out so said what up its about than into them can only other new some could time these "
    "two may then do first any my now such like our over man me even most made after also did many "
    "before must through back years where much your way well down should because each just those "
    "people how too little state good very make world still own see men work long get here between "
    "both life being under never day same another know while last might us great old year off come "
    "since against go came right used take three"
)


def texts(number: int, seed: int = 17) -> list[str]:
    """Return different texts of about 400 characters: sentences of frequent and made-up words."""
    rng = random.Random(seed)
    rare = ["".join(rng.choices("aeioulnrstdmbkp", k=rng.randint(4, 10))) for _ in range(60_000)]
    serial = count()
    return [_text(rng, rare, next(serial)) for _ in range(number)]


def _text(rng: random.Random, rare: list[str], serial: int) -> str:
    sentences = [_sentence(rng, rare) for _ in range(rng.randint(5, 8))]
    sentences[rng.randrange(len(sentences))] += f" (No. {serial:,}-{rng.randint(1, 99)})."
    return rng.choice((" ", " ", "\n")).join(sentences)


def _sentence(rng: random.Random, rare: list[str]) -> str:
    frequent = _FREQUENT.split()
    words = [
        rng.choice(rare if rng.random() < 0.4 else frequent) for _ in range(rng.randint(6, 16))
    ]
    words[rng.randrange(len(words))] += rng.choice((",", ";", "'s", ""))
    return " ".join(words).capitalize() + rng.choice("...?!")


def rules() -> Benchmark:
    """Judge 5,000 texts by Gopher's and C4's rules, against datatrove's three filters."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    from configs.quality import TextRules
    from tasks.quality.prose.filter import ProseFilter

    rows = texts(5_000)
    array = pa.array(rows)
    asked = TextRules(fineweb=None, signs=None)
    filters = (GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter())
    return Benchmark(
        metric=f"texts/s, Gopher and C4, {len(rows):,} texts of 0.4 kB",
        units=len(rows),
        ours=lambda: ProseFilter(asked).find(array),
        peer=lambda: [[f.filter(Document(text=t, id="")) for f in filters] for t in rows],
        peer_name="datatrove",
        target=5.0,
    )

from tasks.text.overlap import OverlapIndex

LONG = "the quick brown fox jumps over the lazy dog while seven small birds watch from above"


def row(*texts):
    return [{"role": "user", "content": t} for t in texts]


def test_thirteen_words_in_a_row_are_an_overlap():
    inside = "He wrote: " + " ".join(LONG.split()[2:15]) + ", and left."
    assert OverlapIndex([LONG]).hits(row(inside))


def test_twelve_words_in_a_row_are_not():
    assert not OverlapIndex([LONG]).hits(row(" ".join(LONG.split()[:12])))


def test_a_short_item_matches_only_a_whole_message():
    index = OverlapIndex(["Where is my card?"])
    assert index.hits(row("where is MY card", "At home."))
    assert not index.hits(row("Tell me: where is my card? Thanks"))

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.normal import words
from tasks.text.overlap import COMMON, GRAM, RUN, Item, OverlapIndex, isolated_runs

LONG = "the quick brown fox jumps over the lazy dog while seven small birds watch from above"
MIDDLE = "please tell me where my new bank card is"
BEFORE, AFTER = "It had rained all day.", "Then we went home for tea."


def row(*texts):
    return [{"role": "user", "content": t} for t in texts]


def test_thirteen_words_in_a_row_are_an_overlap():
    inside = "He wrote: " + " ".join(LONG.split()[2:15]) + ", and left."
    assert OverlapIndex([LONG]).hits(row(inside))


def test_twelve_words_in_a_row_are_not():
    assert not OverlapIndex([LONG]).hits(row(" ".join(LONG.split()[:12])))


def test_an_item_of_eight_to_twelve_words_is_found_as_a_run_and_only_as_a_whole():
    index = OverlapIndex([MIDDLE])
    assert index.hits(row(f"so could you {MIDDLE.upper()} and why"))
    assert not index.hits(row(" ".join(MIDDLE.split()[1:]) + " today"))


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "{} Thanks.",
        "Tell me: {}",
        f"{BEFORE} {{}} {AFTER}",
        f"{BEFORE}\n{{}}\n{AFTER}",
        'She asked "{}" twice.',
        "- {}\n- another",
        "**{}**",
    ],
)
def test_a_short_item_is_found_where_it_stands_by_itself(around: str):
    index = OverlapIndex(["Where is my card?"])
    assert index.hits(row(around.format("Where is my card?")))
    assert index.hits(row("Hello.", around.format("WHERE  is my card?")))


def test_a_short_item_inside_a_sentence_is_a_common_phrase():
    index = OverlapIndex(["Where is my card?"])
    assert not index.hits(row("I asked them where is my card going to be sent."))


def test_one_word_is_found_only_as_a_whole_message():
    index = OverlapIndex(["Help!"])
    assert index.hits(row("help"))
    assert not index.hits(row("Help! I lost my card."))


def test_a_sum_is_not_found_in_a_difference():
    index = OverlapIndex(["What is 2+2?"])
    assert index.hits(row("what is 2 + 2"))
    assert not index.hits(row("What is 2-2?"))


def test_choices_belong_to_the_question_with_and_without_letters():
    item = Item("Which is a prime?", ("4", "6", "7", "9"))
    index = OverlapIndex([item])
    plain, lettered = "4\n6\n7\n9", "A. 4\nB. 6\nC. 7\nD. 9"
    for choices in (plain, lettered, lettered.replace(".", ")")):
        text = f"{BEFORE}\n{item.question}\n{choices}\nAnswer: 7. {AFTER}"
        assert index.hits(row(text))
    assert index.hits(row("which is a PRIME", "7"))
    assert not index.hits(row(f"{BEFORE} Which is a prime? 3, 5 and 11."))


def test_a_longer_bare_question_is_found_without_its_choices():
    item = Item("Which of these animals is known to sleep standing up?", ("horse", "cat"))
    assert OverlapIndex([item]).hits(row(f"{BEFORE} {item.question} A horse."))


def test_wording_that_many_items_share_is_no_overlap_but_each_item_is():
    frame = " ".join(f"word{i}" for i in range(30))
    items = [f"{frame} item number{i}" for i in range(COMMON + 1)] + [frame]
    index = OverlapIndex(items)
    assert index.hits(row(items[3]))
    assert not index.hits(row(" ".join(frame.split()[2:]) + " other"))
    assert index.hits(row(f"so {frame} it is"))


def test_rows_are_judged_one_by_one():
    index = OverlapIndex([MIDDLE, LONG])
    half = MIDDLE.split()
    rows = [row("a"), row(" ".join(half[:5])), row(" ".join(half[5:])), row(LONG), row(MIDDLE), []]
    assert index.rows_hit(rows).tolist() == [False, False, False, True, True, False]


def test_no_items_and_items_of_signs_match_nothing():
    assert not OverlapIndex(["", "?!"]).rows_hit([row(""), row("?!"), []]).any()
    assert OverlapIndex([LONG]).rows_hit([]).tolist() == []


WORDS = st.lists(st.sampled_from("abcde"), max_size=30)


@given(st.lists(WORDS, max_size=6), WORDS)
def test_the_index_agrees_with_the_rules_word_for_word(items, text):
    joined = " ".join(text)

    def found(item):
        size = min(len(item), GRAM)
        runs = [item[i : i + size] for i in range(len(item) - size + 1)]
        inside = any(text[i : i + size] in runs for i in range(len(text) - size + 1))
        return inside if len(item) >= RUN else bool(item) and item == text

    assert OverlapIndex(map(" ".join, items)).hits(row(joined)) == any(map(found, items))


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_the_item_that_a_row_contains_is_named_where_there_is_one(items, text):
    said, texts = row(" ".join(text)), [" ".join(item) for item in items]
    index = OverlapIndex(texts)
    item = index.find_item(said)
    assert (item is not None) == index.hits(said)
    assert item is None or (item in texts and OverlapIndex([item]).hits(said))


def test_the_item_is_named_in_each_form_it_is_found_by():
    choice = Item("Which is a prime?", ("4", "6", "7", "9"))
    horse = Item("Which of these animals is known to sleep standing up?", ("horse", "cat"))
    frame = " ".join(f"word{i}" for i in range(30))
    framed = [f"{frame} item number{i}" for i in range(COMMON + 1)]
    index = OverlapIndex([LONG, MIDDLE, "Where is my card?", choice, horse, *framed])
    for text, item in (
        (f"He wrote: {' '.join(LONG.split()[2:15])}, and left.", LONG),
        (f"so could you {MIDDLE.upper()} and why", MIDDLE),
        (f"{BEFORE} Where is my card? {AFTER}", "Where is my card?"),
        ("Which is a prime?", choice),
        (f"{BEFORE}\n{choice.question}\nA) 4\nB) 6\nC) 7\nD) 9\n{AFTER}", choice),
        (f"{BEFORE} {horse.question} A horse.", horse),
        (framed[7], framed[7]),
    ):
        assert index.hits(row(text))
        assert index.find_item(row(text)) == item
    assert index.find_item(row(frame)) is None


@given(st.text(st.sampled_from("abC .?\n"), max_size=30), st.integers(1, 5))
def test_what_stands_by_itself_is_part_of_the_text(text, size):
    whole = words(text)
    runs = [tuple(whole[i : i + size]) for i in range(len(whole))]
    assert all(run in runs for run in isolated_runs(text, size))


@pytest.mark.shared_data
def test_every_planted_test_item_is_found(shared_data: Path):
    banking = pq.read_table(shared_data / "banking77" / "test.parquet")["text"].to_pylist()[::5]
    mmlu = [
        Item(r["question"], tuple(r["choices"]))
        for r in pq.read_table(shared_data / "mmlu" / "test.parquet").to_pylist()[::40]
    ]
    for items in (banking, mmlu):
        index = OverlapIndex(items)
        for form in ("{}", f"{BEFORE} {{}} {AFTER}", f"{BEFORE}\n{{}}\n{AFTER}"):
            for change in (str, str.upper, lambda t: t.replace(" ", "   ")):
                texts = [
                    t if isinstance(t, str) else "\n".join([t.question, *t.choices]) for t in items
                ]
                hit = index.rows_hit([row(form.format(change(t))) for t in texts])
                assert hit.all(), json.dumps([texts[i] for i in (~hit).nonzero()[0]][:5])

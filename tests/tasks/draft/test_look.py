"""What is seen of data that nobody has described, and when it is asked instead of guessed."""

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_recipe
from tasks.draft.look import DataLook, Unclear, look_at_data
from tasks.draft.recipe import DraftRequest, draft_recipe, name_of
from tasks.errors import SourceError

TEXTS = [f"my parcel number {i} is late and nobody answers" for i in range(60)]
THAI = [f"พัสดุ หมายเลข {i} มาช้า มาก" for i in range(60)]
QUEUES = ["delivery", "billing", "quality"]


def labelled(texts: Sequence[str], labels: Sequence[Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {"text": text, "label": label, **{k: v[i] for k, v in more.items()}}
        for i, (text, label) in enumerate(zip(texts, itertools.cycle(labels), strict=False))
    ]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    return str(path)


def chat(i: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": TEXTS[i]},
            {"role": "assistant", "content": f"Sorry about parcel {i}: it comes tomorrow."},
        ]
    }


PATHS = ["Delivery > Late > Courier", "Delivery > Late > Weather", "Billing > Twice > Card"]
SETS = ["late; rude", "late", "rude; broken", "broken; late", "late; rude; broken", "rude"]
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "labels": (labelled(TEXTS, QUEUES), {"task": "labels", "format": None}),
    "thai": (labelled(THAI, ["ส่งช้า", "บิล"]), {"task": "labels"}),
    "numbers as labels": (labelled(TEXTS, [0, 1, 2]), {"task": "labels"}),
    "an id and a date beside": (
        labelled(TEXTS, QUEUES, ticket_id=[f"T{i}" for i in range(60)]),
        {"task": "labels", "columns": {"prompt": "text", "completion": "label"}},
    ),
    "levels": (labelled(TEXTS, PATHS), {"task": "labels", "hierarchy": ">", "levels": 3}),
    "several": (labelled(TEXTS, SETS), {"task": "several labels", "divider": ";"}),
    "several as arrays": (
        labelled(TEXTS, [["late", "rude"], ["late"], [], ["rude"]]),
        {"task": "several labels", "divider": None},
    ),
    "chat": ([chat(i) for i in range(60)], {"task": "answers", "format": "messages"}),
    "questions and answers": (
        [{"question": t, "answer": f"It is {i} of them, by now."} for i, t in enumerate(TEXTS)],
        {"task": "answers", "format": "completion"},
    ),
    "prose": ([{"text": t} for t in TEXTS], {"task": "text", "format": "text"}),
    "pairs": (
        [{"prompt": t, "chosen": f"{t}: yes", "rejected": f"{t}: no"} for t in TEXTS],
        {"task": "pairs", "format": "dpo"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_data_is_seen_as_what_it_is_and_its_recipe_loads(case: str, tmp_path: Path) -> None:
    rows, wanted = CASES[case]
    look = look_at_data(write(tmp_path / "data.jsonl", rows))
    assert {k: getattr(look, k) for k in wanted} == wanted
    assert (look.rows, look.whole, look.bad) == (len(rows), True, 0)
    place = tmp_path / "r.yaml"
    place.write_text(draft_recipe(look, DraftRequest("first", model="m")))
    recipe = load_recipe(place)
    assert recipe.name == "first"
    assert [s.name for s in recipe.evaluation.suites][-1] == "mmlu"
    assert any(g.rule == "hold" for g in recipe.gates)


def test_a_table_and_lines_of_json_are_seen_alike(tmp_path: Path) -> None:
    rows = labelled(TEXTS, QUEUES)
    table, lines = (look_at_data(write(tmp_path / f"d.{x}", rows)) for x in ("csv", "jsonl"))
    assert table._replace(path="") == lines._replace(path="")
    assert table.labels == {"delivery": 20, "billing": 20, "quality": 20}


def test_two_readings_are_asked_and_an_option_says_which(tmp_path: Path) -> None:
    rows = labelled(TEXTS, QUEUES, topic=["a", "b"] * 30)
    path = write(tmp_path / "d.jsonl", rows)
    with pytest.raises(Unclear) as asked:
        look_at_data(path)
    assert (asked.value.option, asked.value.choices) == ("label", ("label", "topic"))
    assert look_at_data(path, label="topic").labels == {"a": 30, "b": 30}


def test_two_texts_are_asked(tmp_path: Path) -> None:
    rows = labelled(TEXTS, QUEUES, body=[f"the body of {t}" for t in TEXTS])
    path = write(tmp_path / "d.jsonl", rows)
    with pytest.raises(Unclear, match="each be the text") as asked:
        look_at_data(path)
    assert asked.value.option == "text"
    assert look_at_data(path, text="body").columns["prompt"] == "body"


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", labelled(TEXTS, QUEUES))
    with pytest.raises(SourceError, match="'queue', but the columns are"):
        look_at_data(path, label="queue")


def test_rare_labels_and_broken_lines_are_told(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "d.jsonl", labelled(TEXTS, QUEUES)))
    path.write_text(path.read_text() + json.dumps({"text": "it is odd", "label": "odd"}) + "\n{\n")
    look = look_at_data(str(path))
    assert look.bad == 1
    assert any("'odd'" in note for note in look.notes)
    assert any("no rows" in note for note in look.notes)
    text = draft_recipe(look, DraftRequest("r", model="m"))
    assert "domain/accuracy" in text
    assert "domain/macro_f1" not in text


def test_general_data_of_ones_own_takes_the_place_of_rehearsal(tmp_path: Path) -> None:
    look = look_at_data(write(tmp_path / "d.jsonl", labelled(TEXTS, QUEUES)))
    kept = look_at_data(write(tmp_path / "g.jsonl", [chat(i) for i in range(60)]))
    place = tmp_path / "r.yaml"
    place.write_text(draft_recipe(look, DraftRequest("r", "m", kept, "Which queue? {TEXT}")))
    recipe = load_recipe(place)
    assert [s.kind for s in recipe.sources] == ["files", "files"]
    assert recipe.sources[0].columns["prompt"] == "Which queue? {text}"  # type: ignore[union-attr]
    assert "kept/bits_per_byte" in {g.metric for g in recipe.gates}


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b/My tickets.csv.gz", "My-tickets"), ("s3://b/k/", "k"), ("***", "domain")],
)
def test_a_recipe_is_called_after_its_data(path: str, name: str) -> None:
    assert name_of(path) == name


def test_labels_longer_than_words_say_still_fit_the_answer(tmp_path: Path) -> None:
    names = ["card_payment_wrong_exchange_rate", "lost_or_stolen_phone"]
    look: DataLook = look_at_data(write(tmp_path / "d.jsonl", labelled(TEXTS, names)))
    (line,) = [
        x for x in draft_recipe(look, DraftRequest("r", "m")).splitlines() if "max_new_tokens" in x
    ]
    assert int(line.split()[-1]) >= 16

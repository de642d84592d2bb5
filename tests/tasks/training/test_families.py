"""What training does with every family, and the page that says so.

Each is tried with tiny random weights: which attention and which layout it gets, whether its loss
is transformers' own on the same rows (which TRL takes), and whether what is saved, merged or whole,
is what was trained. The page beside the golden files is the outcome; to record it anew::

    TEMPER_RECORD_GOLDEN=1 pytest -n 0 -m long tests/tasks/training/test_families.py
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from fakes.families import FAMILIES, family_config, make_family

from configs.training import Lora, Training
from tasks.artifacts import LocalModel
from tasks.models.local.loading import choose_attention
from tasks.text.masks import IGNORED
from tasks.training.layouts import choose_layout
from tasks.training.loader import Layout, MicroBatches, Row, Shape
from tasks.training.merge_check import Trained, check_saved
from tasks.training.models import adapter_config, load_base, save_merged
from tasks.training.sft import called, supervised_logits, token_nats

PAGE = Path(__file__).parents[2] / "golden" / "models_training.md"
RECORD = bool(os.environ.get("TEMPER_RECORD_GOLDEN"))
HEAD = """# Models in training

Tiny random models of each family, made by transformers' own configs, and what became of them. The
table is written by `tests/tasks/training/test_families.py`, which fails where a line isn't true.

- **attention**: on a GPU without FlashAttention, by what the class has and is right in.
- **layout**: the quickest in which a document's loss is what it is alone: `packed` behind each
  other, `sorted` and padded, or `unpadded`, rows of one length only.
- **loss**: ours on the same rows against transformers' own, which TRL takes.
- **adapter**: the merged model against base and adapter.
- **all weights**: the saved model against the trained one; both are read from the folder again.

| family | model type | attention | layout | loss | adapter | all weights |
|---|---|---|---|---|---|---|
"""


def rows() -> list[Row]:
    draw = random.Random(3)
    found = []
    for i, length in enumerate((40, 31, 23, 9)):
        ids = [draw.randrange(5, 280) for _ in range(length)]
        labels = [t if n >= length // 3 else IGNORED for n, t in enumerate(ids)]
        found.append({"row_id": str(i), "input_ids": ids, "labels": labels, "source": "a"})
    return found


def our_loss(model: Any, layout: Layout) -> float:
    """Return the step's loss in a layout."""
    batch, total = MicroBatches(Shape(0, 200, layout), "a")(rows()), 0.0
    with torch.no_grad():
        for micro in batch["micro"]:
            logits, at = supervised_logits(model, micro)
            total += float(token_nats(logits, micro, at).sum())
    return total / batch["supervised"]


def their_loss(model: Any) -> float:
    """Return transformers' own loss, a row at a time, over all supervised tokens."""
    total, count = 0.0, 0
    images = (
        {"token_type_ids", "mm_token_type_ids"} if hasattr(model.config, "vision_config") else set()
    )
    for row in rows():
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        kept = int((labels[:, 1:] != IGNORED).sum())
        more = {
            name: torch.zeros_like(ids) for name in images & set(model.forward.__code__.co_varnames)
        }
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels, use_cache=False, **more).loss) * kept
        count += kept
    return total / count


def learnt(base: LocalModel, training: Training) -> Any:
    from peft import get_peft_model

    model = load_base(base, training, "float32")
    if training.adapter:
        model = get_peft_model(model, adapter_config(training.adapter, model))
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
    return model.eval()


def saved(base: LocalModel, training: Training, out: Path) -> str:
    """Return ``right`` where a saved model is the trained one; raises where it isn't."""
    trained = learnt(base, training)
    ids = torch.arange(5, 37)[None]
    with torch.no_grad():
        places = torch.arange(ids.shape[1])[None]
        logits = called(trained, {"input_ids": ids, "position_ids": places}, 0)
    wanted = logits[0].float().log_softmax(-1)
    save_merged(base, training, trained, out)
    assert check_saved(out, training, Trained(ids, wanted, 0.0)).difference < 1e-4
    return "right"


def line_of(family: str, folder: Path) -> str:
    """Return the family's line of the page."""
    config = family_config(family)
    attention = choose_attention(config)
    model = make_family(family, attention)
    layout = choose_layout(model, rows(), "packed", 0, 40).layout
    loss = "right" if abs(our_loss(model, layout) - their_loss(model)) < 1e-3 else "WRONG"
    model.save_pretrained(folder / "base")
    base = LocalModel(path=folder / "base", name="b", digest="d" * 64, tokenizer_digest="t" * 64)
    adapter = saved(
        base, Training(adapter=Lora(rank=4, targets="all-linear"), dtype="float32"), folder / "a"
    )
    whole = saved(base, Training(adapter=None, dtype="float32"), folder / "w")
    cells = [family, config.model_type, attention, layout, loss, adapter, whole]
    return f"| {' | '.join(cells)} |"


@pytest.fixture(scope="module")
def recorded() -> Any:
    """The page's lines by family; where asked for, written anew when all were tried."""
    known = (
        {line.split(" | ")[0].strip("| "): line for line in PAGE.read_text().splitlines()}
        if PAGE.is_file()
        else {}
    )
    fresh: dict[str, str] = {}
    yield known, fresh
    if RECORD and fresh.keys() == FAMILIES.keys():
        PAGE.write_text(HEAD + "\n".join(fresh[name] for name in sorted(fresh)) + "\n")


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_training_does_with_a_family_what_the_page_says(
    family: str, tmp_path: Path, recorded: Any
) -> None:
    known, fresh = recorded
    fresh[family] = line_of(family, tmp_path)
    assert "WRONG" not in fresh[family]
    assert RECORD or known.get(family) == fresh[family]


def test_the_page_has_every_family() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == sorted(FAMILIES)
    assert len({family_config(name).model_type for name in FAMILIES}) >= 40

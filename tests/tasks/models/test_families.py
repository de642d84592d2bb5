"""Families of models, scored and answered as transformers itself does it, or refused by name.

The table of what came out is ``tests/golden/models_inference.md``; TEMPER_RECORD_GOLDEN=1 writes it
anew, with ``-m "long or not long"``, for all families.
"""

import os
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fakes.families import FAMILIES, make_family

from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.models.api import Decoding
from tasks.models.identity import weights_digest

torch = pytest.importorskip("torch")

from tasks.models.local.generation import generate  # noqa: E402
from tasks.models.local.loading import forget_model, load_weights  # noqa: E402
from tasks.models.local.probe import shortcuts_of  # noqa: E402
from tasks.models.local.scoring import continuation_logprobs  # noqa: E402
from tasks.models.local.spans import Span  # noqa: E402

TABLE = Path(__file__).parents[2] / "golden" / "models_inference.md"
RECORDED = os.environ.get("TEMPER_RECORD_GOLDEN") == "1"
QUICK = (
    "bloom",
    "falcon_h1",
    "gemma2",
    "gemma3_vision",
    "gpt2",
    "gpt_oss",
    "lfm2",
    "llama",
    "llama4",
    "llama_dynamic_rope",
    "mamba",
    "mistral_window",
    "qwen3_5",
)
"""Of each kind of attention, position and state one: the others take minutes."""
HEAD = """# Models: scored and answered here, beside transformers itself

Tiny random models of each family, saved, loaded, and asked more than a window long. `shared`: what
texts have in common is computed once; `rows`: a row a text; `alone`: a pass a text; `padded`:
prompts of a batch are padded. Differences are in nats, the largest of all spans, from one plain
forward pass a text by the model before it was saved.

"""
COLUMNS = (
    "family",
    "type",
    "attention",
    "scores",
    "answers",
    "beyond tokens",
    "scores = plain pass",
    "batch 1 = 16",
    "answers = generate",
)


class Words:
    """A tokenizer as far as generation needs one."""

    eos_token_id, pad_token_id, chat_template = 2, 0, None

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return " ".join(map(str, ids))


def _texts(limit: int) -> tuple[list[list[Span]], list[list[int]]]:
    """Return questions with options and prompts, most of which begin alike, the last ones apart."""
    draw = random.Random(4)

    def some(count: int) -> list[int]:
        return [draw.randrange(5, 280) for _ in range(count)]

    head = some(min(70, limit - 40))
    groups = []
    for more in (4, 17, 9):
        context = head + some(more)
        options = [some(n) for n in (3, 1, 4)]
        groups.append(
            [Span(context + o, range(len(context), len(context) + len(o))) for o in options]
        )
    context = head + some(6)
    groups.append([Span([*context, t], [len(context)]) for t in some(4)])
    groups += [[Span(some(n), range(1, n))] for n in (3, 12, 31)]
    prompts = [head[:25] + some(n) for n in (1, 14, 6, 3)]
    return groups, prompts


def _plain(model: Any, span: Span) -> float:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(span.ids)])).logits[0]
    logprobs = logits.float().log_softmax(dim=-1)
    return sum(float(logprobs[p - 1, span.ids[p]]) for p in span.at)


def _generated(model: Any, prompt: list[int], count: int) -> list[int]:
    with torch.no_grad():
        out = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=2,
        )
    return list(out[0, len(prompt) :].tolist())


def _fresh(model: Any) -> Any:
    """Return a model whose rope has forgotten the texts before."""
    for module in model.modules():
        if hasattr(module, "original_max_seq_len") and hasattr(module, "original_inv_freq"):
            module.inv_freq = module.original_inv_freq
            module.max_seq_len_cached = module.original_max_seq_len
    return model


def look(family: str, folder: Path) -> list[str]:
    """Return a family's line of the table, or what it is refused with."""
    kind = FAMILIES[family][0]
    # Falcon's own eager adds its bias twice.
    right = make_family(family, "sdpa" if family == "falcon_alibi" else "eager")
    right.save_pretrained(folder)
    receipt = LocalModel(
        path=folder, name=family, digest=weights_digest(folder), tokenizer_digest=""
    )
    try:
        model = load_weights(receipt, "float32")
        found = shortcuts_of(model)
    except SetupError as error:
        return [family, kind, f"refused: {str(error).splitlines()[0]}"]
    groups, prompts = _texts(getattr(right.config.get_text_config(), "vocab_size", 300))
    wanted = [[_plain(_fresh(right), span) for span in group] for group in groups]
    apart, batched = 0.0, True
    by_size = [continuation_logprobs(model, groups, tokens) for tokens in (64, 4096)]
    for scores in by_size:
        for one, other in zip(scores, wanted, strict=True):
            apart = max([apart, *(abs(a - b) for a, b in zip(one, other, strict=True))])
    expected = [_generated(_fresh(right), prompt, 8) for prompt in prompts]
    tokenizer: Any = Words()
    answers = [
        [g.token_ids for g in generate(model, tokenizer, prompts, Decoding(8, size))]
        for size in (1, 16)
    ]
    batched = answers[0] == answers[1] and all(
        a == pytest.approx(b, abs=1e-3) for a, b in zip(*by_size, strict=True)
    )
    beyond = "" if found.reach is None else f"{found.reach}: {', '.join(found.beyond)}"
    return [
        family,
        kind,
        str(model.config.get_text_config()._attn_implementation),
        found.within.scoring,
        found.within.answering,
        beyond,
        "right" if apart < 2e-3 else f"off by {apart:.2g}",
        "right" if batched else "apart",
        "right" if answers[0] == expected else "apart",
    ]


@cache
def recorded() -> dict[str, list[str]]:
    lines = [x for x in TABLE.read_text().splitlines() if x.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in rows if row[0] != "---"}


FOUND: dict[str, list[str]] = {}


@pytest.mark.parametrize(
    "family",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in FAMILIES],
)
def test_a_family_is_as_transformers_has_it_or_refused_by_name(
    family: str, tmp_path: Path, temper_home: Path
) -> None:
    forget_model()
    row = FOUND[family] = look(family, tmp_path / "model")
    if len(row) == 3:
        assert FAMILIES[family][0] in row[2]
    else:
        assert row[-3:] == ["right"] * 3, row
    if RECORDED:
        _record()
    else:
        assert row == recorded()[family]


def _record() -> None:
    known = recorded() if TABLE.is_file() else {}
    recorded.cache_clear()
    rows = {**known, **FOUND}
    table = [list(COLUMNS), ["---"] * len(COLUMNS), *(rows[n] for n in FAMILIES if n in rows)]
    TABLE.write_text(HEAD + "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n")


def test_the_table_has_every_family_and_at_least_forty_types() -> None:
    assert list(recorded()) == list(FAMILIES)
    assert len({kind for kind, _ in FAMILIES.values()}) >= 40

import random

import pytest

torch = pytest.importorskip("torch")

from fakes.families import make_family

from tasks.errors import TrainingError
from tasks.text.masks import IGNORED
from tasks.training.layouts import choose_layout
from tasks.training.loader import MicroBatches, Shape
from tasks.training.sft import supervised_logits, token_nats

# What each family gets right at the most, by the kinds of its layers.
QUICKEST = {
    "llama": "packed",
    "gemma2": "packed",
    "mistral_window": "packed",
    "gpt2": "packed",
    "gpt_oss": "sorted",
    "opt": "sorted",
    "bloom": "sorted",
    "mpt": "sorted",
    "falcon": "sorted",
    "lfm2": "sorted",
    "qwen3_5": "sorted",
    "granitemoehybrid": "sorted",
    "nemotron_h": "sorted",
    "mamba": "sorted",
    "rwkv": "unpadded",
    "recurrent_gemma": "unpadded",
    "gemma3_vision": "packed",
}


def rows(lengths=(40, 31, 23, 9)):
    draw = random.Random(3)
    for i, length in enumerate(lengths):
        ids = [draw.randrange(5, 280) for _ in range(length)]
        labels = [t if n >= length // 3 else IGNORED for n, t in enumerate(ids)]
        yield {"row_id": str(i), "input_ids": ids, "labels": labels, "source": "a"}


def loss(model, documents, layout):
    batch, total = MicroBatches(Shape(0, 200, layout), "a")(documents), 0.0
    with torch.no_grad():
        for micro in batch["micro"]:
            logits, at = supervised_logits(model, micro)
            total += float(token_nats(logits, micro, at).sum())
    return total / batch["supervised"]


@pytest.mark.parametrize("family", QUICKEST)
def test_the_layout_of_a_family_is_the_quickest_in_which_documents_stand_alone(family):
    model, every = make_family(family), list(rows())
    choice = choose_layout(model, every, "packed", 0)
    assert choice.layout == QUICKEST[family]
    assert bool(choice.reason) == (choice.layout != "packed")
    alone = [loss(model, [row], "unpadded") for row in every]
    counts = [sum(x != IGNORED for x in row["labels"]) for row in every]
    mean = sum(a * n for a, n in zip(alone, counts, strict=True)) / sum(counts)
    assert loss(model, every, choice.layout) == pytest.approx(mean, abs=1e-4)


def test_a_leak_is_told_however_little_it_moves_a_loss():
    model = make_family("lfm2")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "conv.conv" in name:
                weight[..., :-1] *= 1e-5  # all but what a position takes of itself
    every = list(rows())
    assert loss(model, every, "packed") == pytest.approx(loss(model, every, "sorted"), abs=1e-3)
    choice = choose_layout(model, every, "packed", 0)
    assert choice.layout == "sorted"
    assert "depends on the documents beside it" in choice.reason


def test_nothing_is_left_of_the_asking():
    model = make_family("llama").train()
    choose_layout(model, list(rows()), "packed", 0)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks


def test_rows_that_are_longer_than_positions_were_made_for_go_by_length():
    model = make_family("llama_dynamic_rope")
    assert choose_layout(model, list(rows()), "packed", 0, longest=32).layout == "packed"
    choice = choose_layout(model, list(rows()), "packed", 0, longest=33)
    assert choice.layout == "unpadded"
    assert "dynamic" in choice.reason


def test_one_short_document_is_enough_to_ask_with():
    (row,) = rows((2,))
    assert choose_layout(make_family("qwen3_5"), [row], "packed", 0).layout == "sorted"


def test_a_model_that_sees_what_comes_after_is_refused():
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    model = BertLMHeadModel(BertConfig(**sizes, vocab_size=300, intermediate_size=32)).eval()
    with pytest.raises(TrainingError, match="depends on the tokens after it"):
        choose_layout(model, list(rows()), "sorted", 0)

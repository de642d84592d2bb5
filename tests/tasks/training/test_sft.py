import pytest

torch = pytest.importorskip("torch")
from tasks.text.masks import IGNORED  # noqa: E402
from tasks.training.loader import MicroBatches, Shape  # noqa: E402
from tasks.training.sft import supervised_logits, token_nats  # noqa: E402


@pytest.fixture(scope="module")
def model(tiny_model_folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32).eval()


def rows():
    generator = torch.Generator().manual_seed(3)
    for length in (12, 7, 20, 9):
        ids = torch.randint(6, 200, (length,), generator=generator).tolist()
        supervised = [i if n >= length // 2 else IGNORED for n, i in enumerate(ids)]
        yield {"row_id": str(length), "input_ids": ids, "labels": supervised, "source": "a"}


def alone(model, row):
    """The library's own loss of one unpadded row, summed over its supervised tokens."""
    ids, labels = (torch.tensor([row[k]]) for k in ("input_ids", "labels"))
    mean = model(input_ids=ids, labels=labels, use_cache=False).loss
    return float(mean) * int((labels[:, 1:] != IGNORED).sum())


def nats(model, micro):
    logits, at = supervised_logits(model, micro)
    return token_nats(logits, micro, at)


def test_padded_micro_batches_give_the_loss_of_each_row_alone(model):
    every = list(rows())
    (micro,) = MicroBatches(Shape(0, 1000), ["a"])(every)["micro"]
    with torch.no_grad():
        got = nats(model, micro).sum(1).tolist()
    ordered = sorted(every, key=lambda r: len(r["input_ids"]), reverse=True)
    assert got == pytest.approx([alone(model, r) for r in ordered], rel=1e-4)


def test_cutting_a_step_into_micro_batches_does_not_change_its_loss(model):
    every = list(rows())
    sums = []
    for budget in (1000, 20):
        micros = MicroBatches(Shape(0, budget), ["a"])(every)["micro"]
        with torch.no_grad():
            sums.append(sum(float(nats(model, m).sum()) for m in micros))
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)

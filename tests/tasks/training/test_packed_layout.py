import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from tasks.text.masks import IGNORED  # noqa: E402
from tasks.training.loader import MicroBatches, Rank, Shape, dealt, documents, tokens_of  # noqa: E402  # noqa: E402
from tasks.training.sft import supervised_logits, token_nats  # noqa: E402


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request, tiny_model_folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        tiny_model_folder, dtype=torch.float32, attn_implementation=request.param
    ).eval()


def rows(lengths=(12, 7, 20, 9)):
    generator = torch.Generator().manual_seed(3)
    for i, length in enumerate(lengths):
        ids = torch.randint(6, 200, (length,), generator=generator).tolist()
        labels = [t if n >= length // 2 else IGNORED for n, t in enumerate(ids)]
        yield {"row_id": str(i), "input_ids": ids, "labels": labels, "source": "ab"[i % 2]}


def by_document(model, micro):
    """Sum a packed row's nats between the documents' first tokens."""
    with torch.no_grad():
        logits, at = supervised_logits(model, micro)
        nats = token_nats(logits, micro, at)[0]
    document = (micro["position_ids"][0, 1:] == 0).cumsum(0)[at]
    return torch.zeros(int(document.max()) + 1).index_add_(0, document, nats).tolist()


def test_a_document_in_a_pack_has_the_loss_it_has_alone(model):
    every = sorted(rows(), key=lambda r: -len(r["input_ids"]))
    (packed,) = MicroBatches(Shape(0, 1000, "packed"), "ab")(every)["micro"]
    assert packed["input_ids"].shape == (1, 48)
    alone = [
        by_document(model, MicroBatches(Shape(0, 1000, "packed"), "ab")([r])["micro"][0])[0]
        for r in every
    ]
    assert by_document(model, packed) == pytest.approx(alone, rel=1e-4)


def test_both_layouts_have_the_same_loss_by_source(model):
    sums = []
    for layout in ("sorted", "packed"):
        total = torch.zeros(2)
        for micro in MicroBatches(Shape(0, 30, layout), "ab")(list(rows()))["micro"]:
            with torch.no_grad():
                logits, at = supervised_logits(model, micro)
                nats = token_nats(logits, micro, at)
            total.index_add_(0, micro["source"][:, 1:][:, at].flatten(), nats.flatten())
        sums.append(total.tolist())
    assert sums[1] == pytest.approx(sums[0], rel=1e-4)


@given(st.lists(st.integers(2, 60), min_size=1, max_size=30), st.integers(1, 5))
def test_documents_are_dealt_to_every_process_once_and_about_evenly(lengths, world):
    every = list(rows(lengths))
    parts = [dealt(every, Rank(rank, world)) for rank in range(world)]
    assert sorted(r["row_id"] for part in parts for r in part) == sorted(r["row_id"] for r in every)
    counts = [len(part) for part in parts]
    assert max(counts) - min(counts) <= 1
    tokens = [sum(len(r["input_ids"]) for r in part) for part in parts]
    assert max(tokens) - min(tokens) <= 2 * max(lengths)


@given(st.lists(st.integers(2, 60), min_size=1, max_size=30), st.sampled_from(["sorted", "packed"]))
def test_every_token_is_in_one_micro_batch_within_the_budget(lengths, layout):
    batch = MicroBatches(Shape(0, 80, layout), "ab")(list(rows(lengths)))
    assert sum(tokens_of(micro) for micro in batch["micro"]) == sum(lengths)
    assert all(micro["input_ids"].numel() <= 80 for micro in batch["micro"])
    kept = sum(int((micro["labels"] != IGNORED).sum()) for micro in batch["micro"])
    assert kept == batch["supervised"]


def test_a_process_without_a_document_keeps_the_others_company():
    batch = MicroBatches(Shape(0, 80), "ab", Rank(1, 2))([next(rows())])
    assert batch["rows"] == []
    assert batch["supervised"] > 0
    (micro,) = batch["micro"]
    assert (micro["labels"] == IGNORED).all()


def test_a_pack_comes_apart_into_its_documents():
    pack = {
        "input_ids": [1, 2, 3, 4, 5],
        "labels": [-100, 2, -100, 4, 5],
        "seq_lengths": [2, 3],
        "source_ids": [1, 0],
        "positions": [7, 3],
    }
    assert list(documents(pack, ("a", "b"))) == [
        {"row_id": "7", "input_ids": [1, 2], "labels": [-100, 2], "source": "b"},
        {"row_id": "3", "input_ids": [3, 4, 5], "labels": [-100, 4, 5], "source": "a"},
    ]

import pytest

torch = pytest.importorskip("torch")
from torch.nn.functional import cross_entropy  # noqa: E402

from tasks.training import cross_entropy as nats  # noqa: E402
from tasks.training.cross_entropy import nats_of, passing, plain_head  # noqa: E402


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(5)
    hidden, weight = (torch.randn(n, 8, generator=generator) for n in (21, 50))
    targets = torch.randint(0, 50, (21,), generator=generator)
    return hidden, weight, targets, torch.randn(21, generator=generator)


@pytest.mark.parametrize("chunk", [1, 5, 100])
@pytest.mark.parametrize("learns", [False, True])
def test_nats_and_their_gradients_are_those_of_cross_entropy(case, monkeypatch, chunk, learns):
    monkeypatch.setattr(nats, "CHUNK", chunk)
    hidden, weight, targets, outer = case
    grads = []
    for one in (nats_of, lambda h, w, t: cross_entropy(h @ w.T, t, reduction="none")):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_(learns)
        found = one(h, w, targets)
        (found * outer).sum().backward()
        grads.append((found.detach(), h.grad, w.grad))
    for ours, theirs in zip(*grads, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.allclose(ours, theirs, atol=1e-5)


def test_no_token_costs_nothing(case):
    hidden, weight, targets, _ = case
    h = hidden.clone().requires_grad_()
    nats_of(h[:0], weight, targets[:0]).sum().backward()
    assert (h.grad == 0).all()


def test_a_passing_head_gives_hidden_states_and_is_a_head_again(tiny_model_folder):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder).eval()
    head, ids = plain_head(model), torch.arange(9)[None] + 7
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        with passing(head):
            hidden = model(input_ids=ids).logits
        assert hidden.shape == (1, 9, 64)
        assert torch.allclose(hidden @ head.weight.T, logits, atol=1e-5)
        assert torch.equal(model(input_ids=ids).logits, logits)


def test_a_model_that_caps_its_logits_has_no_plain_head(tiny_model_folder):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model.config.final_logit_softcapping = 30.0
    assert plain_head(model) is None

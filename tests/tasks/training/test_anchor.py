import pytest

torch = pytest.importorskip("torch")
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from tasks.training.loader import MicroBatches, Shape  # noqa: E402
from tasks.training.sft import Anchor, supervised_logits  # noqa: E402


@pytest.fixture
def model(tiny_model_folder):
    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder, attn_implementation="eager")
    return get_peft_model(base, LoraConfig(r=4, target_modules="all-linear"))


def divergence(model, anchor):
    rows = [
        {
            "row_id": "r",
            "input_ids": list(range(7, 30)),
            "labels": list(range(7, 30)),
            "source": "a",
        }
    ]
    (micro,) = MicroBatches(Shape(0, 100), "a")(rows)["micro"]
    logits, at = supervised_logits(model, micro)
    return anchor.divergence(model, micro, logits, at)


def test_the_divergence_is_nothing_at_the_base_and_leads_back_to_it(model):
    anchor = Anchor(1.0)
    assert float(divergence(model, anchor).detach().abs().max()) < 1e-5
    learnt = [p for p in model.parameters() if p.requires_grad]
    for parameter in learnt:
        torch.nn.init.normal_(parameter, std=0.2)
    away = divergence(model, anchor)
    assert (away > -1e-6).all()
    away.sum().backward()
    norm = torch.stack([p.grad.norm() for p in learnt]).norm()
    with torch.no_grad():
        for parameter in learnt:
            parameter -= 0.01 * parameter.grad / norm
        nearer = divergence(model, anchor)
    assert 0 < float(nearer.sum()) < float(away.sum())


def test_a_frozen_copy_is_the_same_base_as_the_adapter_switched_off(model, tiny_model_folder):
    copy = AutoModelForCausalLM.from_pretrained(tiny_model_folder, attn_implementation="eager")
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    with torch.no_grad():
        both = [divergence(model, Anchor(1.0, base)) for base in (None, copy.eval())]
    assert torch.allclose(both[0], both[1], atol=1e-6)

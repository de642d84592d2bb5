import pytest

torch = pytest.importorskip("torch")
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from tasks.training.lora_forward import patch_lora_forward  # noqa: E402


def adapted(folder, dtype=torch.float32, **fields):
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", **fields)
    model = get_peft_model(model, lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, which would hide A's gradient
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def outcome(model):
    ids = torch.arange(24).view(2, 12) + 7
    logits = model(input_ids=ids, use_cache=False).logits.float()
    logits.logsumexp(-1).sum().backward()
    learnt = [(n, p.grad) for n, p in model.named_parameters() if p.requires_grad]
    return logits.detach(), learnt


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_short_form_computes_what_peft_computes(tiny_model_folder, dtype):
    model = adapted(tiny_model_folder, dtype)
    logits, grads = outcome(model)
    model.zero_grad()
    assert patch_lora_forward(model)
    quick, quick_grads = outcome(model)
    # In bfloat16, PEFT multiplies the adapter's part in float32 here: there is no autocast.
    tolerance = 1e-5 if dtype == torch.float32 else 0.04
    assert torch.allclose(quick, logits, atol=tolerance, rtol=tolerance)
    for (name, own), (_, theirs) in zip(quick_grads, grads, strict=True):
        assert own.dtype == theirs.dtype == torch.float32
        assert (own - theirs).norm() <= 3 * tolerance * theirs.norm(), name


def test_an_adapter_that_is_switched_off_is_off(tiny_model_folder):
    model = adapted(tiny_model_folder)
    patch_lora_forward(model)
    ids = torch.arange(12)[None] + 7
    with torch.no_grad(), model.disable_adapter():
        off = model(input_ids=ids).logits
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder, attn_implementation="eager")
    with torch.no_grad():
        assert torch.equal(off, base(input_ids=ids).logits)
        assert not torch.equal(off, model(input_ids=ids).logits)


@pytest.mark.parametrize("fields", [{"lora_dropout": 0.1}, {"use_dora": True}])
def test_what_is_more_than_plain_lora_is_left_to_peft(tiny_model_folder, fields):
    model = adapted(tiny_model_folder, **fields)
    before = outcome(model)[0] if "use_dora" in fields else None
    assert not patch_lora_forward(model)
    assert before is None or torch.equal(outcome(model)[0], before)

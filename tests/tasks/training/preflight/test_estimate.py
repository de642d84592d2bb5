import pytest

pytest.importorskip("torch")
from configs.training import Lora, Training  # noqa: E402
from tasks.training.memory import adapter_parameters, dimensions, estimate_memory  # noqa: E402


def test_weights_are_counted_as_the_libraries_count_them(tiny_model_folder):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    sizes = dimensions(tiny_model_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    assert sizes.parameters == model.num_parameters()
    for targets in ("all-linear", ("q_proj", "v_proj")):
        own = targets if isinstance(targets, str) else list(targets)
        adapted = get_peft_model(model, LoraConfig(r=4, target_modules=own))
        lora = Lora(rank=4, targets=targets)
        assert adapter_parameters(sizes, lora) == adapted.get_nb_trainable_parameters()[0]
        model = adapted.unload()


def test_the_estimate_grows_with_what_costs_memory(tiny_model_folder):
    sizes = dimensions(tiny_model_folder)
    plain = estimate_memory(sizes, Training(), "float32", 128)
    assert (
        estimate_memory(sizes, Training(micro_batch_tokens=8192), "float32", 128).total
        > plain.total
    )
    assert estimate_memory(sizes, Training(), "float32", 4096).total > plain.total
    assert estimate_memory(sizes, Training(), "bfloat16", 128).total < plain.total
    full = estimate_memory(sizes, Training(adapter=None), "float32", 128)
    assert full.learning == 12 * sizes.parameters > plain.learning
    less = estimate_memory(sizes, Training(gradient_checkpointing=True), "float32", 128)
    assert less.activations < plain.activations
    assert plain.total == sum(plain)

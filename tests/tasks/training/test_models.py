"""What is saved is what was trained, for every kind of adapter and of model."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from fakes.families import make_family

from configs.training import Lora, Training
from tasks.artifacts import LocalModel
from tasks.errors import TrainingError
from tasks.training.job_checks import check_base, check_targets
from tasks.training.merge_check import Trained, check_saved
from tasks.training.models import adapter_config, beside_language, load_base, save_merged

IDS = torch.arange(5, 45)[None]


@pytest.fixture
def make_base(tmp_path: Path) -> Any:
    """A function that stores a family's model and returns its receipt."""

    def make(family: str, tied: bool | None = None) -> LocalModel:
        model, folder = make_family(family), tmp_path / "base"
        if tied:
            model.config.tie_word_embeddings = True
            model.tie_weights()
        model.save_pretrained(folder)
        return LocalModel(path=folder, name="b", digest="d" * 64, tokenizer_digest="t" * 64)

    return make


def learnt(base: LocalModel, training: Training) -> Any:
    """Return the base with what training might have changed."""
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


def logprobs(model: Any) -> Any:
    more = {"token_type_ids": torch.zeros_like(IDS)} if "gemma3" in model.config.model_type else {}
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False, **more).logits[0].log_softmax(-1)


@pytest.mark.parametrize(
    "lora",
    [
        Lora(rank=4, targets=("q_proj", "embed_tokens")),
        Lora(rank=4, modules_to_save=("embed_tokens",)),
        Lora(rank=4, modules_to_save=("lm_head",)),
        Lora(rank=4, targets="all-linear"),
    ],
    ids=["embeddings", "saved-embeddings", "saved-head", "all-linear"],
)
def test_an_adapter_on_tied_embeddings_is_saved_as_the_model_that_was_trained(
    make_base: Any, tmp_path: Path, lora: Lora
) -> None:
    from transformers import AutoModelForCausalLM

    base, out = make_base("llama", tied=True), tmp_path / "out"
    training = Training(adapter=lora, dtype="float32")
    trained = learnt(base, training)
    wanted = logprobs(trained)
    save_merged(base, training, trained, out)
    found = check_saved(out, training, Trained(IDS, wanted, 0.0))
    assert found.difference < 1e-5
    saved = AutoModelForCausalLM.from_pretrained(out)
    apart = lora.targets != "all-linear"
    assert saved.config.tie_word_embeddings is not apart
    moved = logprobs(load_base(base, training, "float32"))
    assert (wanted - moved).abs().max() > 0.1


def test_another_model_than_was_trained_is_not_kept(make_base: Any) -> None:
    base, training = make_base("llama"), Training(adapter=Lora(rank=4), dtype="float32")
    wanted = logprobs(learnt(base, training))
    with pytest.raises(TrainingError, match="isn't the one that was trained"):
        check_saved(base.path, training, Trained(IDS, wanted, 0.0))


def test_of_images_and_text_the_language_model_alone_is_adapted(
    make_base: Any, tmp_path: Path
) -> None:
    base = make_base("gemma3_vision")
    lora = Lora(rank=4, targets="all-linear")
    trained = learnt(base, Training(adapter=lora, dtype="float32"))
    learning = [name for name, weight in trained.named_parameters() if weight.requires_grad]
    assert any("language_model" in name for name in learning)
    assert not any("vision" in name or "projector" in name for name in learning)
    whole = load_base(base, Training(adapter=None), "float32")
    assert {n.split(".")[1] for n in beside_language(whole)} == {
        "vision_tower",
        "multi_modal_projector",
    }
    frozen = {n for n, w in whole.named_parameters() if not w.requires_grad}
    assert frozen
    assert all("vision" in n or "projector" in n for n in frozen)


@pytest.mark.parametrize("family", ["gemma3_vision", "qwen3_5_vision"])
def test_a_model_of_images_and_text_stays_one_when_an_adapter_is_merged(
    tmp_path: Path, family: str
) -> None:
    import transformers
    from fakes.families import family_config
    from safetensors.torch import load_file

    name = {"gemma3_vision": "Gemma3", "qwen3_5_vision": "Qwen3_5"}[family]
    kind = getattr(transformers, f"{name}ForConditionalGeneration")
    torch.manual_seed(0)
    folder, out = tmp_path / "base", tmp_path / "out"
    kind(family_config(family)).save_pretrained(folder)
    base = LocalModel(path=folder, name="b", digest="d" * 64, tokenizer_digest="t" * 64)
    training = Training(adapter=Lora(rank=4), dtype="float32")
    trained = learnt(base, training)
    wanted = logprobs(trained)
    save_merged(base, training, trained, out)
    assert check_saved(out, training, Trained(IDS, wanted, 0.0)).difference < 1e-5
    before, after = (json.loads((f / "config.json").read_text()) for f in (folder, out))
    assert before["architectures"] == after["architectures"]
    saved = kind.from_pretrained(out).eval()
    assert (logprobs(saved) - wanted).abs().max() < 1e-3
    stored = [load_file(f / "model.safetensors") for f in (folder, out)]
    assert stored[0].keys() == stored[1].keys()
    vision = [key for key in stored[0] if "vis" in key]
    assert vision
    assert all(torch.equal(stored[0][key], stored[1][key]) for key in vision)


def test_what_cannot_be_put_back_into_the_whole_is_refused_by_name(tmp_path: Path) -> None:
    from fakes.families import family_config

    config = family_config("qwen3_5_vision")
    config.architectures = ["Qwen3_5ForConditionalGeneration"]
    config.save_pretrained(tmp_path)
    base = LocalModel(path=tmp_path, name="b", digest="d" * 64, tokenizer_digest="t" * 64)
    check_base(base, Training())
    for adapter in (None, Lora(dora=True), Lora(modules_to_save=("lm_head",))):
        with pytest.raises(TrainingError, match="Qwen3_5ForConditionalGeneration"):
            check_base(base, Training(adapter=adapter))


def test_the_cache_that_training_switches_off_is_on_in_what_is_saved(
    make_base: Any, tmp_path: Path
) -> None:
    base, training = make_base("llama"), Training(adapter=None, dtype="float32")
    trained = learnt(base, training)
    trained.config.use_cache = False
    save_merged(base, training, trained, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["use_cache"] is True


def test_four_bits_are_refused_where_they_cannot_be_had(make_base: Any) -> None:
    base = make_base("llama")
    with pytest.raises(TrainingError, match="bitsandbytes|needs a GPU|need a GPU"):
        check_base(base, Training(quantization="4bit"))


@pytest.mark.parametrize(
    ("family", "target"), [("jamba", "dt_proj"), ("mamba", "out_proj"), ("falcon_h1", "out_proj")]
)
def test_a_layer_that_a_mixer_reads_itself_is_refused_by_name(
    make_base: Any, family: str, target: str
) -> None:
    base = make_base(family)
    check_targets(base.path, Lora(targets=("in_proj",)))
    with pytest.raises(TrainingError, match=f"reads the weights of {target} past an adapter"):
        check_targets(base.path, Lora(targets=(target,)))


def test_a_layer_to_save_that_is_not_there_is_refused_with_those_that_are(make_base: Any) -> None:
    base = make_base("llama")
    check_targets(base.path, Lora(modules_to_save=("embed_tokens", "norm")))
    with pytest.raises(TrainingError, match="no layer named head.*embed_tokens"):
        check_targets(base.path, Lora(modules_to_save=("head",)))

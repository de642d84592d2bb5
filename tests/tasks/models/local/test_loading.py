import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from tasks.artifacts import LocalModel
from tasks.errors import SetupError

torch = pytest.importorskip("torch")

from fakes.families import FAMILIES, family_config, make_family
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from tasks.models.api import Choice
from tasks.models.factory import open_model
from tasks.models.local.loading import (
    choose_attention,
    forget_model,
    load_weights,
    most_positions,
    positions_of,
    resolve_dtype,
)


def test_a_model_is_loaded_once_for_several_suites(tiny_model: LocalModel) -> None:
    forget_model()
    first = load_weights(tiny_model, "float32")
    assert load_weights(tiny_model, "float32") is first
    assert not first.training
    assert most_positions(first) == 2048
    assert load_weights(tiny_model, "bfloat16").dtype == torch.bfloat16


def test_other_weights_at_the_same_path_are_another_model(tiny_model: LocalModel) -> None:
    first = load_weights(tiny_model, "float32")
    changed = tiny_model.model_copy(update={"digest": "other"})
    assert load_weights(changed, "float32") is not first


def test_a_model_is_freed_before_another_is_loaded_and_when_it_is_forgotten(
    tiny_model: LocalModel, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_model()
    engine = open_model(tiny_model, "float32")
    asked = [Choice("what is 1 plus 2? Answer:", (" 3", " 4"))]
    scores = engine.choices(asked)
    held = weakref.ref(load_weights(tiny_model, "float32"))
    assert held() is not None
    seen: list[bool] = []
    real = AutoModelForCausalLM.from_pretrained

    def loading(*given: Any, **more: Any) -> Any:
        seen.append(held() is None)
        return real(*given, **more)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loading)
    other = weakref.ref(load_weights(tiny_model, "bfloat16"))
    assert seen == [True]
    forget_model()
    assert other() is None
    # An engine whose model was freed loads it again.
    assert engine.choices(asked)[0].logprobs == scores[0].logprobs
    assert seen == [True, True]


def test_weights_that_a_folder_lacks_are_never_drawn_at_random(
    tiny_model: LocalModel, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model.path, tmp_path / "m"))
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SetupError, match=r"lacks these tensors \(1\): lm_head\.weight"):
        load_weights(tiny_model.model_copy(update={"path": folder, "digest": "lacking"}))


@pytest.mark.parametrize(
    ("kind", "fields", "tokens"),
    [
        ("llama", {"max_position_embeddings": 100}, 100),
        ("gpt2", {"n_positions": 90}, 90),
        ("mpt", {"max_seq_len": 80}, 80),
        ("bloom", {}, None),
        ("mamba", {}, None),
        (
            "qwen2",
            {
                "max_position_embeddings": 100,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "rope_theta": 1e4,
                    "factor": 4.0,
                    "original_max_position_embeddings": 100,
                },
            },
            400,
        ),
        (
            "llama",
            {
                "max_position_embeddings": 800,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "rope_theta": 1e4,
                    "factor": 8.0,
                    "original_max_position_embeddings": 100,
                },
            },
            800,
        ),
        (
            "llama",
            {
                "max_position_embeddings": 100,
                "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
            },
            200,
        ),
        (
            "llama",
            {
                "max_position_embeddings": 100,
                "rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0},
            },
            100,
        ),
        ("gemma3", {"text_config": {"max_position_embeddings": 70}}, 70),
    ],
)
def test_what_a_model_can_see_is_what_its_positions_or_its_rope_reach(
    tmp_path: Path, kind: str, fields: dict[str, Any], tokens: int | None
) -> None:
    AutoConfig.for_model(kind, **fields).save_pretrained(tmp_path)
    assert positions_of(tmp_path) == tokens


def test_a_tokenizer_alone_cannot_be_loaded_as_a_model(tiny_model: LocalModel) -> None:
    with pytest.raises(SetupError, match="only the tokenizer"):
        load_weights(tiny_model.model_copy(update={"has_weights": False}))


def test_pickled_weights_are_never_loaded(tiny_model: LocalModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model.path, tmp_path / "m"))
    weights = folder / "model.safetensors"
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(SetupError, match="can't be loaded"):
        load_weights(tiny_model.model_copy(update={"path": folder, "digest": "pickled"}))


def test_auto_is_one_of_the_two_dtypes_and_a_named_one_stays() -> None:
    assert resolve_dtype("auto") in ("bfloat16", "float32")
    assert resolve_dtype("float32") == "float32"
    assert resolve_dtype("bfloat16") == "bfloat16"


@pytest.mark.parametrize(
    "family", ["falcon_alibi", "gemma2", "gemma3_vision", "gpt_oss", "llama4", "olmo3", "qwen3_5"]
)
def test_the_attention_that_is_chosen_gives_the_logits_of_the_plain_one(family: str) -> None:
    ids = torch.arange(5, 45)[None]
    # Falcon's own eager adds its bias twice.
    right = "sdpa" if family == "falcon_alibi" else "eager"
    with torch.no_grad():
        plain = make_family(family, right)(input_ids=ids, use_cache=False).logits
        chosen = make_family(family, choose_attention(family_config(family)))
        assert torch.allclose(chosen(input_ids=ids, use_cache=False).logits, plain, atol=2e-3)


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss", "gptj", "gpt_neo", "bloom", "mpt"])
def test_a_class_without_fused_attention_gets_the_plain_one(family: str) -> None:
    assert choose_attention(family_config(family)) == "eager"


def test_flash_attention_is_chosen_where_it_may_be_and_the_class_has_it() -> None:
    kinds = {name: choose_attention(family_config(name), flash=True) for name in FAMILIES}
    assert kinds["llama"] == kinds["gemma2"] == kinds["gemma3_vision"] == "flash_attention_2"
    # gpt-oss wants a kernel of its own, and Llama 4 has none.
    assert (kinds["gpt_oss"], kinds["llama4"], kinds["bloom"]) == ("eager", "sdpa", "eager")
    wide = family_config("gemma")
    wide.head_dim = 512
    assert choose_attention(wide, flash=True) == "sdpa"


def test_a_model_that_writes_no_text_is_refused_by_its_type() -> None:
    from transformers import ViTConfig

    with pytest.raises(SetupError, match="no causal language model of type vit"):
        choose_attention(ViTConfig())

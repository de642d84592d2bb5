"""Merging tensor by tensor gives, bit for bit, what merging the whole model gives."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.training import Lora, Training
from tasks.artifacts import LocalModel
from tasks.training import models
from tasks.training.merging import add_stops, merged_by_tensor
from tasks.training.models import save_merged

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
PLAIN = Lora(rank=4, alpha=7, targets="all-linear")


@pytest.fixture
def make_base(tmp_path: Path) -> Any:
    """A function that stores a small base model with biases; tied or not, in a dtype."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    def made(tied: bool = True, dtype: str = "bfloat16", shard: str = "1GB") -> LocalModel:
        folder = tmp_path / "base"
        torch.manual_seed(3)
        model = Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=tied))
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(value)
        model.generation_config.temperature = 0.7
        model.generation_config.do_sample = True
        model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
        return LocalModel(path=folder, name="b", digest="d" * 64, tokenizer_digest="t" * 64)

    return made


def adapted(base: LocalModel, lora: Lora, **more: Any) -> Any:
    """Return the base with an adapter whose every factor has learnt something."""
    from peft import get_peft_model

    config = models.adapter_config(lora)
    for name, value in more.items():
        setattr(config, name, value)
    made = get_peft_model(models.load_base(base, Training(adapter=lora), "float32"), config)
    torch.manual_seed(5)
    for name, value in made.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(value, std=0.05)
    return made


def whole(base: LocalModel, lora: Lora, adapter: Path, out: Path) -> None:
    """Merge in one piece, in float32."""
    from peft import PeftModel

    loaded = models.load_base(base, Training(adapter=lora), "float32")
    merged = PeftModel.from_pretrained(loaded, adapter).merge_and_unload()
    merged.to(getattr(torch, models.stored_dtype(base.path))).save_pretrained(out)


def bits(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found = {}
    for file in folder.glob("*.safetensors"):
        found.update(load_file(file))
    return {n: (t.dtype, t.shape, t.view(torch.uint8).numpy().tobytes()) for n, t in found.items()}


def no_model(*_: Any) -> None:
    raise AssertionError("a whole model was loaded")


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize(
    ("tied", "dtype"), [(True, "bfloat16"), (False, "float16"), (False, "float32")]
)
def test_the_merged_files_are_those_of_the_whole_model(
    make_base: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rslora: bool,
    tied: bool,
    dtype: str,
) -> None:
    base, lora = make_base(tied, dtype), PLAIN.model_copy(update={"rslora": rslora})
    trained, ours, theirs = adapted(base, lora), tmp_path / "ours", tmp_path / "theirs"
    trained.save_pretrained(tmp_path / "adapter")
    whole(base, lora, tmp_path / "adapter", theirs)
    monkeypatch.setattr(models, "load_base", no_model)
    save_merged(base, Training(adapter=lora), trained, ours)
    assert bits(ours) == bits(theirs)
    assert bits(ours) != bits(base.path)
    assert any(n.endswith("bias") for n in bits(ours))
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_shards_are_read_and_written_one_at_a_time(make_base: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base, out = make_base(shard="8KB"), tmp_path / "out"
    assert len(list(base.path.glob("*.safetensors"))) > 2
    adapted(base, PLAIN).save_pretrained(tmp_path / "adapter")
    whole(base, PLAIN, tmp_path / "adapter", tmp_path / "theirs")
    out.mkdir()
    assert merged_by_tensor(base.path, tmp_path / "adapter", "bfloat16", out, 10_000)
    files = list(out.glob("*.safetensors"))
    assert len(files) > 2
    assert all(f.stat().st_size < 14_000 for f in files)
    assert bits(out) == bits(tmp_path / "theirs")
    AutoModelForCausalLM.from_pretrained(out)


@pytest.mark.parametrize(
    ("lora", "more"),
    [
        (Lora(rank=4, dora=True, targets="all-linear"), {}),
        (PLAIN, {"modules_to_save": ["norm"]}),
        (PLAIN, {"target_modules": ["embed_tokens", "q_proj"]}),
        (PLAIN, {"rank_pattern": {"q_proj": 2}}),
        (PLAIN, {"bias": "all"}),
    ],
    ids=["dora", "saved-modules", "embedding", "ranks", "bias"],
)
def test_what_has_no_short_form_is_merged_as_a_whole(
    make_base: Any, tmp_path: Path, lora: Lora, more: dict[str, Any]
) -> None:
    base, ours, theirs = make_base(), tmp_path / "ours", tmp_path / "theirs"
    trained = adapted(base, lora, **more)
    trained.save_pretrained(tmp_path / "adapter")
    theirs.mkdir()
    assert not merged_by_tensor(base.path, tmp_path / "adapter", "bfloat16", theirs)
    assert list(theirs.iterdir()) == []
    whole(base, lora, tmp_path / "adapter", theirs)
    save_merged(base, Training(adapter=lora), trained, ours)
    assert bits(ours) == bits(theirs)


def test_stop_tokens_are_added_to_those_that_a_folder_names(tmp_path: Path) -> None:
    path = tmp_path / "generation_config.json"
    add_stops(tmp_path, [7])
    assert json.loads(path.read_text()) == {"eos_token_id": 7}
    add_stops(tmp_path, [7, 9])
    assert json.loads(path.read_text()) == {"eos_token_id": [7, 9]}
    before = path.read_bytes()
    add_stops(tmp_path, [9])
    assert path.read_bytes() == before


def test_a_tied_matrix_that_is_stored_twice_is_merged_as_a_whole(
    make_base: Any, tmp_path: Path
) -> None:
    base = make_base(tied=False)
    adapted(base, PLAIN).save_pretrained(tmp_path / "adapter")
    config = json.loads((base.path / "config.json").read_text())
    config["tie_word_embeddings"] = True
    (base.path / "config.json").write_text(json.dumps(config))
    assert not merged_by_tensor(base.path, tmp_path / "adapter", "bfloat16", tmp_path / "out")

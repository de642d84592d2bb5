import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.models.adapters import CONFIG, adapter_digest, load_adapted

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tasks.models.local.loading import load_weights  # noqa: E402

IDS = [[5, 9, 40, 41, 60, 7]]


@pytest.fixture(scope="module")
def adapter(tiny_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter whose update is not zero."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(
        r=2,
        lora_alpha=8,
        target_modules=["q_proj", "down_proj"],
        use_rslora=True,
        init_lora_weights=False,
    )
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(fresh(tiny_model), config).save_pretrained(folder)
    return folder


def fresh(model: LocalModel) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32).eval()


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(torch.tensor(IDS)).logits


def test_alpha_scales_the_adapters_update_alone(tiny_model: LocalModel, adapter: Path) -> None:
    from peft import PeftModel

    base = fresh(tiny_model)
    full = PeftModel.from_pretrained(fresh(tiny_model), adapter).merge_and_unload()
    for alpha in (0.0, 0.5, 1.0):
        found = load_weights(load_adapted(tiny_model, adapter, alpha), "float32")
        for name, weight in found.named_parameters():
            before, after = base.get_parameter(name), full.get_parameter(name)
            assert torch.allclose(weight, before + alpha * (after - before), atol=1e-6), name
    assert not torch.allclose(logits(base), logits(full), atol=1e-3)


def test_base_adapter_and_alpha_each_make_another_model(
    tiny_model: LocalModel, adapter: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copytree(adapter, tmp_path / "moved"))
    one = load_adapted(tiny_model, adapter, 0.5)
    assert load_adapted(tiny_model, elsewhere, 0.5).digest == one.digest
    other = tiny_model.model_copy(update={"digest": "0" * 64})
    settings = json.loads((elsewhere / CONFIG).read_text())
    (elsewhere / CONFIG).write_text(json.dumps(settings | {"lora_alpha": 9}))
    digests = {
        one.digest,
        load_adapted(tiny_model, adapter, 1.0).digest,
        tiny_model.digest,
        load_adapted(other, adapter, 0.5).digest,
        load_adapted(tiny_model, elsewhere, 0.5).digest,
    }
    assert len(digests) == 5


def test_what_alpha_can_not_scale_is_refused(
    tiny_model: LocalModel, adapter: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "whole"))
    settings = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(settings | {"modules_to_save": ["lm_head"]}))
    with pytest.raises(SetupError, match=r"whole modules \(lm_head\)"):
        load_adapted(tiny_model, folder, 0.5)
    assert load_adapted(tiny_model, folder, 1.0).alpha == 1
    (folder / CONFIG).write_text(json.dumps(settings | {"peft_type": "IA3"}))
    with pytest.raises(SetupError, match="only LoRA"):
        adapter_digest(folder)
    with pytest.raises(SetupError, match="has no adapter_config.json"):
        adapter_digest(tmp_path)


@pytest.mark.parametrize(
    ("changed", "words"), [({"use_dora": True}, "use_dora"), ({"bias": "lora_only"}, "biases")]
)
def test_what_is_more_than_loras_update_is_not_scaled(
    tiny_model: LocalModel, adapter: Path, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "more"))
    settings = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(settings | changed))
    with pytest.raises(SetupError, match=words):
        load_adapted(tiny_model, folder, 0.5)
    assert load_adapted(tiny_model, folder, 1.0).alpha == 1

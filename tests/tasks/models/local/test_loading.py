import shutil
from pathlib import Path

import pytest

from tasks.artifacts import LocalModel
from tasks.errors import SetupError

torch = pytest.importorskip("torch")

from tasks.models.local.loading import forget_model, load_weights, most_positions, resolve_dtype


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

import shutil

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

from tasks.artifacts import Checkpoint  # noqa: E402
from tasks.errors import TrainingError  # noqa: E402
from tasks.models.identity import weights_digest  # noqa: E402
from tasks.training.interpolate import interpolate_weights  # noqa: E402


@pytest.fixture
def trained(tiny_model, tmp_path, temper_home):
    """The tiny model with 1 added to every weight, as a checkpoint."""
    folder = tmp_path / "trained"
    shutil.copytree(tiny_model.path, folder)
    weights = load_file(folder / "model.safetensors")
    more = {name: w + 1 for name, w in weights.items()}
    save_file(more, folder / "model.safetensors", metadata={"format": "pt"})
    return Checkpoint(
        path=folder,
        name="t",
        digest=weights_digest(folder),
        parent=tiny_model.digest,
        steps=1,
        tokenizer_digest=tiny_model.tokenizer_digest,
        adapter_digest="a",
    )


def test_a_blend_is_the_base_and_that_share_of_the_change(tiny_model, trained):
    from transformers import AutoModelForCausalLM

    made = interpolate_weights(tiny_model, trained, 0.25)
    base, mixed = (load_file(m.path / "model.safetensors") for m in (tiny_model, made))
    assert base.keys() == mixed.keys()
    assert all(torch.allclose(mixed[n], base[n] + 0.25) for n in base)
    assert made.digest == weights_digest(made.path) != trained.digest
    assert AutoModelForCausalLM.from_pretrained(made.path).num_parameters() > 0


def test_all_of_the_change_is_the_checkpoint_itself(tiny_model, trained):
    assert interpolate_weights(tiny_model, trained, 1.0) is trained


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_out_of_bounds_is_refused(tiny_model, trained, share):
    with pytest.raises(TrainingError, match="the share is"):
        interpolate_weights(tiny_model, trained, share)


def test_a_checkpoint_of_another_base_is_refused(tiny_model, trained):
    other = trained.model_copy(update={"parent": "other"})
    with pytest.raises(TrainingError, match="the base is another"):
        interpolate_weights(tiny_model, other, 0.5)

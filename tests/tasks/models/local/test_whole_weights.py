"""Model folders whose weights aren't those of their config: refused with the tensors' names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from tasks.errors import SetupError
from tasks.models.local.loading import choose_attention, load_whole
from tasks.models.support import read_config

NORM = "model.layers.1.input_layernorm.weight"
Edit = Callable[[Path], None]


def weights(change: Callable[[dict[str, Any]], object]) -> Edit:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return edit


def config(**fields: Any) -> Edit:
    def edit(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return edit


def drop_shard(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    here = {
        name: "one.safetensors" if i % 2 else "two.safetensors" for i, name in enumerate(tensors)
    }
    kept = {name: tensors[name] for name in tensors if here[name] == "one.safetensors"}
    save_file(kept, folder / "one.safetensors", {"format": "pt"})
    index = {"metadata": {}, "weight_map": here}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


CODE = {"auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"}}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (weights(lambda t: t.pop(NORM)), f"lacks these tensors .1.: {NORM}"),
        (weights(lambda t: t.update({NORM: torch.zeros(3)})), f"of other shapes .1.: {NORM}"),
        (config(num_hidden_layers=3), "lacks these tensors .9.: model.layers.2"),
        (config(num_hidden_layers=1), f"layers that its config has not .9.: {NORM}"),
        (config(hidden_size=32), "of other shapes"),
        (drop_shard, "two.safetensors"),
        (pickled, "no file named model.safetensors"),
        (config(model_type="mine", **CODE), "can't be loaded"),
        (cut, "can't be loaded"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    tiny_model_folder: Path, tmp_path: Path, edit: Edit, said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    edit(folder)
    with pytest.raises(SetupError, match=said):
        load(folder)


def load(folder: Path) -> Any:
    given = read_config(str(folder))
    return load_whole(folder, given, torch.float32, choose_attention(given))


def test_a_whole_folder_is_loaded_as_it_is(tiny_model_folder: Path) -> None:
    model = load(tiny_model_folder)
    kept = load_file(tiny_model_folder / "model.safetensors")
    assert torch.equal(model.state_dict()[NORM], kept[NORM])

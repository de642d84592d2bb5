import json
import shutil
from pathlib import Path

import pytest

from tasks.errors import SetupError
from tasks.models.identity import (
    config_digest,
    stopping,
    template_digest,
    tokenizer_digest,
    weight_files,
    weights_digest,
)
from tasks.storage import file_digest


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def test_the_digest_of_one_file_of_weights_is_that_of_its_bytes(folder: Path) -> None:
    assert weights_digest(folder) == file_digest(folder / "model.safetensors")


def test_the_digest_is_of_all_shards_and_none_may_be_missing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model-2.safetensors").write_bytes(b"more")
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    before = weights_digest(folder)
    assert [f.name for f in weight_files(folder)] == sorted(names.values())
    (folder / "model-2.safetensors").write_bytes(b"other")
    assert weights_digest(folder) != before
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(SetupError, match=r"model-2\.safetensors"):
        weights_digest(folder)


def test_pickled_weights_are_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SetupError, match="runs what is in it"):
        weight_files(folder)


def test_an_empty_folder_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no model\.safetensors"):
        weight_files(tmp_path)
    with pytest.raises(SetupError, match=r"no tokenizer\.json"):
        tokenizer_digest(tmp_path)


def test_the_tokenizer_digest_knows_the_chat_template_and_not_how_it_was_saved(
    folder: Path,
) -> None:
    before = tokenizer_digest(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    saved = settings | {"local_files_only": True, "name_or_path": "/elsewhere"}
    (folder / "tokenizer_config.json").write_text(json.dumps(saved))
    assert tokenizer_digest(folder) == before
    # It has no effect on a tokenizer that is whole in its file.
    (folder / "tokenizer_config.json").write_text(json.dumps(saved | {"add_bos_token": True}))
    assert tokenizer_digest(folder) == before
    (folder / "tokenizer_config.json").write_text(json.dumps(saved | {"bos_token": "<pad>"}))
    assert tokenizer_digest(folder) != before
    (folder / "tokenizer_config.json").write_text(json.dumps(saved))
    (folder / "chat_template.jinja").write_text("other")
    assert tokenizer_digest(folder) != before


def test_what_ends_an_answer_is_read_from_the_generation_config_or_the_config(
    folder: Path,
) -> None:
    assert stopping(folder) == [2]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 2, 7]}))
    assert stopping(folder) == [2, 7]
    (folder / "generation_config.json").write_text(json.dumps({"top_k": 5}))
    assert stopping(folder) == []
    (folder / "generation_config.json").unlink()
    assert stopping(folder) == [2]


@pytest.mark.parametrize("named", ["</s>", [1, "x"], True])
def test_an_end_of_answers_that_is_no_token_id_is_refused(folder: Path, named: object) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": named}))
    with pytest.raises(SetupError, match="only token ids end an answer"):
        stopping(folder)


def test_a_config_counts_but_for_how_it_was_saved(tmp_path: Path) -> None:
    def digest(**more: object) -> str:
        (tmp_path / "config.json").write_text(json.dumps({"rope_theta": 1, **more}))
        return config_digest(tmp_path)

    assert digest() == digest(transformers_version="9", dtype="float32")
    assert digest() != digest(max_position_embeddings=9)


def test_a_template_is_the_file_or_what_the_settings_say(folder: Path) -> None:
    def settle(**fields: object) -> None:
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    settle(chat_template="a")
    (folder / "chat_template.jinja").write_text("a")
    beside = template_digest(folder)
    (folder / "chat_template.jinja").unlink()
    assert template_digest(folder) == beside
    settle(chat_template="b")
    assert template_digest(folder) != beside

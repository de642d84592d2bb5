"""Every file of a model folder, every field of its generation config: counted, or no effect."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.models import Model
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt, Text
from tasks.models.prepare import prepare_model
from tasks.text.rows import Message

torch = pytest.importorskip("torch")

from transformers import GenerationConfig  # noqa: E402

from tasks.models.factory import open_model  # noqa: E402
from tasks.models.local.loading import forget_model  # noqa: E402


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path, temper_home: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def key(folder: Path) -> str:
    return open_model(prepare_model(Model(path=str(folder))), "float32").digest


def spoken(folder: Path) -> tuple[str, float]:
    """Return an answer of the model as it is now, and the nats of a text."""
    forget_model()
    engine = open_model(prepare_model(Model(path=str(folder))), "float32")
    (answer,) = engine.answers([Prompt([Message(role="user", content="what is 1?")])], Decoding(12))
    text = Text([Message(role="text", content="what is 1 plus 2?")], 64)
    (score,) = engine.negative_log_likelihood([text])
    return answer.text, score.nats


def rewrite(file: Path, **fields: Any) -> None:
    known = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**known, **fields}))


def _weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"] = -tensors["lm_head.weight"]
    save_file(tensors, file, metadata={"format": "pt"})


def _merges(folder: Path) -> None:
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["merges"] = told["model"]["merges"][:-40]
    file.write_text(json.dumps(told))


CHANGES: dict[str, Callable[[Path], None]] = {
    "model.safetensors": _weights,
    "config.json": lambda f: rewrite(f / "config.json", rms_norm_eps=0.5),
    "generation_config.json": lambda f: rewrite(f / "generation_config.json", eos_token_id=9),
    "tokenizer.json": _merges,
    "tokenizer_config.json": lambda f: rewrite(f / "tokenizer_config.json", bos_token="<|user|>"),
    "chat_template.jinja": lambda f: (f / "chat_template.jinja").write_text("x{{ messages }}"),
}


@pytest.mark.parametrize("file", sorted(CHANGES))
def test_a_file_that_is_changed_in_place_gives_another_key(folder: Path, file: str) -> None:
    before = key(folder)
    CHANGES[file](folder)
    assert key(folder) != before


def test_there_is_no_file_in_a_model_folder_that_is_not_looked_at(folder: Path) -> None:
    assert {f.name for f in folder.iterdir()} == set(CHANGES)


MORE: dict[str, Any] = {
    "special_tokens_map.json": {"bos_token": "<|user|>", "eos_token": "<|assistant|>"},
    "added_tokens.json": {"<|more|>": 600},
    "additional_chat_templates/tool_use.jinja": "{{ tools }}{{ messages }}",
    "chat_template.json": {"chat_template": "y{{ messages }}"},
    "preprocessor_config.json": {"do_resize": True},
    "processor_config.json": {"x": 1},
    "vocab.json": {"a": 0},
    "adapter_config.json": {"base_model_name_or_path": "elsewhere"},
    "README.md": "words",
}


@pytest.mark.parametrize("file", sorted(MORE))
def test_a_file_that_is_added_gives_another_key_or_changes_nothing(folder: Path, file: str) -> None:
    before, said = key(folder), spoken(folder)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(MORE[file] if isinstance(MORE[file], str) else json.dumps(MORE[file]))
    try:
        after = key(folder)
    except SetupError:
        return  # Said in words, and nothing stale is shown.
    assert after != before or spoken(folder) == said


def test_templates_beside_the_first_count(folder: Path) -> None:
    before = key(folder)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("{{ tools }}")
    one = key(folder)
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("{{ messages }}")
    assert len({before, one, key(folder)}) == 3


VALUES: dict[str, Any] = {
    "bad_words_ids": [[5], [6]],
    "begin_suppress_tokens": list(range(3, 400)),
    "cache_implementation": "static",
    "constraints": None,
    "do_sample": True,
    "early_stopping": True,
    "encoder_repetition_penalty": 3.0,
    "exponential_decay_length_penalty": [1, 4.0],
    "force_words_ids": None,
    "forced_bos_token_id": 9,
    "forced_eos_token_id": 7,
    "guidance_scale": 3.0,
    "max_length": 3,
    "max_new_tokens": 2,
    "max_time": 0.000001,
    "min_length": 100,
    "min_new_tokens": 100,
    "no_repeat_ngram_size": 1,
    "num_beams": 3,
    "num_beam_groups": 3,
    "num_return_sequences": 2,
    "output_scores": True,
    "penalty_alpha": 0.9,
    "prompt_lookup_num_tokens": 3,
    "repetition_penalty": 5.0,
    "return_dict_in_generate": True,
    "sequence_bias": [[[5], -90.0]],
    "stop_strings": ["e"],
    "suppress_tokens": list(range(3, 400)),
    "temperature": 9.0,
    "token_healing": True,
    "top_k": 2,
    "top_p": 0.1,
    "use_cache": False,
    "watermarking_config": {"greenlist_ratio": 0.1, "bias": 9.0},
}


def _other(value: Any) -> Any:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value / 2 + 0.1
        case str():
            return f"{value}x"
        case _:
            return 1


def test_every_field_of_a_generation_config_counts_or_changes_nothing(folder: Path) -> None:
    file = folder / "generation_config.json"
    plain = json.loads(file.read_text())
    before, said = key(folder), spoken(folder)
    influence: dict[str, str] = {}
    for name, default in sorted(vars(GenerationConfig()).items()):
        value = VALUES[name] if name in VALUES else _other(default)
        file.write_text(json.dumps({**plain, name: value}))
        try:
            after = key(folder)
        except SetupError:
            influence[name] = "refused"
            continue
        if after != before:
            influence[name] = "counts"
        else:
            assert spoken(folder) == said, name
    assert influence == {"eos_token_id": "counts", "stop_strings": "refused"}


def test_a_generation_config_that_ends_answers_at_strings_is_refused_in_words(
    folder: Path,
) -> None:
    rewrite(folder / "generation_config.json", stop_strings=["\n\n"])
    with pytest.raises(SetupError, match=r"ends answers at strings \(stop_strings: \['"):
        prepare_model(Model(path=str(folder)))

"""What is refused of a model folder before anything is made."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from configs.models import Model
from tasks.errors import SetupError
from tasks.models.prepare import prepare_model
from tasks.text.chat import load_tokenizer

pytest.importorskip("torch")


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path, temper_home: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def _config(folder: Path, **fields: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def _refused(folder: Path, words: str) -> None:
    # As `temper plan` asks for it: the weights aren't looked at.
    with pytest.raises(SetupError, match=words):
        prepare_model(Model(path=str(folder)), weights=False)


def test_a_plain_decoder_is_taken(folder: Path) -> None:
    assert prepare_model(Model(path=str(folder)), weights=False).path == folder


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model_type": "llamma"}, "type is llamma .*doesn't know"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "no causal language model"),
        ({"model_type": "vit", "architectures": []}, "type is vit: it is no causal"),
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
            "no causal language model",
        ),
        (
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"]},
            "encoder",
        ),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, "in both directions"),
        (
            {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]},
            "llava .*of text and images",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused_by_name(
    folder: Path, fields: dict[str, Any], words: str
) -> None:
    _config(folder, **fields)
    _refused(folder, words)


def _add_token(folder: Path, token: str, *, special: bool) -> int:
    from tokenizers import AddedToken

    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([AddedToken(token, special=special)], special_tokens=special)
    tokenizer.save_pretrained(folder)
    return int(tokenizer.convert_tokens_to_ids(token))


def test_a_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(folder: Path) -> None:
    place = _add_token(folder, "<more>", special=False)
    _refused(folder, rf"'<more>' is id {place}")
    _config(folder, vocab_size=place + 1)
    assert prepare_model(Model(path=str(folder)), weights=False).path == folder


def test_a_token_that_nothing_writes_may_lie_beyond_the_embedding(folder: Path) -> None:
    _add_token(folder, "<image>", special=True)
    assert prepare_model(Model(path=str(folder)), weights=False).path == folder
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text() + "<image>")
    _refused(folder, "'<image>' is id")

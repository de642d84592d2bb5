"""A GGUF file turned, once, into a model folder: bfloat16 safetensors and a tokenizer."""

import contextlib
import io
from pathlib import Path
from typing import Any

from tasks.errors import SetupError

_IDS = {
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
    "unk_token_id": "unknown_token_id",
    "pad_token_id": "padding_token_id",
}


def write_tokenizer(file: Path, folder: Path) -> None:
    """Write the fast tokenizer and the chat template that a GGUF file holds."""
    from transformers import PreTrainedTokenizerFast

    # Named by class, since AutoTokenizer parses the whole file once more to learn the architecture.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(folder)


def write_weights(file: Path, folder: Path) -> None:
    """Write the dequantised weights as bfloat16 safetensors, with their config.

    Raises:
        SetupError: The file's architecture isn't known, or it lacks some of the weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = read_config(file)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    # A fresh model, since one loaded from GGUF keeps a quantization_config and refuses to be saved.
    model.load_state_dict(_tensors(file, model), strict=False, assign=True)
    model.tie_weights()
    lacking = [name for name, p in model.named_parameters() if p.is_meta]
    if lacking:
        raise SetupError(
            f"the file lacks {len(lacking)} weights, {lacking[0]} first.",
            where=str(file),
            fix="use the model's safetensors instead.",
        )
    model.save_pretrained(folder)


def read_config(file: Path) -> Any:
    """Return the transformers config that a GGUF file's metadata describes.

    Raises:
        SetupError: Its architecture is none that transformers knows.
    """
    from transformers import AutoConfig
    from transformers.integrations import GGUF_CONFIG_MAPPING
    from transformers.integrations.gguf.reader import read_gguf_metadata

    found, tensors = read_gguf_metadata(str(file))
    kind = str(found["general.architecture"])
    if kind not in GGUF_CONFIG_MAPPING:
        raise SetupError(
            f"its architecture '{kind}' is not known.",
            where=str(file),
            fix="use the model's safetensors instead.",
        )
    fields = {
        ours: found[f"{kind}.{theirs}"]
        for theirs, ours in GGUF_CONFIG_MAPPING[kind].items()
        if ours and f"{kind}.{theirs}" in found
    }
    fields |= {
        ours: found[f"tokenizer.ggml.{theirs}"]
        for ours, theirs in _IDS.items()
        if f"tokenizer.ggml.{theirs}" in found
    }
    fields.setdefault("vocab_size", found.get("tokenizer.ggml.tokens"))
    tied = "output.weight" not in tensors
    return AutoConfig.for_model(kind, **{**fields, "tie_word_embeddings": tied})


class _Names:
    """What the GGUF reader asks of a model to map names: all of them, without submodules.

    Given the model itself it maps every submodule anew, 397 times for 30 layers: 8 s of 20.
    """

    def __init__(self, model: Any) -> None:
        self.config, self._names = model.config, model.state_dict()

    def state_dict(self) -> Any:
        return self._names

    def named_children(self) -> list[Any]:
        return []


def _tensors(file: Path, model: Any) -> Any:
    import torch
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    # Its progress bar can't be turned off by a setting; failures raise, so nothing else is lost.
    with contextlib.redirect_stderr(io.StringIO()):
        found = load_gguf_checkpoint(
            str(file), return_tensors=True, model_to_load=_Names(model), torch_dtype=torch.bfloat16
        )
    return found["tensors"]

"""Public chat formats, each with a small tokenizer of its kind; the templates are beside."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

TEMPLATES = Path(__file__).parent / "templates"
_CORPUS = [
    f"Question: what is {i} plus {i + 1}? It is {2 * i + 1}. The weather in Ulm is sunny.\n\n"
    "user assistant system tool weather city name arguments parameters\n"
    for i in range(200)
] + ["  four spaces\n\n\n  runs of newlines\n\n", "def f(x):\n    return x\n\n\nprint(f(1))\n"] * 50
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 and Qwen part words."""


class Family(NamedTuple):
    """What a format's tokenizer has.

    Attributes:
        special: Tokens of its own.
        eos: Ends a sequence.
        bos: Begins one, written by the tokenizer before every text; None where there is none.
        kind: ``words`` (byte-level, parted as Llama 3 does), ``bytes`` (byte-level, as GPT-2 does)
            or ``spaces`` (a space before every text and in place of blanks, as Llama 2 does).
        plain: Tokens of its own that it doesn't call special, such as those of thoughts.
    """

    special: tuple[str, ...]
    eos: str
    bos: str | None = None
    kind: str = "words"
    plain: tuple[str, ...] = ()


_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_THINK = ("<think>", "</think>")
_TOOL = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_LLAMA3 = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
)
_GEMMA = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
_MISTRAL = (
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
)
_DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
_DEEPSEEK_TOOLS = tuple(
    f"<｜tool▁{name}｜>"
    for name in (
        "calls▁begin",
        "calls▁end",
        "call▁begin",
        "call▁end",
        "sep",
        "outputs▁begin",
        "outputs▁end",
        "output▁begin",
        "output▁end",
    )
)
_GPT_OSS = ("start", "end", "message", "channel", "return", "call", "constrain")
_LLAMA2 = ("<unk>", "<s>", "</s>")

FAMILIES: dict[str, Family] = {
    "alpaca": Family(_LLAMA2, "</s>", "<s>", "spaces"),
    "command_r": Family(
        (
            "<BOS_TOKEN>",
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
        ),
        "<|END_OF_TURN_TOKEN|>",
        "<BOS_TOKEN>",
        "bytes",
    ),
    "deepseek_r1_distill": Family(_DEEPSEEK, _DEEPSEEK[1], _DEEPSEEK[0], plain=_THINK),
    "deepseek_v2": Family(_DEEPSEEK, _DEEPSEEK[1], _DEEPSEEK[0]),
    "deepseek_v3": Family((*_DEEPSEEK, *_DEEPSEEK_TOOLS), _DEEPSEEK[1], _DEEPSEEK[0]),
    "gemma1": Family(_GEMMA, "<eos>", "<bos>", "spaces"),
    "gemma2": Family(_GEMMA, "<eos>", "<bos>", "spaces"),
    "gemma3": Family(_GEMMA, "<eos>", "<bos>", "spaces"),
    "gemma4": Family(
        (
            *_GEMMA[:3],
            "<|turn>",
            "<turn|>",
            "<|channel>",
            "<channel|>",
            "<|think|>",
            "<|tool>",
            "<tool|>",
            "<|tool_call>",
            "<tool_call|>",
            "<|tool_response>",
            "<tool_response|>",
            '<|"|>',
        ),
        "<eos>",
        "<bos>",
        "spaces",
    ),
    "glm4": Family(
        ("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>")
        + ("<|observation|>",),
        "<|endoftext|>",
    ),
    "gpt_oss": Family(("<|endoftext|>", *(f"<|{t}|>" for t in _GPT_OSS)), "<|return|>"),
    "granite": Family(
        ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
        "<|end_of_text|>",
        kind="bytes",
    ),
    "hermes": Family(_CHATML, "<|im_end|>", plain=_TOOL),
    "llama2": Family(_LLAMA2, "</s>", "<s>", "spaces"),
    "llama3_1": Family(_LLAMA3, "<|eot_id|>", "<|begin_of_text|>"),
    "llama3_2": Family(_LLAMA3, "<|eot_id|>", "<|begin_of_text|>"),
    "mistral_nemo": Family((*_LLAMA2, *_MISTRAL), "</s>", "<s>"),
    "mistral_v1": Family(_LLAMA2, "</s>", "<s>", "spaces"),
    "mistral_v3": Family((*_LLAMA2, *_MISTRAL), "</s>", "<s>", "spaces"),
    "olmo2": Family(("<|endoftext|>",), "<|endoftext|>", "<|endoftext|>"),
    "phi3": Family(
        ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        "<|endoftext|>",
        kind="spaces",
    ),
    "phi4": Family((*_CHATML, "<|im_sep|>"), "<|im_end|>"),
    "qwen2_5": Family(_CHATML, "<|im_end|>", plain=_TOOL),
    "qwen3": Family(_CHATML, "<|im_end|>", plain=(*_THINK, *_TOOL)),
    "qwen3_5": Family(_CHATML, "<|im_end|>", plain=(*_THINK, *_TOOL)),
    "smollm2": Family(_CHATML, "<|im_end|>", kind="bytes"),
    "smollm3": Family(("<|end_of_text|>", *_CHATML[1:]), "<|im_end|>", plain=_THINK),
    "vicuna": Family(_LLAMA2, "</s>", "<s>", "bytes"),
    "zephyr": Family(_LLAMA2, "</s>", "<s>", "spaces"),
}


def make_tokenizer(name: str) -> Any:
    """Return a new tokenizer of a family, with its chat template."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    base = Tokenizer.from_str(_train(family.kind))
    base.add_special_tokens(list(family.special))
    base.add_tokens(list(family.plain))
    if family.bos is not None:
        begin = processors.TemplateProcessing(
            single=f"{family.bos} $A",
            pair=f"{family.bos} $A {family.bos}:1 $B:1",
            special_tokens=[(family.bos, base.token_to_id(family.bos))],
        )
        base.post_processor = begin
    named = {"bos_token": family.bos} if family.bos else {}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base, eos_token=family.eos, pad_token=family.special[0], **named
    )
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8").rstrip("\n")
    return tokenizer


@cache
def _train(kind: str) -> str:
    """Return a small trained tokenizer of a kind, as JSON."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    base = Tokenizer(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    match kind:
        case "words":
            base.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(_WORDS), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            )
            base.decoder = decoders.ByteLevel()
        case "bytes":
            base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            base.decoder = decoders.ByteLevel()
        case _:
            base.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
            base.decoder = decoders.Metaspace(prepend_scheme="first")
            alphabet = sorted({c for text in _CORPUS for c in text} | set(map(chr, range(32, 127))))
            alphabet += ["\n", "…", "é"]
    trainer = trainers.BpeTrainer(
        vocab_size=600, show_progress=False, initial_alphabet=list(alphabet)
    )
    base.train_from_iterator(_CORPUS, trainer)
    return str(base.to_str())

"""Tokens that texts may not hold, since they would forge a turn: finding and taking out."""

import re
from collections import Counter
from collections.abc import Sequence

from tasks.quality.checks.row_batch import RowBatch
from tasks.quality.checks.texts import Flags

RESERVED = (
    r"<\|[A-Za-z0-9_]{1,40}\|>"  # ChatML, Llama 3, Phi, GPT: <|im_start|>, <|eot_id|>, ...
    r"|</?s>|</?bos>|</?eos>|<unk>|<pad>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|<｜[^｜<>]{1,40}｜>"  # DeepSeek writes its tokens with full-width bars
)
NOVA_WORDS = r"(?:System|SYSTEM|User|USER|Bot|BOT|Assistant|ASSISTANT|Thought):"
NOVA_SIGNS = r"\[EOS\]|<image>|<video>|<unk>"
"""What Amazon Nova's fine-tuning refuses in a text, case for case (its SDK's validator)."""


def reserved_pattern(target: str, tokens: Sequence[str] = ()) -> str:
    """Return the pattern of the tokens that a target reserves, chat control tokens included.

    Args:
        target: The recipe's.
        tokens: Control tokens of the model's own tokenizer.
    """
    pattern = _with_own(RESERVED, tokens)
    return pattern if target == "none" else f"{pattern}|{NOVA_SIGNS}|{NOVA_WORDS}"


def _with_own(pattern: str, tokens: Sequence[str]) -> str:
    # A tokenizer may have thousands that differ in a number alone.
    more = [re.sub(r"\d+", r"\\d+", re.escape(t)) for t in tokens if not re.fullmatch(RESERVED, t)]
    return "|".join([pattern, *dict.fromkeys(more)])


def find_reserved_tokens(batch: RowBatch) -> Flags:
    """Return the rows any text of which holds a token that the recipe's target reserves."""
    return batch.flat.find_pattern(
        reserved_pattern(batch.quality.target, batch.context.control_tokens)
    )


def locate_reserved_token(text: str, target: str) -> int:
    """Return where in a text the first reserved token stands, 0 where none does."""
    found = re.search(reserved_pattern(target), text)
    return found.start() if found else 0


class Sanitiser:
    """Takes a target's reserved tokens out of texts and counts them.

    A space parts a word from its colon (``User :``), every other token goes. What is left is
    looked at again, since two halves may meet.

    Attributes:
        counts: Token -> how often it was found.
    """

    def __init__(self, target: str, tokens: Sequence[str] = ()) -> None:
        self.counts: Counter[str] = Counter()
        pattern = _with_own(RESERVED, tokens)
        self._signs = re.compile(f"{pattern}|{NOVA_SIGNS}" if target != "none" else pattern)
        self._words = re.compile(NOVA_WORDS) if target != "none" else None

    def clean(self, text: str) -> str:
        """Return a text without reserved tokens."""
        found = self._signs.findall(text)
        while found:
            self.counts.update(found)
            text = self._signs.sub("", text)
            found = self._signs.findall(text)
        if self._words is not None:
            self.counts.update(self._words.findall(text))
            text = self._words.sub(lambda word: f"{word[0][:-1]} :", text)
        return text

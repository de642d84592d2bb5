"""ROUGE-L by rouge-score, its words being those of any script."""

import re
from functools import cache
from typing import Any

_WORD = re.compile(r"[^\W_]+")


class Words:
    """rouge-score's own tokeniser, but letters and digits of every script count as such.

    On ASCII text the two are the same; the library's takes every other letter for a space.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return a text's words, in lower case."""
        return _WORD.findall(text.lower())


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=Words())


def rouge_l(said: str, meant: str) -> float:
    """Return the F-measure of the longest common subsequence of words (Lin 2004), in [0, 1]."""
    return float(_scorer().score(meant, said)["rougeL"].fmeasure)

"""The final number of a worked answer, as GSM8K is scored (Cobbe et al. 2021).

Two readings, those of lm-evaluation-harness 0.4.13 ``gsm8k``:

- strict: the number right after the first "#### ", which is how the examples end their answers.
- flexible: the last thing in the answer that looks like a number: two or more digits, dots, commas
  and dollar signs in a row, or a single digit, with a minus sign before them or not. A full stop
  after a number belongs to it, and a row of full stops counts as a number, as it does there.

Commas, dollar signs, everything up to the last "#### " and one full stop at the end are taken out
of both sides before they are compared, letter by letter: 18.0 is not 18.
"""

import re

_STRICT = re.compile(r"#{4} (-?[0-9.,]+)")
_FLEXIBLE = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")
_BEFORE = re.compile(r".*#{4} ", re.DOTALL)


def strict_number(answer: str) -> str | None:
    """Return the number after the first "#### ", or None."""
    found = _STRICT.search(answer)
    return found.group(1).strip() if found else None


def flexible_number(answer: str) -> str | None:
    """Return the last thing that looks like a number, or None."""
    found = _FLEXIBLE.findall(answer)
    return str(found[-1]).strip() if found else None


def same_number(said: str | None, meant: str) -> float:
    """Return 1 where what was said is what was meant (a worked answer or its number), else 0."""
    return float(said is not None and bare(said) == bare(meant))


def bare(text: str) -> str:
    """Return a text without what doesn't count when numbers are compared."""
    text = _BEFORE.sub("", text.replace(",", "").replace("$", ""))
    return (text[:-1] if text.endswith(".") else text).lower()

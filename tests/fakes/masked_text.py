"""Training rows as a person reads them: every token apart, what carries loss in brackets."""

from typing import Any

from tasks.text.masks import IGNORED, Rendered

SEPARATOR = "·"


def spell_row(tokenizer: Any, row: Rendered) -> str:
    """Return a row on one line: tokens parted by dots, those with loss within ``[[ ]]``."""
    out: list[str] = []
    inside = False
    for token, label in zip(*row, strict=True):
        if (label != IGNORED) != inside:
            inside = not inside
            out.append("[[" if inside else "]]")
        out.append(spell_token(tokenizer, token) + SEPARATOR)
    return "".join([*out, "]]" if inside else ""]).replace(f"{SEPARATOR}]]", "]]").rstrip(SEPARATOR)


def spell_token(tokenizer: Any, token: int) -> str:
    """Return a token's text, blanks and the ends of lines to be seen."""
    text = tokenizer.convert_ids_to_tokens(token)
    return str(text).replace("Ġ", "_").replace("▁", "_").replace("Ċ", "⏎").replace("\n", "⏎")

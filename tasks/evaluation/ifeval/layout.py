"""Rules on how an answer is laid out: its parts, marks, beginning and end."""

import json
import re

from tasks.evaluation.ifeval.arguments import Args, Rule, is_count, is_text

_CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_PLACEHOLDER = re.compile(r"\[.*?\]")
_STARRED = re.compile(r"^\s*\*[^*].*", re.MULTILINE)
_DASHED = re.compile(r"^\s*-", re.MULTILINE)
_LIGHT = re.compile(r"\*([^\n*]*)\*")
_BOLD = re.compile(r"\*\*([^\n*]*)\*\*")
_TITLE = re.compile(r"<<[^\n]+>>")
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
_FENCES = ("```json", "```Json", "```JSON", "```")


def _paragraphs(text: str, args: Args) -> bool:
    parts = [part.strip() for part in text.split("***")]
    if not all(parts[1:-1]):
        return False
    return sum(map(bool, parts)) == int(args["num_paragraphs"])


def _placeholders(text: str, args: Args) -> bool:
    return len(_PLACEHOLDER.findall(text)) >= int(args["num_placeholders"])


def _postscript(text: str, args: Args) -> bool:
    marker = args["postscript_marker"].strip()
    pattern = _POSTSCRIPTS.get(marker, re.escape(marker.lower()))
    return re.search(pattern, text.lower()) is not None


def _bullets(text: str, args: Args) -> bool:
    found = len(_STARRED.findall(text)) + len(_DASHED.findall(text))
    return found == int(args["num_bullets"])


def _constrained(text: str, _: Args) -> bool:
    return any(choice in text for choice in _CHOICES)


def _highlights(text: str, args: Args) -> bool:
    # The two stars of bold text enclose a highlight of their own, of nothing, which isn't counted.
    found = [*_LIGHT.findall(text), *_BOLD.findall(text)]
    return sum(bool(inside.strip()) for inside in found) >= int(args["num_highlights"])


def _sections(text: str, args: Args) -> bool:
    heading = re.escape(args["section_spliter"].strip()) + r"\s?\d+"
    return len(re.findall(heading, text)) >= int(args["num_sections"])


def _json(text: str, _: Args) -> bool:
    inside = text.strip()
    for fence in _FENCES:
        inside = inside.removeprefix(fence)
    try:
        json.loads(inside.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, _: Args) -> bool:
    return any(t.lstrip("<").rstrip(">").strip() for t in _TITLE.findall(text))


def _two_answers(text: str, _: Args) -> bool:
    parts = [part.strip() for part in text.split("******")]
    full = [part for part in parts if part]
    return all(parts[1:-1]) and len(full) == 2 and full[0] != full[1]


def _repeats(text: str, args: Args) -> bool:
    return text.strip().lower().startswith(args["prompt_to_repeat"].strip().lower())


def _ends(text: str, args: Args) -> bool:
    return text.strip().strip('"').lower().endswith(args["end_phrase"].strip().lower())


def _quoted(text: str, _: Args) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


LAYOUT_RULES: dict[str, Rule] = {
    "length_constraints:number_paragraphs": Rule(_paragraphs, {"num_paragraphs": is_count}),
    "detectable_content:number_placeholders": Rule(_placeholders, {"num_placeholders": is_count}),
    "detectable_content:postscript": Rule(_postscript, {"postscript_marker": is_text}),
    "detectable_format:number_bullet_lists": Rule(_bullets, {"num_bullets": is_count}),
    "detectable_format:constrained_response": Rule(_constrained),
    "detectable_format:number_highlighted_sections": Rule(
        _highlights, {"num_highlights": is_count}
    ),
    "detectable_format:multiple_sections": Rule(
        _sections, {"section_spliter": is_text, "num_sections": is_count}
    ),
    "detectable_format:json_format": Rule(_json),
    "detectable_format:title": Rule(_title),
    "combination:two_responses": Rule(_two_answers),
    "combination:repeat_prompt": Rule(_repeats, {"prompt_to_repeat": is_text}),
    "startend:end_checker": Rule(_ends, {"end_phrase": is_text}),
    "startend:quotation": Rule(_quoted),
}
"""Thirteen of the 25 rules."""

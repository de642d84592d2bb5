"""YAML as recipes are written in it: bounded before it takes memory, and without surprises.

YAML can say much more than a recipe needs. What a few bytes of it can unfold to (aliases, merges,
numbers without end), what is not text, number, list or mapping (dates, sets, objects), and what two
readers may understand differently (a key written twice) is refused with its line.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from configs.errors import RecipeError
from configs.section import YamlPath

Positions = Mapping[YamlPath, int]
"""Which line of a file, from 1, each key and each element of a list stands on."""

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000
DEEPEST = 50
LONGEST_NUMBER = 100
"""Characters of a number."""
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq", "merge")
}
_NO_NUMBER = {".nan", ".inf", "-.inf", "+.inf"}


class _Loader(yaml.SafeLoader):
    """Composes what a recipe may hold; refuses the rest with its line."""

    yaml_implicit_resolvers = {
        # A date is the text it is written as: what it is for says what it means.
        first: [(tag, form) for tag, form in forms if tag != f"{_TAG}timestamp"]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        self._deep = self._composed = 0
        super().__init__(text)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._deep += 1
        self._composed += 1
        if self._deep > DEEPEST:
            raise _refusal(f"this is nested more than {DEEPEST} deep", mark)
        if self._composed > MOST_VALUES:
            raise _refusal(f"these are more than {MOST_VALUES:,} values", mark)
        node = super().compose_node(parent, index)
        self._deep -= 1
        if node is not None:
            _check_kind(node)
        return node


def parse_yaml(text: str, place: str) -> tuple[Any, Positions]:
    """Return what a YAML text says, and the lines its values stand on.

    Args:
        text: One document.
        place: What errors call it.

    Raises:
        RecipeError: It isn't YAML, or more than a recipe may hold, with its line.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise _too_large(place)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, {}
            _count_values(node, {})
            positions = dict(_find_lines(node))
            return loader.construct_document(node), positions
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(
            f"the text holds a character that YAML doesn't allow (code {error.character!r}).",
            where=f"{place}:{line}",
            fix="take it out of the line named.",
        ) from error
    except yaml.YAMLError as error:
        raise _invalid(error, place) from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise RecipeError(
            f"a value can't be read: {error}.", where=place, fix="write it as text, in quotes."
        ) from error


def read_yaml(path: Path) -> tuple[Any, Positions]:
    """Return what a YAML file says, and the lines its values stand on.

    Raises:
        RecipeError: It can't be read, isn't YAML, or holds more than a recipe may.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise _too_large(str(path))
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            "the file is not UTF-8 text.", where=str(path), fix="save it as UTF-8."
        ) from error
    except OSError as error:
        raise RecipeError(
            f"the file can't be read ({error.strerror}).", where=str(path), fix="correct the path."
        ) from error
    return parse_yaml(text, str(path))


def _too_large(place: str) -> RecipeError:
    return RecipeError(
        f"this is more than {MOST_BYTES >> 20} MiB, and a recipe holds settings, not data.",
        where=place,
        fix="name data by the path of its file.",
    )


def _refusal(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _check_kind(node: yaml.Node) -> None:
    """Refuse what is no text, number, truth value, list or mapping with texts as keys."""
    if node.tag not in _PLAIN:
        kind = node.tag.removeprefix(_TAG)
        raise _refusal(f"a recipe holds no values of the kind '{kind}'", node.start_mark)
    if isinstance(node, yaml.ScalarNode) and node.tag in (f"{_TAG}int", f"{_TAG}float"):
        if len(node.value) > LONGEST_NUMBER:
            raise _refusal(f"a number of {len(node.value):,} characters", node.start_mark)
        if node.value.lower() in _NO_NUMBER:
            raise _refusal(f"{node.value} is no number that a setting can have", node.start_mark)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in (
                f"{_TAG}str",
                f"{_TAG}merge",
            ):
                raise _refusal("a key has to be a text: put it in quotes", key.start_mark)
            if key.tag == f"{_TAG}str" and key.value in lines:
                raise _refusal(
                    f"the key '{key.value}' is written twice, here and in line "
                    f"{lines[key.value]}, and only one can be meant",
                    key.start_mark,
                )
            lines[key.value] = key.start_mark.line + 1


def _count_values(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Return how many values a node unfolds to, its aliases and merges written out.

    Raises:
        yaml.MarkedYAMLError: They are too many, or it holds itself.
    """
    if id(node) in known:
        count = known[id(node)]
        if count is None:
            raise _refusal("this value holds itself", node.start_mark)
        return count
    known[id(node)] = None
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    count = 1 + sum(_count_values(part, known) for part in parts)
    if count > MOST_VALUES:
        raise _refusal(
            f"this unfolds to more than {MOST_VALUES:,} values, by aliases or by itself",
            node.start_mark,
        )
    known[id(node)] = count
    return count


def _find_lines(node: yaml.Node, path: YamlPath = ()) -> Iterator[tuple[YamlPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _find_lines(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*path, i), value.start_mark.line + 1
            yield from _find_lines(value, (*path, i))


def _invalid(error: yaml.YAMLError, place: str) -> RecipeError:
    mark = getattr(error, "problem_mark", None)
    where = f"{place}:{mark.line + 1}:{mark.column + 1}" if mark else place
    problem = getattr(error, "problem", None) or str(error)
    message, fix = f"this is not valid YAML: {problem}.", "correct the line named above."
    if "\\t" in problem:
        message = "a tab is used for indentation, which YAML forbids."
        fix = "replace the tab by spaces."
    elif not isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError) and mark:
        message = f"{problem}."
    return RecipeError(message, where=where, fix=fix)

"""The walk of a weight, as the room's README tells it, is the one the code takes."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "tasks" / "mixture"
MOST_FUNCTIONS, MOST_FILES = 12, 6


def walk() -> dict[Path, set[str]]:
    """The functions that the README names, by file."""
    text = (ROOM / "README.md").read_text()
    found: dict[Path, set[str]] = {}
    for line in re.findall(r"^\| (`.*?) \|", text[: text.index("From there")], re.MULTILINE):
        for names, file in re.findall(r"(`.*?) in ([\w/]+\.py)", line):
            path = ROOT / file if "/" in file else ROOM / file
            named = re.findall(r"`([\w.]+)(?:\(.*?\))?`", names)
            found.setdefault(path, set()).update(name.rpartition(".")[2] for name in named)
    return found


def test_every_function_of_the_walk_is_in_the_file_that_is_named() -> None:
    assert walk()
    for path, names in walk().items():
        nodes = ast.walk(ast.parse(path.read_text()))
        assert names <= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}, path


def test_the_walk_is_as_short_as_it_is_said_to_be() -> None:
    # Rows of one unit and rows of many are ordered by two functions that stand for each other.
    functions = sum(map(len, walk().values())) - 1
    assert functions <= MOST_FUNCTIONS
    assert len(walk()) <= MOST_FILES

"""The code that decides a result, as a digest: an edit of it gives the result a new key.

Nobody lists that code. It is the import closure of the module a stage begins in, within Temper's
own packages: what that module imports (also inside functions), what those import, and so on. The
sources are parsed, not imported: what a stage imports may take seconds, or not be installed here.

A module counts by its syntax without docstrings, so that words, comments and layout change no key.
"""

import ast
import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("configs", "flows", "tasks")
LEFT_OUT = {
    "configs.backends": "says where a training runs, which changes nothing of what is learnt",
    "tasks.errors": "is for refusals, and a stage that refuses leaves no result",
    "tasks.training.placement": "says how the trainer is started there",
    "tasks.storage": "keeps results whole and knows nothing of what is in them",
    "tasks.lifeline": "says when a process ends, and nothing of what it made",
    "tasks.training.launcher": "says how processes find each other, as torchrun does elsewhere",
    "tasks.locks": "says who works on what, and nothing of what comes of it",
    "tasks.code_digest": "makes keys: what changes those needs no key",
    "tasks.progress": "is shown while a stage works, and kept nowhere",
    "tasks.pages": "is for people to look at: no stage reads it",
    "tasks.quality.report": "is for people to look at, too",
}
"""Modules that can't change a result, and why; what only they import is left out with them."""


_PARSING = threading.Lock()
TRIES = 20


class Module(NamedTuple):
    """What matters of a module: the digest of its syntax, and the names it may import."""

    digest: str
    imports: tuple[str, ...]


Find = Callable[[str], Module | None]
"""Gives the module of a dotted name; None where there is none, as for the name of a function."""


@cache
def code_digest(entry: str) -> str:
    """Return the digest of the modules that decide what ``entry`` makes.

    Args:
        entry: Dotted name of the module a stage begins in.

    Raises:
        ModuleNotFoundError: There is no such module among Temper's own.
    """
    return closure_digest(import_closure(entry))


def closure_digest(closure: dict[str, Module]) -> str:
    """Return the digest of a closure's modules, by name and syntax."""
    lines = [f"{name}:{closure[name].digest}" for name in sorted(closure)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def import_closure(entry: str, find: Find | None = None) -> dict[str, Module]:
    """Return a module and all of Temper's own that it reaches by imports, packages among them.

    Args:
        entry: Dotted name.
        find: Where modules are from; None for the code that runs.

    Raises:
        ModuleNotFoundError: The entry is none of Temper's modules.
    """
    find = find or find_module
    if find(entry) is None:
        raise ModuleNotFoundError(f"Temper has no module {entry}", name=entry)
    reached: dict[str, Module] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in reached or is_left_out(name) or (module := find(name)) is None:
            continue
        reached[name] = module
        # Importing a module runs the packages it stands in first.
        waiting += [*module.imports, *filter(None, [name.rpartition(".")[0]])]
    return reached


def is_left_out(name: str) -> bool:
    """Return whether a module can't change a result."""
    return any(f"{name}.".startswith(f"{left}.") for left in LEFT_OUT)


@cache
def find_module(name: str) -> Module | None:
    """Return a module of the code that runs."""
    source = read_source(name)
    return None if source is None else parse_module(source)


def read_source(name: str) -> str | None:
    """Return a module's text; None where none of Temper's modules has that name."""
    first, *rest = name.split(".")
    if first not in PACKAGES:
        return None
    place = Path(__file__).parents[1].joinpath(first, *rest)
    for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None


def _parse(source: str) -> ast.Module:
    """Return a source's tree; stages ask from several threads at once.

    Before 3.13 CPython counts the depth of all parsing threads in one number, and one that was
    interrupted by another reports a mismatch that is none of the source's. Ours take turns; where
    somebody else's thread parses in between, the source is parsed again.
    """
    with _PARSING:
        for _ in range(TRIES):
            try:
                return ast.parse(source)
            except SystemError as error:
                mismatch = error
    raise mismatch


def parse_module(source: str) -> Module:
    """Return what matters of a module's text."""
    tree = _parse(source)
    imports = dict.fromkeys(n for n in _imports(tree) if n.split(".")[0] in PACKAGES)
    return Module(hashlib.sha256(_syntax(tree).encode()).hexdigest(), tuple(imports))


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the names that may be imported, wherever in the code; those for types alone not."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import():
                yield from (alias.name for alias in child.names)
            case ast.ImportFrom(module=str(package), level=0):
                yield package
                # What is imported from a package may be a module of it.
                yield from (f"{package}.{alias.name}" for alias in child.names)
            case ast.ImportFrom():
                raise ValueError("Temper's modules import each other by their whole names")
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from _imports(ast.Module(child.orelse, []))
            case _ if not isinstance(child, ast.expr):
                yield from _imports(child)


def _syntax(tree: ast.AST) -> str:
    """Return a tree as text, without docstrings and positions, whichever Python parsed it."""
    said: list[object] = []
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            kept = [part for part in node if not _is_docstring(part)]
            said.append(len(kept))
            waiting += kept
        elif isinstance(node, ast.AST):
            said.append(type(node).__name__)
            # Which fields are there but empty differs between Pythons; a context says nothing.
            for name in node._fields:
                part = getattr(node, name, None)
                if part is not None and part != [] and name != "ctx":
                    said.append(name)
                    waiting.append(part)
        else:
            said.append((node,))
    return ascii(said)


def _is_docstring(node: object) -> bool:
    """Return whether a statement is a bare string, which does nothing wherever it stands."""
    if type(node) is not ast.Expr or type(node.value) is not ast.Constant:
        return False
    return isinstance(node.value.value, str)

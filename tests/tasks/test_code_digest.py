"""What code decides a result: every stage of the tree, and every module that it reaches."""

import ast
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tasks
from tasks.code_digest import (
    LEFT_OUT,
    PACKAGES,
    Module,
    closure_digest,
    code_digest,
    find_module,
    import_closure,
    is_left_out,
    parse_module,
    read_source,
)

ROOT = Path(next(iter(tasks.__path__))).parent
KEYS = {"stage_key": 2, "code_digest": 0}
"""Functions that are given an entry, and the place of that argument."""


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    name_of(file): file.read_text(encoding="utf-8")
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}


def calls(source: str) -> Iterator[tuple[int, ast.Call]]:
    """Yield the calls that make a key, with the place of the entry among their arguments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            if name in KEYS:
                yield KEYS[name], node


def entry_of(caller: str, place: int, call: ast.Call) -> str:
    """Return the entry a call names: the calling module itself, or another in plain words."""
    assert len(call.args) == place + 1, f"{caller}: {ast.unparse(call)}"
    assert not call.keywords, f"{caller}: {ast.unparse(call)}"
    match call.args[place]:
        case ast.Name("__name__"):
            return caller
        case ast.Constant(str(entry)):
            return entry
        case other:
            raise AssertionError(f"{caller} gives {ast.unparse(other)}, not a module's name")


def all_entries() -> list[str]:
    return sorted(
        {
            entry_of(caller, place, call)
            for caller, source in SOURCES.items()
            # Those two hand on what they are given.
            if caller not in ("tasks.storage", "tasks.code_digest")
            for place, call in calls(source)
        }
    )


ENTRIES = all_entries()


@cache
def reached(entry: str) -> dict[str, Module]:
    return import_closure(entry)


@cache
def edited(name: str) -> Module:
    return parse_module(f"{SOURCES[name]}\nEDITED = True\n")


@cache
def unedited() -> dict[str, Module | None]:
    return {name: find_module(name) for name in SOURCES}


def digest_with(entry: str, name: str, module: Module) -> str:
    """Return the digest of an entry in a tree in which one module is another."""
    find = {**unedited(), name: module}.get
    return closure_digest(import_closure(entry, find))


def within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def test_every_stage_that_keeps_a_result_is_among_the_entries() -> None:
    assert len(ENTRIES) >= 14
    for stage in ("ingest", "quality", "self_data", "mixture", "training", "evaluation"):
        assert any(within(entry, f"tasks.{stage}") for entry in ENTRIES), stage


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_edit_of_any_module_that_a_stage_reaches_changes_its_key(entry: str) -> None:
    before = code_digest(entry)
    assert entry in reached(entry)
    same = [m for m in reached(entry) if digest_with(entry, m, edited(m)) == before]
    assert same == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_edit_of_a_module_that_a_stage_does_not_reach_leaves_its_key(entry: str) -> None:
    before = code_digest(entry)
    others = [m for m in SOURCES if m not in reached(entry)]
    assert len(others) > 200
    assert [m for m in others if digest_with(entry, m, edited(m)) != before] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_comment_or_layout_of_any_module_matters(package: str) -> None:
    names = [name for name in SOURCES if within(name, package)]
    assert names
    assert [n for n in names if parse_module(reworded(SOURCES[n])) != find_module(n)] == []


def reworded(source: str) -> str:
    """Return a source with other docstrings, in another layout, without its comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            node.value = ast.Constant("Other words.")
        if isinstance(node, ast.FunctionDef) and not ast.get_docstring(node):
            node.body.insert(0, ast.Expr(ast.Constant("A docstring where there was none.")))
    return f"# A comment.\n{ast.unparse(ast.fix_missing_locations(tree))}\n\n\n# Another.\n"


@pytest.mark.parametrize(
    ("entry", "module"),
    [
        ("tasks.self_data.rehearsal", "tasks.self_data.rehearsal"),
        ("tasks.self_data.rehearsal", "tasks.models.local.generation"),
        ("tasks.self_data.rehearsal_sampling", "tasks.models.local.generation"),
        ("tasks.mixture.stage", "tasks.text.keyed"),
        ("tasks.mixture.stage", "tasks.mixture.shares"),
        ("tasks.mixture.tokenize", "tasks.text.chat"),
        ("tasks.quality.stage", "tasks.quality.checks.sensitive"),
        ("tasks.training.trainer", "tasks.training.data"),
        ("tasks.training.trainer", "tasks.training.run"),
        ("tasks.training.trainer", "tasks.training.grpo"),
        ("tasks.training.trainer", "tasks.text.chat"),
        ("tasks.evaluation.stage", "tasks.evaluation.suites.gsm8k"),
        ("tasks.evaluation.stage", "tasks.metrics.text_scores"),
        ("tasks.models.local.tokenized", "tasks.models.local.scoring"),
    ],
)
def test_what_decides_a_result_is_reached(entry: str, module: str) -> None:
    assert entry in ENTRIES
    assert module in reached(entry)


@pytest.mark.parametrize(
    ("entries", "others"),
    [
        ("tasks", ["flows", "tasks.gates", "tasks.tracking", "tasks.deploying", "configs.recipe"]),
        ("tasks.ingest", ["tasks.quality", "tasks.mixture", "tasks.training", "tasks.evaluation"]),
        ("tasks.quality", ["tasks.mixture", "tasks.training", "tasks.evaluation", "tasks.scores"]),
        (
            "tasks.mixture",
            [
                "tasks.evaluation",
                "tasks.metrics",
                "tasks.scores",
                "configs.suites",
                "configs.gates",
            ],
        ),
        (
            "tasks.training",
            [
                *("tasks.evaluation", "tasks.metrics", "tasks.scores", "tasks.mixture"),
                *("configs.suites", "configs.gates", "configs.models", "configs.quality"),
                *(
                    "tasks.training.backends.local",
                    "tasks.training.backends.sagemaker",
                    "tasks.training.backends.work_pool",
                ),
                *(
                    "tasks.training.backends.nova",
                    "tasks.training.preflight",
                    "tasks.training.backends.uploads",
                ),
                *("configs.backends", "configs.remote_backends", "configs.nova"),
            ],
        ),
        (
            "tasks.evaluation",
            ["tasks.training", "tasks.mixture", "configs.gates", "configs.quality"],
        ),
        ("tasks.models", ["configs.quality", "configs.suites", "tasks.models.prepare"]),
    ],
)
def test_a_stage_reaches_nothing_of_what_comes_after_it_or_starts_it(
    entries: str, others: list[str]
) -> None:
    chosen = [entry for entry in ENTRIES if within(entry, entries)]
    assert chosen
    assert [o for o in others if o not in SOURCES] == []
    found = {m for e in chosen for m in reached(e) for o in others if within(m, o)}
    assert found == set()


@pytest.mark.parametrize(
    "name",
    ["tasks.training.backends.sagemaker.standin"],
)
def test_no_stage_reaches_a_stand_in(name: str) -> None:
    assert name in SOURCES
    assert [e for e in ENTRIES for m in reached(e) if within(m, name)] == []


def test_no_stage_reaches_a_shell_of_prefect() -> None:
    assert any(name.endswith(".task") for name in SOURCES)
    assert [e for e in ENTRIES for m in reached(e) if m.endswith(".task")] == []


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_there_and_would_be_reached(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(within(source, name) for source in SOURCES)
    assert [e for e in ENTRIES if name in reached(e)] == []
    monkeypatch.delitem(LEFT_OUT, name)
    assert any(name in import_closure(e) for e in ENTRIES)


def test_nothing_but_users_rewards_is_imported_by_a_name_made_up_as_it_runs() -> None:
    """Nor started as a process: an edit of what is reached so would change no key."""
    ways = ("import_module", "__import__", "runpy", "subprocess", "Popen", "multiprocessing")
    found = {(m, way) for e in ENTRIES for m in reached(e) for way in ways if way in SOURCES[m]}
    assert found == {("tasks.training.rewards", "import_module")}


def test_what_is_started_as_a_module_of_ours_is_there_and_trains_as_an_entry() -> None:
    started = {
        element.value
        for source in SOURCES.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.List)
        for flag, element in zip(node.elts, node.elts[1:], strict=False)
        if isinstance(flag, ast.Constant) and flag.value == "-m"
        if isinstance(element, ast.Constant) and str(element.value).startswith("tasks.")
    }
    assert started == {
        "tasks.training.trainer",
        "tasks.training.launcher",
        "tasks.training.backends.sagemaker.standin.machine",
    }
    assert "tasks.training.trainer" in ENTRIES


def test_shipped_files_are_read_by_one_stage_whose_key_holds_them() -> None:
    """A module that reads files beside it has to put what it reads into its stage's inputs."""
    ways = ("__file__", "importlib.resources", "__path__", "pkgutil")
    found = {m for e in ENTRIES for m in reached(e) if any(way in SOURCES[m] for way in ways)}
    assert found == {"tasks.self_data.rehearsal_sampling"}


def test_imports_are_followed_wherever_they_stand() -> None:
    tree = {
        "tasks": "",
        "tasks.a": """
            import tasks.plain
            from tasks import module
            from tasks.names import function
            from tasks.package.inner import x as y

            class Lazy:
                def method(self):
                    try:
                        from tasks import tried
                    except ImportError:
                        import tasks.failed
                    match self:
                        case 1:
                            from tasks import matched
                    with open("x"):
                        for _ in ():
                            from tasks import looped
            if 1 > 2:
                from tasks import chosen
            else:
                from tasks import otherwise
            async def wait():
                from tasks import waited
        """,
        "tasks.package": "from tasks import by_package",
        **dict.fromkeys(
            [
                *("tasks.plain", "tasks.module", "tasks.names", "tasks.package.inner"),
                *("tasks.tried", "tasks.failed", "tasks.matched", "tasks.looped", "tasks.chosen"),
                *("tasks.otherwise", "tasks.waited", "tasks.by_package"),
            ],
            "x = 1",
        ),
        "tasks.not_imported": "x = 1",
    }
    assert set(closure(tree)) == set(tree) - {"tasks.not_imported"}


def closure(tree: dict[str, str]) -> dict[str, Module]:
    """Return what ``tasks.a`` reaches in a tree of sources."""
    return import_closure(
        "tasks.a", {n: parse_module(textwrap.dedent(s)) for n, s in tree.items()}.get
    )


@pytest.mark.parametrize(
    "test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"], ids=["from typing", "typing"]
)
def test_imports_for_types_alone_are_not_followed_and_those_instead_of_them_are(test: str) -> None:
    source = f"if {test}:\n    from tasks import b\nelse:\n    from tasks import c"
    assert set(closure({"tasks.a": source, "tasks.b": "", "tasks.c": ""})) == {"tasks.a", "tasks.c"}


def test_modules_that_import_each_other_are_each_counted_once() -> None:
    tree = {"tasks.a": "import tasks.b", "tasks.b": "import tasks.a"}
    assert set(closure(tree)) == set(tree)


def test_what_is_left_out_is_not_followed_either() -> None:
    tree = {
        "tasks.a": "import tasks.pages.list",
        "tasks.pages": "import tasks.b",
        "tasks.pages.list": "import tasks.b",
        "tasks.b": "",
    }
    assert set(closure(tree)) == {"tasks.a"}
    assert is_left_out("tasks.pages.list")
    assert not is_left_out("tasks.pages_of_another")


def test_a_module_of_others_or_none_is_no_entry() -> None:
    for name in ("json", "tasks.nowhere", "__main__"):
        with pytest.raises(ModuleNotFoundError, match=f"Temper has no module {name}"):
            code_digest(name)


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(ValueError, match="by their whole names"):
        parse_module("from . import x")


def test_the_code_that_runs_is_what_is_read() -> None:
    assert read_source("tasks.code_digest") == SOURCES["tasks.code_digest"]
    assert read_source("tasks.mixture") == SOURCES["tasks.mixture"]
    assert read_source("tasks.code_digest.parse_module") is None
    assert read_source("pytest") is None


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("x = 1", "x   =  (1)  # one"),
        ("def f(): return 1", 'def f():\n    """Say one."""\n    return 1'),
        ("class A:\n    x = 1", 'class A:\n    """A."""\n\n    x = 1\n    """What x is."""'),
        ("async def f(): return 1", 'async def f():\n    """Say one."""\n    return 1'),
        ("x = 'a'", 'x = "a"'),
        ("f(a, b)", "f(\n    a,\n    b,\n)"),
    ],
)
def test_words_and_layout_are_not_counted(source: str, same: str) -> None:
    assert parse_module(source) == parse_module(same)


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 1", "y = 1"),
        ("x = None", "x = 0"),
        ("x = ''", "x = None"),
        ("x = 'a'", "x = b'a'"),
        ("x = a + b", "x = a - b"),
        ("x = a - b", "x = b - a"),
        ("x = [a, [b]]", "x = [[a], b]"),
        ("f(a, b)", "f(a)(b)"),
        ("f(a)", "f(x=a)"),
        ("x = 1; y = 2", "y = 2; x = 1"),
        ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
        ("def f(): return 'a'", "def f(): 'a'"),
        ("def f(): yield", "def f(): pass"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("{**a}", "{None: a}"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"),
        ("for x in y: pass", "for x in y: break"),
        ("x[1:]", "x[:1]"),
        ("from a import b", "from a import b as c"),
        ("@a\ndef f(): pass", "def f(): pass"),
    ],
)
def test_whatever_else_is_edited_counts(source: str, other: str) -> None:
    assert parse_module(source) != parse_module(other)


def test_a_mismatch_that_another_thread_caused_is_parsed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, calls = ast.parse, [0]

    def interrupted(source: str) -> ast.Module:
        calls[0] += 1
        if calls[0] < 3:
            raise SystemError("AST constructor recursion depth mismatch")
        return original(source)

    plain = parse_module("import tasks\n")
    monkeypatch.setattr(ast, "parse", interrupted)
    assert parse_module("import tasks\n") == plain
    assert calls == [3]

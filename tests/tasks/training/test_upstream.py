"""What is leant on inside other packages is where the list says it is."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

pytest.importorskip("trl")

from tasks.training.upstream import INNER_PARTS

ROOT = Path(__file__).parents[3]
# Of Python's own: named tuples.
PLAIN = {"_replace", "_asdict", "_fields", "_make"}
LOOKED_AT = ("tasks/training/*.py", "tasks/models/local/*.py")
# An operator of torch, which has a check of its own where it is called.
CHECKED = {"_scaled_dot_product_flash_attention_for_cpu"}


def found(part):
    """Return the part where it is defined; None for what an object is given when it is made."""
    module, _, name = part.owner.partition(":")
    owner = importlib.import_module(module)
    owner = getattr(owner, name) if name else owner
    return owner, getattr(owner, part.name, None)


@pytest.mark.parametrize("part", INNER_PARTS, ids=lambda p: f"{p.owner.split(':')[-1]}.{p.name}")
def test_a_part_is_where_it_was_and_takes_what_it_took(part):
    owner, value = found(part)
    if part.parameters is not None:
        names = [n for n in inspect.signature(value).parameters if n != "self"]
        assert tuple(names) == part.parameters, f"it moved: {part.used_in} ({part.use})"
    elif value is None:
        kinds = [k for k in owner.__mro__ if k is not object]
        source = "".join(inspect.getsource(kind) for kind in kinds)
        assert part.name in source, f"it is gone: {part.used_in} ({part.use})"


def private_names(file):
    """Yield the private attributes that a file uses and doesn't define itself."""
    tree = ast.parse(file.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [t for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets]
    own |= {target.id for target in targets if isinstance(target, ast.Name)}
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            if isinstance(node.ctx, ast.Store) and of_self:
                own.add(node.attr)
            elif not node.attr.startswith("__"):
                used.add(node.attr)
    return used - own


def test_every_private_name_of_other_packages_is_listed():
    listed = {part.name for part in INNER_PARTS}
    files = [file for pattern in LOOKED_AT for file in sorted(ROOT.glob(pattern))]
    assert len(files) > 20
    lacking = {
        str(file.relative_to(ROOT)): sorted(more)
        for file in files
        if (more := private_names(file) - listed - PLAIN - CHECKED)
    }
    assert lacking == {}


def test_what_is_listed_is_used_where_the_list_says():
    for part in INNER_PARTS:
        file = ROOT / (part.used_in.replace(".", "/") + ".py")
        assert part.name in file.read_text(), part

"""Which line of the file each YAML path stands on."""

from collections.abc import Iterator, Mapping

import yaml

Path = tuple[str | int, ...]
Positions = Mapping[Path, int]


def positions_of(node: yaml.Node | None) -> Positions:
    """Return the 1-based line of every key and list element below ``node``."""
    return dict(_walk(node, ())) if node is not None else {}


def _walk(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _walk(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*path, i), value.start_mark.line + 1
            yield from _walk(value, (*path, i))

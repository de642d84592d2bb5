from typing import Any

import pytest

from configs.recipe import Recipe


@pytest.mark.parametrize("licences", [None, {"allow": ["CC0-1.0"]}])
def test_weights_from_sizes_refuse_a_source_that_has_no_size(
    tiny_fields: dict[str, Any], licences: dict[str, Any] | None
) -> None:
    own = {"name": "own", "role": "general", "kind": "rehearsal", "licence": "CC0-1.0"}
    sources = [{**s, "licence": "CC0-1.0"} for s in tiny_fields["sources"]]
    fields = {
        **tiny_fields,
        "sources": [*sources, own],
        "licences": licences,
        "mixture": {**tiny_fields["mixture"], "weight_from": "size"},
    }
    with pytest.raises(ValueError, match="a rehearsal source has no size"):
        Recipe.model_validate(fields)

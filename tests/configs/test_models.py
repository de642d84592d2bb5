from pathlib import Path

import pytest
import yaml

from configs.errors import RecipeError
from configs.loading import find_served
from configs.models import BedrockModel, Endpoint

FIELDS = {"kind": "endpoint", "url": "http://127.0.0.1:8000/v1", "name": "m", "key_env": "MY_KEY"}


def test_a_model_is_named_by_a_file_or_in_braces(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(FIELDS))
    found = find_served(str(file))
    assert isinstance(found, Endpoint)
    assert found.key_env == "MY_KEY"
    inline = "{kind: endpoint, url: 'http://127.0.0.1:8000/v1/', name: m, key_env: MY_KEY}"
    assert find_served(inline) == found
    assert isinstance(find_served("{kind: bedrock, name: a.b-v1:0}"), BedrockModel)


@pytest.mark.parametrize("folder", ["", "/models/base", "models/v1.2"])
def test_anything_else_is_a_folder(folder: str) -> None:
    assert find_served(folder) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: endpoint, name: m}", "url"),
        ("{kind: other}", "kind"),
        ("{", "not valid YAML"),
        ("{kind: endpoint, url: 'http://a/v1', name: m, key: secret}", "key"),
        ("no/such/file.yaml", "can't be read"),
        ("{kind: adapter, path: a, adapter: b, alpha: 3}", "alpha"),
    ],
)
def test_what_is_no_model_is_refused_in_one_paragraph(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        find_served(text)

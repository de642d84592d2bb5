from pathlib import Path

import pytest

from configs.models import Endpoint, Model
from flows.cli.commands import import_samples
from flows.evaluate import parse_model, prepare_model
from tasks.artifacts import LocalModel
from tasks.models.adapters import Adapted


def test_a_served_model_is_asked_where_it_is_and_a_folder_is_prepare_model(
    tiny_model_folder: Path,
) -> None:
    pytest.importorskip("torch")
    served = parse_model("{kind: endpoint, url: 'http://127.0.0.1:1/v1', name: m}")
    assert isinstance(served, Endpoint)
    assert prepare_model(served) == served
    folder = parse_model(str(tiny_model_folder))
    assert folder == Model(path=str(tiny_model_folder))
    assert isinstance(prepare_model(folder), LocalModel)


def test_an_adapter_is_put_on_its_base(tiny_model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["q"]}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    model = f"{{kind: adapter, path: {tiny_model_folder}, adapter: {tmp_path}, alpha: 0.5}}"
    found = prepare_model(parse_model(model))
    assert isinstance(found, Adapted)
    assert (found.path, found.adapter, found.alpha) == (tiny_model_folder, tmp_path, 0.5)


def test_logs_of_the_harness_become_scores(temper_home: Path, tmp_path: Path) -> None:
    lines = [
        f'{{"doc_id": {i}, "doc_hash": "d{i}", "prompt_hash": "p{i}", "target": "x", "filter": '
        f'"none", "resps": [["x"]], "filtered_resps": ["x"], "metrics": ["em", "f1"], "em": {i % 2}'
        f', "f1": 0.5}}'
        for i in range(4)
    ]
    log = tmp_path / "samples_made_2026-01-01T00-00-00.000000.jsonl"
    log.write_text("\n".join(lines))
    answer = import_samples([log], "made", ["em", "f1:mean"])
    assert answer.json["metrics"]["em"]["value"] == 0.5
    assert answer.json["metrics"]["f1"]["n"] == 4
    assert Path(answer.json["items"]).is_file()

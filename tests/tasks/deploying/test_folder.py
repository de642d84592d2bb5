"""A deployed folder is the evaluated model: the same logits, loaded as anyone would load it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.deploying.card import Release
from tasks.deploying.folder import deploy_folder
from tasks.errors import DataError, StorageError
from tasks.models.identity import tokenizer_digest, weights_digest

torch = pytest.importorskip("torch")


def _logits_digest(model: Any, tokenizer: Any) -> str:
    """Return the SHA-256 of the logits of a few prompts, bit for bit."""
    found = hashlib.sha256()
    for prompt in ("what is 2 plus 3?", "Question: what is 7 plus 8? Answer:"):
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )["input_ids"]
        with torch.no_grad():
            found.update(model(ids).logits.float().numpy().tobytes())
    return found.hexdigest()


def test_the_folder_gives_the_logits_of_what_was_evaluated(
    release: Release, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tasks.models.local.loading import forget_model, load_weights

    evaluated = load_weights(release.model, "float32")
    tokenizer = AutoTokenizer.from_pretrained(release.model.path)
    wanted = _logits_digest(evaluated, tokenizer)
    forget_model()
    out = deploy_folder(release, tmp_path / "out")
    plain = AutoModelForCausalLM.from_pretrained(out, dtype="float32").eval()
    assert _logits_digest(plain, AutoTokenizer.from_pretrained(out)) == wanted
    with torch.no_grad():
        next(plain.parameters()).add_(1e-3)
    assert _logits_digest(plain, tokenizer) != wanted


def test_the_folder_holds_the_model_its_card_and_nothing_of_the_training(
    release: Release, tmp_path: Path
) -> None:
    out = deploy_folder(release, tmp_path / "out")
    names = {p.name for p in out.iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "README.md",
        "temper.json",
    } <= names
    assert not names & {"losses.jsonl", "job.json", "manifest.json", "adapter"}
    assert weights_digest(out) == release.model.digest
    assert tokenizer_digest(out) == release.model.tokenizer_digest
    kept = json.loads((out / "temper.json").read_text())
    assert kept["weights_digest"] == release.model.digest
    assert kept["scores"]["reviews/macro_f1"]["value"] == 0.6


def test_the_card_says_what_went_in_how_it_scored_and_what_it_is_for(
    release: Release, tmp_path: Path
) -> None:
    text = (deploy_folder(release, tmp_path / "out") / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["base_model"] == "org/base"
    assert fields["datasets_licences"] == ["Apache-2.0", "unknown"]
    for part in (
        "## Intended use",
        "Verdict of its gates: **PASS**",
        "| reviews/macro_f1 | 0.4000 | 0.6000 | 0.5000 to 0.7000 | 200 |",
        "0.7500",
        "a\\|b.jsonl",
        release.model.digest,
        "sequence_length: 512",
    ):
        assert part in body


def test_a_checkpoint_that_changed_since_is_not_deployed(release: Release, tmp_path: Path) -> None:
    weights = release.model.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StorageError, match="aren't those that were evaluated"):
        deploy_folder(release, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scores_of_other_weights_are_not_deployed(release: Release, tmp_path: Path) -> None:
    other = release._replace(evaluated=(release.model.digest, "e" * 64))
    with pytest.raises(StorageError, match="eeeeeeeeeeee"):
        deploy_folder(other, tmp_path / "out")


def test_another_tokenizer_is_not_deployed(release: Release, tmp_path: Path) -> None:
    (release.model.path / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(StorageError, match="tokenizer"):
        deploy_folder(release, tmp_path / "out")


def test_a_folder_with_something_in_it_is_left_alone(release: Release, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        deploy_folder(release, out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]

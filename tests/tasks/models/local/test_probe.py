"""What a model may be spared: by its config, and by a probe that can tell."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

from tasks.errors import SetupError  # noqa: E402
from tasks.models.local import probe as probing  # noqa: E402
from tasks.models.local.forward import score_groups  # noqa: E402
from tasks.models.local.probe import probe, shortcuts_of  # noqa: E402
from tasks.models.local.shortcuts import (  # noqa: E402
    PLAIN,
    Layout,
    Shortcuts,
    read_kept,
    read_limits,
)
from tasks.models.local.spans import Span  # noqa: E402

SIZES: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def made(kind: str, **fields: Any) -> Any:
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SIZES, **fields}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 0.2)
    return model.eval()


def limits(kind: str, **fields: Any) -> Shortcuts:
    return read_limits(AutoConfig.for_model(kind, **{**SIZES, **fields}))


def test_a_plain_decoder_is_spared_all_there_is() -> None:
    assert limits("llama") == PLAIN
    assert probe(made("llama")) == PLAIN


def test_a_config_says_how_far_sharing_reaches() -> None:
    assert limits("mistral", sliding_window=24).reach == 24
    assert limits("mistral", sliding_window=None) == PLAIN
    assert limits("qwen2", sliding_window=24) == PLAIN
    hybrid = limits("lfm2", layer_types=["conv", "full_attention"])
    assert (hybrid.within.scoring, hybrid.why) == ("rows", "layers of conv")
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    growing = limits("llama", max_position_embeddings=64, rope_parameters=rope)
    assert (growing.reach, growing.beyond) == (64, Layout("alone", "alone"))


def test_a_window_is_shared_up_to_its_size_and_not_beyond() -> None:
    found = probe(made("mistral", sliding_window=24))
    assert found.at(24) == Layout("shared", "shared")
    assert found.at(25) == Layout("rows", "padded")


def test_a_window_that_a_config_does_not_tell_is_found_by_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made("mistral", sliding_window=24)
    monkeypatch.setattr(probing, "read_limits", lambda config: PLAIN)
    assert probe(model).within == Layout("rows", "padded")


def test_a_head_that_nobody_here_knows_is_left_to_the_model() -> None:
    model = made("llama")
    whole = type(model).forward

    def forward(self: Any, *args: Any, **given: Any) -> Any:
        out = whole(self, *args, **given)
        out.logits = out.logits * 0.5 + out.logits**3
        return out

    model.__class__ = type("Strange", (type(model),), {"forward": forward})
    found = probe(model)
    assert (found.own_head, found.within.scoring) == (False, "rows")
    span = Span([5, 6, 7, 8], [2, 3])
    (((_, (score,)),),) = list(score_groups(model, [[span]], found))
    with torch.inference_mode():
        logprobs = model(torch.tensor([span.ids])).logits[0].log_softmax(dim=-1)
    assert score.logprob == pytest.approx(float(logprobs[1, 7] + logprobs[2, 8]), abs=1e-4)


def test_a_model_that_sees_later_tokens_is_refused_by_name() -> None:
    bert = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(
            "bert",
            vocab_size=120,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            is_decoder=False,
        )
    ).eval()
    with torch.no_grad():
        for parameter in bert.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 0.3)
    with pytest.raises(SetupError, match=r"type 'bert'.*a later token changes"):
        probe(bert)


def test_the_probe_is_asked_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, kept = made("mistral", sliding_window=24), tmp_path / "probes" / "m.json"
    found = shortcuts_of(model, kept)
    assert read_kept(kept) == found
    assert json.loads(kept.read_text())["why"] == "sliding_window of 24 tokens"
    monkeypatch.setattr(probing, "probe", lambda _: pytest.fail("asked again"))
    assert shortcuts_of(model) is found
    assert shortcuts_of(made("mistral", sliding_window=24), kept) == found


@pytest.mark.parametrize("before", [[200], [40, 300], []])
def test_a_rope_that_grows_forgets_longer_texts(before: list[int]) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    model = made("llama", max_position_embeddings=64, rope_parameters=rope)
    ids = [3 + i * 7 % 110 for i in range(100)]
    alone = list(score_groups(model, [[Span(ids, range(90, 100))]], probe(model)))
    for length in before:
        long = [3 + i * 5 % 110 for i in range(length)]
        list(score_groups(model, [[Span(long, range(1, length))]], probe(model)))
    assert list(score_groups(model, [[Span(ids, range(90, 100))]], probe(model))) == alone

"""vLLM's engine against a stand-in that has vLLM's interface and the tiny model's numbers."""

import importlib.machinery
import importlib.metadata
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from configs.models import VllmModel
from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.models.api import Choice, Decoding, Prompt, Text

torch = pytest.importorskip("torch")

from tasks.models.factory import open_model  # noqa: E402
from tasks.models.served import vllm as vllm_engine  # noqa: E402
from tasks.models.served.vllm import on_vllm  # noqa: E402

HEAD = "Question: what is 1 plus 2? Answer: 3\n"


@dataclass
class Params:
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: list[int] | None = field(default=None)
    detokenize: bool = True


class OldParams(Params):
    """Of a version that can't be asked for named tokens."""


class StandIn:
    """``vllm.LLM`` as far as it is used."""

    made: list[dict[str, Any]] = []

    def __init__(self, **given: Any) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        StandIn.made.append(given)
        self._model = AutoModelForCausalLM.from_pretrained(given["model"]).float().eval()
        self._tokenizer = AutoTokenizer.from_pretrained(given["model"])

    def generate(
        self, prompts: Any, params: Any, *, use_tqdm: bool, lora_request: Any = None
    ) -> Any:
        each = params if isinstance(params, list) else [params] * len(prompts)
        return [self._one(p["prompt_token_ids"], q) for p, q in zip(prompts, each, strict=True)]

    def _one(self, prompt: list[int], params: Any) -> Any:
        ids = list(prompt)
        reason, text, first = "length", "", None
        for _ in range(params.max_tokens):
            with torch.inference_mode():
                logprobs = self._model(torch.tensor([ids])).logits[0].log_softmax(-1)
            first = logprobs if first is None else first
            ids.append(int(logprobs[-1].argmax()))
            text = self._tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)
            cut = [text.find(s) for s in params.stop or [] if s in text]
            if cut or ids[-1] in (params.stop_token_ids or []):
                reason, text = "stop", text[: min(cut)] if cut else text
                break
        assert first is not None
        own = [
            SimpleNamespace(logprob=float(first[len(prompt) - 1, t]))
            for t in params.logprob_token_ids or []
        ]
        named = dict(zip(params.logprob_token_ids or [], own, strict=True))
        output = SimpleNamespace(
            text=text, token_ids=ids[len(prompt) :], finish_reason=reason, logprobs=[named]
        )
        return SimpleNamespace(outputs=[output], prompt_logprobs=_prompt(first, prompt))


def _prompt(logprobs: Any, prompt: list[int]) -> list[Any]:
    found: list[Any] = [None]
    for place, token in enumerate(prompt[1:]):
        best = int(logprobs[place].argmax())
        found.append({t: SimpleNamespace(logprob=float(logprobs[place, t])) for t in (token, best)})
    return found


@pytest.fixture(params=[Params, OldParams])
def vllm(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("vllm")
    module.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    module.LLM, module.SamplingParams = StandIn, request.param
    module.TokensPrompt = dict
    if request.param is OldParams:
        monkeypatch.setattr(vllm_engine, "_asks_for_tokens", lambda: False)
    monkeypatch.setitem(sys.modules, "vllm", module)
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.11" if name == "vllm" else real(name)
    )
    StandIn.made.clear()


def engines(model: LocalModel) -> tuple[Any, Any]:
    spec = VllmModel(kind="vllm", path=str(model.path), max_positions=2048)
    return open_model(on_vllm(model, spec), "float32"), open_model(model, "float32")


def test_answers_options_and_texts_are_those_of_the_model(
    vllm: None, tiny_model: LocalModel
) -> None:
    theirs, ours = engines(tiny_model)
    prompts = [Prompt([{"role": "user", "content": f"what is {i}?"}]) for i in range(3)]
    decoding = Decoding(12, stop=("8",))
    said = [
        [
            (a.text, a.truncated, a.prompt_tokens, a.prompt_digest)
            for a in engine.answers(prompts, decoding)
        ]
        for engine in (theirs, ours)
    ]
    assert said[0] == said[1]
    letters = [
        Choice(f"{HEAD}Question: what is {i} plus 1? Answer:", (" A", " B", " C")) for i in range(3)
    ]
    words = [Choice(HEAD, (" 35 plus 36", " what is"))]
    for asked in (letters, words):
        for one, other in zip(theirs.choices(asked), ours.choices(asked), strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            assert one._replace(logprobs=[], latency_s=0) == other._replace(
                logprobs=[], latency_s=0
            )
    text = Text([{"role": "text", "content": HEAD}], 64)
    (one,), (other,) = theirs.negative_log_likelihood([text]), ours.negative_log_likelihood([text])
    assert one.nats == pytest.approx(other.nats, rel=1e-5)
    assert (one.bytes, one.tokens) == (other.bytes, other.tokens)


def test_the_engine_starts_once_and_with_the_sections_settings(
    vllm: None, tiny_model: LocalModel
) -> None:
    theirs, ours = engines(tiny_model)
    assert StandIn.made == []
    for _ in range(2):
        theirs.answers([Prompt([{"role": "user", "content": "a"}])], Decoding(1))
    (given,) = StandIn.made
    assert (given["max_model_len"], given["dtype"]) == (2048, "float32")
    assert not given["trust_remote_code"]
    assert theirs.digest != ours.digest


def test_without_vllm_one_paragraph_says_what_to_install(tiny_model: LocalModel) -> None:
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vllm is installed here")
    spec = VllmModel(kind="vllm", path=str(tiny_model.path))
    with pytest.raises(SetupError, match=r"temper-llm\[vllm\]"):
        open_model(on_vllm(tiny_model, spec), "float32")


def test_how_much_it_can_see_is_part_of_what_it_is(vllm: None, tiny_model: LocalModel) -> None:
    found = set()
    for positions in (1024, 2048):
        spec = VllmModel(kind="vllm", path=str(tiny_model.path), max_positions=positions)
        found.add(open_model(on_vllm(tiny_model, spec), "float32").digest)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("config", "rank"),
    [
        ({"r": 16}, 16),
        ({"r": 48}, 64),
        ({"r": 8, "rank_pattern": {"q_proj": 33}}, 64),
        ({"r": 600}, 600),
    ],
)
def test_vllm_is_told_of_the_adapters_rank(
    vllm: None, tiny_model: LocalModel, tmp_path: Path, config: dict[str, Any], rank: int
) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | config))
    spec = VllmModel(kind="vllm", path=str(tiny_model.path), adapter=str(tmp_path))
    engine: Any = open_model(on_vllm(tiny_model, spec), "float32")
    assert engine.llm is not None
    (given,) = StandIn.made
    assert (given["enable_lora"], given["max_lora_rank"]) == (True, rank)

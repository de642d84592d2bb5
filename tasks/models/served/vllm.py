"""vLLM behind the seam, for a GPU of this machine."""

import importlib.metadata
import importlib.util
import time
from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from configs.models import VllmModel
from tasks.artifacts import LocalModel
from tasks.code_digest import code_digest
from tasks.errors import SetupError
from tasks.models.adapters import adapter_digest, adapter_rank
from tasks.models.api import NONE, Answer, Batch, ChoiceScores, Decoding, Encoded, TextScore
from tasks.models.identity import config_digest, stopping
from tasks.models.local.loading import positions_of, resolve_dtype
from tasks.models.local.spans import Span
from tasks.models.local.tokenized import Options, Tokenized, chosen, measured
from tasks.storage import digest_of
from tasks.text.chat import load_tokenizer

CHUNK = 512
"""Requests given at a time: vLLM makes its own batches of them, and a kill costs at most these."""

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for ``max_lora_rank`` (``vllm.config.lora.MaxLoRARanks``)."""


class VllmFolder(LocalModel):
    """A model folder that vLLM answers for, with an adapter or without."""

    adapter: Path | None
    settings: VllmModel


def on_vllm(base: LocalModel, settings: VllmModel) -> VllmFolder:
    """Return the model as vLLM answers for it, with the adapter the section names.

    Raises:
        SetupError: The adapter's folder is none.
    """
    adapter = Path(settings.adapter).expanduser().resolve() if settings.adapter else None
    digest = base.digest
    if adapter is not None:
        digest = digest_of({"base": base.digest, "adapter": adapter_digest(adapter), "alpha": 1.0})
    return VllmFolder(
        path=base.path,
        name=base.name,
        tokenizer_digest=base.tokenizer_digest,
        chat=base.chat,
        digest=digest,
        adapter=adapter,
        settings=settings,
    )


def open_vllm(model: VllmFolder, dtype: str) -> "VllmEngine":
    """Return a model folder behind vLLM, which starts when the first answer is needed.

    Raises:
        SetupError: vLLM isn't installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise SetupError(
            "a model of kind vllm needs vllm.",
            where=model.name,
            fix="pip install 'temper-llm[vllm]' on a machine with a GPU.",
        )
    resolved = resolve_dtype(dtype)
    positions = model.settings.max_positions or positions_of(model.path)
    about = {
        "weights": model.digest,
        "tokenizer": model.tokenizer_digest,
        "config": config_digest(model.path),
        "stopping": stopping(model.path),
        "dtype": resolved,
        "backend": "vllm",
        "positions": positions,
        "engine": code_digest(__name__),
        "versions": {"vllm": importlib.metadata.version("vllm")},
    }
    return VllmEngine(
        model,
        resolved,
        load_tokenizer(model.path, model.chat),
        digest=digest_of(about),
        about=about,
        positions=positions,
    )


class VllmEngine(Tokenized):
    """A model folder that vLLM answers for.

    Args:
        folder: The model, with vLLM's settings.
        dtype: ``bfloat16`` or ``float32``.
        tokenizer: Its tokenizer.
        given: As of :class:`Tokenized`.
    """

    def __init__(self, folder: VllmFolder, dtype: str, tokenizer: Any, **given: Any) -> None:
        super().__init__(tokenizer, **given)
        self._folder, self._dtype = folder, dtype

    @cached_property
    def llm(self) -> Any:
        """The engine, started now if it wasn't."""
        from vllm import LLM

        settings = self._folder.settings
        return LLM(
            model=str(self._folder.path),
            dtype=self._dtype,
            seed=0,
            trust_remote_code=False,
            max_model_len=settings.max_positions,
            gpu_memory_utilization=settings.gpu_share,
            tensor_parallel_size=settings.parallel,
            **self._lora(),
        )

    def _lora(self) -> dict[str, Any]:
        """Return what is set for an adapter, of whose rank vLLM takes 16 at the most by itself."""
        if self._folder.adapter is None:
            return {}
        rank = adapter_rank(self._folder.adapter)
        return {"enable_lora": True, "max_lora_rank": next((r for r in RANKS if r >= rank), rank)}

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield answers, ``CHUNK`` prompts at a time."""
        params = self._params(
            max_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=decoding.seed % 2**31 if decoding.temperature else None,
            stop=list(decoding.stop) or None,
            stop_token_ids=self._stop_ids() or None,
        )
        for places in _chunks(len(asked), skip):
            fitted = [self.fitted(asked[i].payload, decoding.max_new_tokens) for i in places]
            made, each = self._generate([ids for ids, _ in fitted], params)
            yield [
                (i, _answer(asked[i], out, each, cut))
                for i, out, (_, cut) in zip(places, made, fitted, strict=True)
            ]

    def score_choice_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[ChoiceScores]]:
        """Yield how likely options are, ``CHUNK`` contexts at a time."""
        for places in _chunks(len(asked), skip):
            start = time.perf_counter()
            scores = self._options([asked[i].payload for i in places])
            each = (time.perf_counter() - start) / len(places)
            yield [(i, chosen(asked[i], s, each)) for i, s in zip(places, scores, strict=True)]

    def score_text_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[TextScore]]:
        """Yield how well texts are predicted, ``CHUNK`` at a time."""
        for places in _chunks(len(asked), skip):
            start = time.perf_counter()
            spans = [asked[i].payload.span for i in places]
            scores = iter(self._spans([s for s in spans if s.at]))
            each = (time.perf_counter() - start) / len(places)
            yield [
                (i, measured(asked[i], -next(scores)[0] if span.at else 0.0, each))
                for i, span in zip(places, spans, strict=True)
            ]

    def _options(self, groups: list[Options]) -> list[list[tuple[float, bool]]]:
        if all(_next_tokens(g.spans) for g in groups) and _asks_for_tokens():
            return self._after([g.spans for g in groups])
        scores = iter(self._spans([span for g in groups for span in g.spans]))
        return [[next(scores) for _ in g.spans] for g in groups]

    def _after(self, groups: Sequence[Sequence[Span]]) -> list[list[tuple[float, bool]]]:
        """Score single tokens after one context: one step of generation, whose prefix is kept."""
        prompts = [list(spans[0].ids[:-1]) for spans in groups]
        tokens = [[span.ids[-1] for span in spans] for spans in groups]
        params = [
            self._params(max_tokens=1, temperature=0.0, logprob_token_ids=sorted(set(ids)))
            for ids in tokens
        ]
        found = []
        for out, ids in zip(self._generate(prompts, params)[0], tokens, strict=True):
            first = out.outputs[0]
            found.append([(first.logprobs[0][t].logprob, first.token_ids[0] == t) for t in ids])
        return found

    def _spans(self, spans: Sequence[Span]) -> list[tuple[float, bool]]:
        """Score the wanted tokens of whole sequences."""
        if not spans:
            return []
        params = self._params(max_tokens=1, temperature=0.0, prompt_logprobs=1, detokenize=False)
        # The one token that has to be generated needs a place, too.
        made, _ = self._generate([list(span.ids) for span in spans], params)
        return [_wanted(out.prompt_logprobs, span) for out, span in zip(made, spans, strict=True)]

    def _params(self, **fields: Any) -> Any:
        from vllm import SamplingParams

        return SamplingParams(**fields)

    def _stop_ids(self) -> list[int]:
        configured = stopping(self._folder.path)
        listed = configured if isinstance(configured, list) else [configured]
        return sorted({i for i in [self._tokenizer.eos_token_id, *listed] if i is not None})

    def _generate(self, prompts: Sequence[Sequence[int]], params: Any) -> tuple[list[Any], float]:
        from vllm import TokensPrompt

        start, more = time.perf_counter(), {}
        if self._folder.adapter is not None:
            from vllm.lora.request import LoRARequest

            more["lora_request"] = LoRARequest("adapter", 1, str(self._folder.adapter))
        asked = [TokensPrompt(prompt_token_ids=list(ids)) for ids in prompts]
        made = self.llm.generate(asked, params, use_tqdm=False, **more)
        return made, (time.perf_counter() - start) / max(1, len(made))


def _chunks(count: int, skip: Container[int]) -> Iterator[list[int]]:
    for start in range(0, count, CHUNK):
        places = list(range(start, min(start + CHUNK, count)))
        if not all(i in skip for i in places):
            yield places


def _answer(asked: Encoded, out: Any, seconds: float, cut: bool) -> Answer:
    first = out.outputs[0]
    return Answer(
        first.text,
        cut or first.finish_reason == "length",
        seconds,
        asked.digest,
        len(asked.payload),
    )


def _next_tokens(spans: Sequence[Span]) -> bool:
    """Return whether the spans are one context with a single token each."""
    before = list(spans[0].ids[:-1])
    return all(list(s.at) == [len(before)] and list(s.ids[:-1]) == before for s in spans)


def _asks_for_tokens() -> bool:
    """Return whether this vLLM gives the log-probabilities of named tokens."""
    from vllm import SamplingParams

    return hasattr(SamplingParams, "logprob_token_ids")


def _wanted(logprobs: Sequence[Any], span: Span) -> tuple[float, bool]:
    """Return the sum over wanted tokens, and whether each is the likeliest at its place."""
    total, greedy = 0.0, True
    for place in span.at:
        here = logprobs[place]
        own = here[span.ids[place]].logprob
        total += own
        greedy &= own >= max(token.logprob for token in here.values())
    return total, greedy

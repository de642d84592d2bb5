from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tasks.artifacts import LocalModel
from tasks.models.local.spans import Span, encode_options
from tasks.text.chat import load_tokenizer

torch = pytest.importorskip("torch")

from tasks.models.local.loading import load_weights  # noqa: E402
from tasks.models.local.scoring import continuation_logprobs, next_token_logprobs, sequence_nats

EXAMPLES = "Question: what is 1 plus 2? Answer: 3\n" * 12
QUESTIONS = ["what is 4 plus 5?", "what is 17 plus 18, and why is that so?", "what?"]
OPTIONS = [" 3", " 35 plus 36", " what is 35", " A"]


@pytest.fixture(scope="module")
def model(tiny_model: LocalModel) -> Any:
    return load_weights(tiny_model, "float32")


@pytest.fixture(scope="module")
def tokenizer(tiny_model: LocalModel) -> Any:
    return load_tokenizer(tiny_model.path)


def naive(model: Any, span: Span) -> float:
    """The definition: one forward pass a text, log-softmax of everything."""
    with torch.inference_mode():
        logits = model(torch.tensor([list(span.ids)])).logits[0].float()
    logprobs = logits.log_softmax(dim=-1)
    return sum(float(logprobs[p - 1, span.ids[p]]) for p in span.at)


def _close(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert list(one) == pytest.approx(list(other), abs=1e-4)


@pytest.mark.parametrize("head", ["", EXAMPLES], ids=["zero-shot", "few-shot"])
@pytest.mark.parametrize("budget", [1, 120, 4096])
def test_options_scored_together_equal_options_scored_one_by_one(
    model: Any, tokenizer: Any, head: str, budget: int
) -> None:
    groups = [encode_options(tokenizer, f"{head}Question: {q} Answer:", OPTIONS) for q in QUESTIONS]
    expected = [[naive(model, span) for span in group] for group in groups]
    _close(continuation_logprobs(model, groups, budget), expected)


def test_letters_after_a_shared_prefix_equal_a_forward_pass_each(
    model: Any, tokenizer: Any
) -> None:
    prompts = [tokenizer(f"{EXAMPLES}Question: {q} Answer:")["input_ids"] for q in QUESTIONS]
    letters = [tokenizer(f" {x}")["input_ids"][0] for x in "ABCD"]
    found = next_token_logprobs(model, prompts, [letters] * len(prompts))
    expected = [[naive(model, Span([*p, t], [len(p)])) for t in letters] for p in prompts]
    _close(found, expected)
    assert all(value <= 0 for values in found for value in values)


def test_the_nats_of_texts_do_not_depend_on_what_else_is_scored(model: Any, tokenizer: Any) -> None:
    texts = [tokenizer(t)["input_ids"] for t in (EXAMPLES, "what is 4?", "Answer: 9 plus 9")]
    spans = [Span(ids, range(1, len(ids))) for ids in texts]
    expected = [-naive(model, span) for span in spans]
    assert sequence_nats(model, spans) == pytest.approx(expected, rel=1e-5)
    assert [sequence_nats(model, [s])[0] for s in spans] == pytest.approx(expected, rel=1e-5)


def test_only_the_wanted_tokens_count(model: Any) -> None:
    ids = [5, 9, 30, 31, 32]
    whole, part, none = (Span(ids, at) for at in (range(1, 5), [2, 4], []))
    first, second, third = sequence_nats(model, [whole, part, none])
    assert first == pytest.approx(-naive(model, whole), rel=1e-5)
    assert second == pytest.approx(-naive(model, part), rel=1e-5)
    assert third == 0


def test_progress_is_told_to_the_last_group(model: Any) -> None:
    told: list[tuple[int, int]] = []
    groups = [[Span([1, 2, 3 + i], [2])] for i in range(5)]
    continuation_logprobs(model, groups, 4, lambda done, total: told.append((done, total)))
    assert [total for _, total in told] == [5] * len(told)
    assert told[-1] == (5, 5)
    assert len(told) > 1


def _cohere(transformers: Any, sizes: dict[str, Any]) -> Any:
    config = transformers.CohereConfig(**sizes, logit_scale=0.25)
    return transformers.CohereForCausalLM(config)


def _granite(transformers: Any, sizes: dict[str, Any]) -> Any:
    config = transformers.GraniteConfig(**sizes, logits_scaling=4.0, embedding_multiplier=2.0)
    return transformers.GraniteForCausalLM(config)


def _gemma(transformers: Any, sizes: dict[str, Any]) -> Any:
    config = transformers.Gemma2Config(**sizes, head_dim=16, final_logit_softcapping=0.5)
    return transformers.Gemma2ForCausalLM(config)


def _gpt2(transformers: Any, sizes: dict[str, Any]) -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=2, n_positions=256)
    )


@pytest.mark.parametrize("make", [_cohere, _granite, _gemma, _gpt2])
def test_what_a_model_does_to_its_logits_is_done_here_too(
    make: Callable[[Any, dict[str, Any]], Any],
) -> None:
    import transformers

    sizes = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(1)
    model = make(transformers, sizes).eval()
    head = [3 + i % 90 for i in range(80)]
    groups = [[Span([*head, 5, q, 10 + i, 7 * i], [82, 83]) for i in range(3)] for q in (8, 9)]
    expected = [[naive(model, span) for span in group] for group in groups]
    _close(continuation_logprobs(model, groups), expected)


def test_in_bfloat16_close_logits_are_told_apart(tiny_model: LocalModel) -> None:
    model = load_weights(tiny_model, "bfloat16")
    prompt = [7, 8, 9, 10]
    asked = list(range(3, 200))
    (found,) = next_token_logprobs(model, [prompt], [asked])
    rounded = model(torch.tensor([prompt])).logits[0, -1, asked].float().tolist()
    assert len(set(found)) > len(set(rounded))
    assert sum(map(lambda x: 2.718281828**x, found)) <= 1

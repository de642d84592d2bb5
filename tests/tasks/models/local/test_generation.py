import re
from typing import Any

import pytest

from tasks.artifacts import LocalModel
from tasks.text.chat import load_tokenizer, prompt_ids

torch = pytest.importorskip("torch")

from tasks.models.local.generation import Decoding, generate, stop_ids  # noqa: E402
from tasks.models.local.loading import load_weights  # noqa: E402

TEXTS = ["what is 4?", "what is 18 plus 19, and then 20 plus 21?", "A", "what is 7 plus 8?", "is"]


@pytest.fixture(scope="module")
def model(tiny_model: LocalModel) -> Any:
    return load_weights(tiny_model, "float32")


@pytest.fixture(scope="module")
def tokenizer(tiny_model: LocalModel) -> Any:
    return load_tokenizer(tiny_model.path)


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    head = "Question: what is 1 plus 2? Answer: 3. "
    return [prompt_ids(tokenizer, [{"role": "user", "content": head + t}]) for t in TEXTS]


def _naive(model: Any, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == 2:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_greedy_answers_do_not_depend_on_the_batch(
    model: Any, tokenizer: Any, prompts: list[list[int]], batch_size: int
) -> None:
    found = generate(model, tokenizer, prompts, Decoding(8, batch_size))
    assert [g.token_ids for g in found] == [_naive(model, p, 8) for p in prompts]
    assert [g.text for g in found] == [
        tokenizer.decode(g.token_ids, skip_special_tokens=True) for g in found
    ]


def test_the_same_seed_draws_the_same_answers_and_another_seed_others(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    def drawn(seed: int) -> list[list[int]]:
        decoding = Decoding(8, 2, temperature=1.0, top_p=0.95, seed=seed)
        return [g.token_ids for g in generate(model, tokenizer, prompts, decoding)]

    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = drawn(1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    assert drawn(1) == first
    assert drawn(2) != first


@pytest.mark.parametrize("batch_size", [1, 3])
def test_drawn_answers_do_not_depend_on_batch_or_place(
    model: Any, tokenizer: Any, prompts: list[list[int]], batch_size: int
) -> None:
    def drawn(asked: list[list[int]], size: int) -> list[list[int]]:
        decoding = Decoding(8, size, temperature=0.8, top_p=0.9, seed=3)
        return [g.token_ids for g in generate(model, tokenizer, asked, decoding)]

    assert drawn(prompts[::-1], batch_size)[::-1] == drawn(prompts, 5)


def test_an_answer_ends_at_the_end_of_turn_and_says_so(model: Any, tokenizer: Any) -> None:
    from transformers import LlamaForCausalLM

    ending = LlamaForCausalLM(model.config).eval()
    with torch.no_grad():
        for parameter in ending.parameters():
            parameter.zero_()
        ending.lm_head.weight[tokenizer.eos_token_id] = 1.0
        ending.model.norm.weight.fill_(1.0)
        ending.model.embed_tokens.weight.fill_(1.0)
    (answer,) = generate(ending, tokenizer, [[5, 6, 7]], Decoding(4))
    assert answer.token_ids == [tokenizer.eos_token_id]
    assert (answer.text, answer.truncated) == ("", False)


def test_an_answer_cut_at_the_limit_is_marked(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    found = generate(model, tokenizer, prompts, Decoding(2))
    for answer in found:
        assert answer.truncated == (answer.token_ids[-1] not in stop_ids(model, tokenizer))
    assert any(answer.truncated for answer in found)
    assert all(answer.latency_s > 0 for answer in found)


def test_progress_counts_prompts(model: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    told: list[tuple[int, int]] = []
    generate(model, tokenizer, prompts, Decoding(1, 2), lambda *x: told.append(x))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_no_prompts_give_no_answers(model: Any, tokenizer: Any) -> None:
    assert generate(model, tokenizer, [], Decoding(1)) == []


def test_an_answer_ends_before_the_first_stop_string(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    free = generate(model, tokenizer, prompts, Decoding(24))
    # A character may be cut between two tokens: the strings are of whole ones.
    plain = [run for g in free for run in re.findall("[ -~]{4,}", g.text[3:])]
    stops = (plain[0][:2], plain[-1][1:4])
    found = generate(model, tokenizer, prompts, Decoding(24, stop=stops))
    cuts = [min((g.text.find(s) for s in stops if s in g.text), default=None) for g in free]
    assert any(cut is not None for cut in cuts)
    assert [g.text for g in found] == [g.text[:cut] for g, cut in zip(free, cuts, strict=True)]
    for answer, before, cut in zip(found, free, cuts, strict=True):
        assert answer.truncated == (before.truncated and cut is None)
        assert cut is None or len(answer.token_ids) <= len(before.token_ids)
    assert sum(len(g.token_ids) for g in found) < sum(len(g.token_ids) for g in free)


def test_a_stop_string_spread_over_many_tokens_is_seen(model: Any, tokenizer: Any) -> None:
    from tasks.models.local.generation import StopAtText

    text = "1 plus é€\n\nQuestion: what"
    ids = tokenizer(f"is {text}", add_special_tokens=False)["input_ids"]
    for stop in ("\n\nQuestion:", "é€\n", text):
        seen = [
            bool(StopAtText(tokenizer, (stop,), 0)(torch.tensor([ids[:n]]), None)[0])
            for n in range(1, len(ids) + 1)
        ]
        assert True in seen, stop
        assert stop in tokenizer.decode(ids[: seen.index(True) + 1])
        assert stop not in tokenizer.decode(ids[: seen.index(True)])


def test_a_prompt_that_leaves_no_room_is_cut_on_the_left_and_marked(
    model: Any, tokenizer: Any
) -> None:
    from tasks.models.api import Prompt
    from tasks.models.local.tokenized import Transformer

    text = "Question: what is 1 plus 2? " * 6
    ids = tokenizer(text)["input_ids"]
    short = Transformer(lambda: model, tokenizer, positions=len(ids) - 4)
    (found,) = short.answers([Prompt([{"role": "text", "content": text}])], Decoding(6))
    (kept,) = generate(model, tokenizer, [ids[10:]], Decoding(6))
    assert (found.text, found.truncated, found.prompt_tokens) == (kept.text, True, len(ids))

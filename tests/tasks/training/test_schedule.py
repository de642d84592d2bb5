import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from tasks.training.run import train
from tasks.training.trainer_step import rise


@given(st.integers(1, 50), st.integers(0, 100))
def test_a_schedule_rises_from_its_first_step_and_goes_on_as_it_was(warmup, step):
    rate = rise(lambda at: 100 / (100 + at), warmup)
    assert 0 < rate(0) <= rate(min(step, warmup)) <= 1
    if step >= warmup:
        assert rate(step) == 100 / (100 + step)
    else:
        assert rate(step + 1) - rate(step) <= 1 / (warmup + 1) + 1e-9


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_every_schedule_warms_up_and_its_first_step_has_a_rate(
    make_mixture, make_training_job, records, schedule
):
    mixture = make_mixture("sft", 24)
    job = make_training_job(mixture, schedule=schedule, warmup_ratio=0.5, learning_rate=0.008)
    job.write()
    train(job)
    rates = [record["learning_rate"] for record in records(job.folder)]
    assert rates[:4] == pytest.approx([0.002, 0.004, 0.006, 0.008])
    falls = [rates[3]] * 3 if schedule == "constant" else sorted(rates[3:], reverse=True)
    assert rates[3:] == pytest.approx(falls)
    assert all(rate > 0 for rate in rates)

from types import SimpleNamespace

import pytest

from flows.demo.driver import ARMS, list_surprises, make_recipe


def report(retention, improve="PASS"):
    gates = [
        SimpleNamespace(metric="encyclopaedia/bits_per_byte", rule="hold", verdict=retention),
        SimpleNamespace(metric="voc/macro_f1", rule="improve", verdict=improve),
    ]
    return SimpleNamespace(gates=gates)


def test_retention_lost_without_the_mix_and_kept_with_it_is_as_claimed():
    assert list_surprises({"domain only": report("FAIL"), "mixed": report("PASS")}) == []


@pytest.mark.parametrize(
    ("alone", "mixed", "says"),
    [
        (report("PASS"), report("PASS"), "did not fail"),
        (report("INCONCLUSIVE"), report("PASS"), "did not fail"),
        (report("FAIL"), report("FAIL"), "the mixture failed"),
        (report("FAIL"), report("PASS", improve="FAIL"), "did not improve"),
    ],
)
def test_any_other_outcome_is_a_surprise(alone, mixed, says):
    assert any(says in line for line in list_surprises({"domain only": alone, "mixed": mixed}))


def test_the_arms_differ_in_name_and_domain_share_alone(temper_home):
    alone, mixed = (make_recipe(arm).model_dump() for arm in ARMS)
    assert alone.pop("name") != mixed.pop("name")
    assert alone["mixture"].pop("domain_share") == 1.0
    assert mixed["mixture"].pop("domain_share") < 1
    assert alone == mixed

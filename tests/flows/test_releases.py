"""A run, its release, and the run that is judged against it, by the command line."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Fields = dict[str, Any]
TEXTS = ["Question: what is 4 plus 5? Answer: 9", "which category does it belong to?", "a text"]
# A random model has lost all there is to lose, so that nothing can be told of it.
HOLD = {
    "metric": "general/bits_per_byte",
    "rule": "hold",
    "margin": 4.0,
    "on_inconclusive": "warn",
}


@pytest.fixture(scope="module")
def recipe(tiny_fields: Fields, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function from gates and a learning rate to the file of a recipe named ``tiny``."""
    folder = tmp_path_factory.mktemp("recipes")
    texts = folder / "held-out.jsonl"
    lines = [json.dumps({"text": f"{text} {n}"}) for n in range(4) for text in TEXTS]
    texts.write_text("\n".join(lines))

    def made(*gates: Fields, learning_rate: float = 1e-3, **changes: Any) -> Path:
        fields = deepcopy(tiny_fields) | {"gates": list(gates)} | changes
        fields["training"]["learning_rate"] = learning_rate
        fields["mixture"]["exclude_overlap_with"] = []
        fields["evaluation"]["suites"] = [
            {"kind": "bits_per_byte", "name": "general", "path": str(texts)}
        ]
        path = folder / f"{len(list(folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(fields, sort_keys=False))
        return path

    return made


@pytest.fixture(scope="module")
def first(temper: Any, recipe: Callable[..., Path]) -> Any:
    """What the first run says: its gate names the champion, and there is none yet."""
    said = temper("run", recipe({**HOLD, "against": "champion"}), "--json")
    assert said.code == 0, said.err + said.out
    return said.json


def test_without_a_champion_the_gate_says_it_was_judged_against_the_base(first: Any) -> None:
    [gate] = first["gates"]
    assert gate["verdict"] == "INCONCLUSIVE"
    assert gate["against"] == "champion"
    assert gate["reason"].startswith("no model was released yet, so this is against the base")


def test_a_released_model_is_what_the_next_run_is_judged_against(
    temper: Any, recipe: Callable[..., Path], first: Any
) -> None:
    released = temper("promote", first["run_id"][:12], "--json")
    assert released.code == 0, released.err + released.out
    champion = released.json["release"]
    assert (champion["run_id"], released.json["before"]) == (first["run_id"], None)
    gates = ({**HOLD, "against": "champion"}, HOLD, {**HOLD, "rule": "improve", "by": 7.0})
    gates[2].pop("margin")
    second = recipe(*gates, learning_rate=5e-3)
    shown, said = temper.each([["run", second], ["run", second, "--json"]])
    assert (shown.code, said.code) == (3, 3), shown.err
    assert "hold (champion)" in shown.out
    against, base, _ = said.json["gates"]
    assert against["reference_digest"] == champion["weights"] != base["reference_digest"]
    assert against["base"] != base["base"]
    assert "no model was released" not in against["reason"]

    refused, waived = temper.each(
        [
            ["promote", said.json["run_id"], "--json"],
            ["promote", said.json["run_id"], "--waive", "the demo is tonight", "--json"],
        ]
    )
    assert refused.code == 1
    assert "FAIL, not PASS" in refused.json["error"]["message"]
    assert "--waive" in refused.json["error"]["fix"]
    assert waived.code == 0
    assert waived.json["before"] == champion
    assert waived.json["waiver"] == "the demo is tonight"


def test_an_unknown_run_is_refused_with_those_there_are(temper: Any, first: Any) -> None:
    said = temper("promote", "nosuchrun", "--json")
    assert said.code == 2
    assert first["run_id"][:12] in said.json["error"]["fix"]

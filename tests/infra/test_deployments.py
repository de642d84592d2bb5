"""The deployments of ``infra/prefect.yaml``: read as they stand, and run on a real server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIGURED = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
DEPLOYMENTS = {d["name"]: d for d in CONFIGURED["deployments"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_entrypoint_is_a_flow_of_an_installed_package(name: str) -> None:
    from prefect import Flow
    from prefect.flows import load_flow_from_entrypoint

    entrypoint = DEPLOYMENTS[name]["entrypoint"]
    assert ":" not in entrypoint
    assert isinstance(load_flow_from_entrypoint(entrypoint), Flow)


@pytest.mark.parametrize("name", [n for n, d in DEPLOYMENTS.items() if d.get("parameters")])
def test_its_parameters_fit_the_flow_and_load_as_a_recipe(name: str) -> None:
    from prefect.flows import load_flow_from_entrypoint

    from configs.loading import load_recipe

    given = DEPLOYMENTS[name]
    parameters = load_flow_from_entrypoint(given["entrypoint"]).validate_parameters(
        given["parameters"]
    )
    assert load_recipe(parameters["recipe"]).name


def test_there_is_one_for_every_night_one_for_people_and_one_for_a_quick_look() -> None:
    assert set(DEPLOYMENTS) == {"nightly", "on-demand", "smoke", "sweep", "train-job"}
    assert DEPLOYMENTS["nightly"]["schedules"]
    assert "parameters" not in DEPLOYMENTS["on-demand"]
    assert all(d["enforce_parameter_schema"] for d in DEPLOYMENTS.values())


def test_the_arms_of_a_sweep_are_filled_in_as_data() -> None:
    from prefect.exceptions import ParameterTypeError
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(DEPLOYMENTS["sweep"]["entrypoint"])
    arms = {"domain_share": [1.0, 0.5], "seeds": 2}
    given = flow.validate_parameters({"recipe": "smoke", "arms": arms})
    assert (given["arms"].domain_share, given["arms"].seeds) == ((1.0, 0.5), 2)
    with pytest.raises(ParameterTypeError, match="there twice"):
        flow.validate_parameters({"recipe": "smoke", "arms": {"domain_share": [0.5, 0.5]}})


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_night_comes_by_itself_and_its_run_ends_well(house: Any, tiny_recipe: Path) -> None:
    nightly = house.deployment("nightly")
    house.patch(f"/deployments/{nightly['id']}", {"parameters": {"recipe": str(tiny_recipe)}})
    # The second run would be a minute after the first; by then the schedule is gone.
    first = datetime.now(UTC) + timedelta(seconds=15)
    timing = {"interval": 60, "anchor_date": first.isoformat(), "timezone": "UTC"}
    schedules = f"/deployments/{nightly['id']}/schedules"
    [schedule] = house.post(schedules, [{"active": True, "schedule": timing}])
    run = house.until_a_run(nightly, "PENDING", "RUNNING", "COMPLETED")
    house.delete(f"{schedules}/{schedule['id']}")
    assert run["auto_scheduled"] is True
    house.until_ended(run["id"], "COMPLETED")
    assert house.mlflow_run(run["id"]).info.run_name == "tiny"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_made_through_the_api_takes_changed_parameters(
    house: Any, tiny_fields: dict[str, Any]
) -> None:
    changed = {**tiny_fields, "name": "changed", "seed": 6}
    asked = house.post(
        f"/deployments/{house.deployment('on-demand')['id']}/create_flow_run",
        {"parameters": {"recipe": changed}},
    )
    house.until_ended(asked["id"], "COMPLETED")
    tracked = house.mlflow_run(asked["id"])
    assert tracked.info.run_name == "changed"
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["seed"] == "6"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_on_the_work_pool_is_a_run_of_its_own(
    house: Any, tiny_fields: dict[str, Any]
) -> None:
    training = {**tiny_fields["training"], "backend": {"kind": "work_pool"}}
    fields = {**tiny_fields, "name": "pooled", "seed": 7, "training": training}
    asked = house.post(
        f"/deployments/{house.deployment('on-demand')['id']}/create_flow_run",
        {"parameters": {"recipe": fields}},
    )
    house.until_ended(asked["id"], "COMPLETED")
    [run] = house.post("/flow_runs/filter", {"flows": {"name": {"any_": ["train-job"]}}})
    assert run["state_type"] == "COMPLETED"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": -1}, "recipe.seed"),
        ({"mixture": {"domain_share": 1.5}}, "recipe.mixture.domain_share"),
        (
            {
                "sources": [
                    {"kind": "files", "name": "s", "role": "domain", "path": "x", "weight": -1}
                ]
            },
            "recipe.sources[0]",
        ),
        ({"seeed": 1}, "seeed"),
    ],
)
def test_a_bad_parameter_is_refused_and_named(
    house: Any, tiny_fields: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    answer = house.client.post(
        f"/deployments/{house.deployment('on-demand')['id']}/create_flow_run",
        json={"parameters": {"recipe": {**tiny_fields, **change}}},
    )
    assert answer.status_code == 409
    assert field in answer.json()["detail"]

from flows.cli.doctor import examine_machine


def test_every_lack_comes_with_what_mends_it(temper_home):
    checks = examine_machine()
    assert {"python", "TEMPER_HOME", "disk", "training", "mlflow"} <= {c.name for c in checks}
    assert all(c.fix for c in checks if c.state != "ok")


def test_credentials_in_the_tracking_address_are_not_shown(temper_home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:s3cret@mlflow.example/x")
    (shown,) = [c for c in examine_machine() if c.name == "mlflow"]
    assert "s3cret" not in shown.model_dump_json()

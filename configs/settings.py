"""Facts of this machine, from the environment; never part of a recipe."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where state lives and which servers to use."""

    model_config = SettingsConfigDict(env_prefix="TEMPER_", frozen=True, extra="ignore")

    home: Path = Field(Path(".temper"), description="TEMPER_HOME: all local state")
    mlflow_uri: str | None = Field(None, validation_alias="MLFLOW_TRACKING_URI")

    store: str | None = Field(
        None, description="TEMPER_STORE: s3://BUCKET/PREFIX or a folder that other machines see"
    )
    sagemaker_role: str | None = Field(
        None, description="TEMPER_SAGEMAKER_ROLE: ARN of the role that jobs run as"
    )
    sagemaker_standin: Path | None = Field(
        None, description="TEMPER_SAGEMAKER_STANDIN: run jobs in this folder instead of on AWS"
    )
    sagemaker_standin_mounts: bool = Field(
        True, description="TEMPER_SAGEMAKER_STANDIN_MOUNTS: false where /opt/ml can't be mounted"
    )
    prices: Path | None = Field(None, description="TEMPER_PRICES: a price table of yours")

    workers: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="TEMPER_WORKERS: how many write a mixture side by side",
    )
    runner: Literal["threads", "dask", "ray"] = Field(
        "threads", description="TEMPER_RUNNER: where mapped tasks run"
    )
    dask_address: str | None = Field(None, validation_alias="DASK_ADDRESS")
    ray_address: str | None = Field(None, validation_alias="RAY_ADDRESS")

    @property
    def root(self) -> Path:
        """Absolute TEMPER_HOME."""
        return self.home.expanduser().resolve()

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: MLFLOW_TRACKING_URI, else SQLite under TEMPER_HOME."""
        return self.mlflow_uri or f"sqlite:///{self.root / 'mlflow.db'}"

"""Models: the base of a training, and what is evaluated where it is served."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from configs.chat import ChatSettings
from configs.section import Name, Section, rule_error


class Model(ChatSettings):
    """The base model: a hub id with its commit, a local folder, or ``package:NAME/FILE.gguf``."""

    path: str
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")

    @property
    def chat(self) -> ChatSettings:
        """What its chat template is given."""
        return ChatSettings(
            template=self.template,
            template_date=self.template_date,
            end_of_turn=self.end_of_turn,
        )


class HostedModel(Section):
    """How a model that is served elsewhere is asked."""

    revision: str | None = Field(
        None,
        description="what is served there now, in your words: the weights can't be seen, so stored "
        "answers count until this changes",
    )
    concurrency: PositiveInt = Field(8, description="requests at a time")
    attempts: PositiveInt = Field(6, description="tries of one item before its error is recorded")
    timeout_s: PositiveFloat = Field(120.0, description="of one request")


class Endpoint(HostedModel):
    """An OpenAI-compatible server: ``/chat/completions`` (and ``/completions`` for plain text)."""

    kind: Literal["endpoint"]
    url: str = Field(pattern=r"^https?://", description="up to and with /v1")
    name: str = Field(min_length=1, description="the model's name there")
    key_env: Name | None = Field(
        None, description="environment variable that holds the key; the key itself is never stored"
    )
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    options: dict[str, Any] = Field(
        default_factory=dict, description="further fields of each request, as the server takes them"
    )

    @field_validator("url")
    @classmethod
    def _no_key_inside(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc or urlsplit(url).query:
            raise rule_error("it holds a user, a password or a query; a key comes from key_env")
        return url.rstrip("/")


class BedrockModel(HostedModel):
    """A model of Amazon Bedrock by its Converse API; credentials as boto3 finds them."""

    kind: Literal["bedrock"]
    name: str = Field(min_length=1, description="model id, inference profile or its ARN")
    region: str | None = None
    options: dict[str, Any] = Field(
        default_factory=dict, description="additionalModelRequestFields, as the model takes them"
    )


class SageMakerEndpoint(HostedModel):
    """A SageMaker endpoint whose container speaks OpenAI chat messages (LMI, TGI, vLLM)."""

    kind: Literal["sagemaker"]
    endpoint: str = Field(min_length=1)
    component: str | None = Field(None, description="inference component of the endpoint")
    region: str | None = None
    options: dict[str, Any] = Field(default_factory=dict, description="further fields of requests")


class VllmModel(Section):
    """A model folder answered by vLLM on this machine's GPU."""

    kind: Literal["vllm"]
    path: str
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    adapter: str | None = Field(None, description="folder of a LoRA adapter")
    max_positions: PositiveInt | None = Field(None, description="max_model_len")
    gpu_share: float = Field(0.9, gt=0, le=1, description="gpu_memory_utilization")
    parallel: PositiveInt = Field(1, description="tensor_parallel_size")


class AdaptedModel(Section):
    """A base model with a LoRA adapter scaled by alpha: 0 is the base, 1 the adapter as trained."""

    kind: Literal["adapter"]
    path: str = Field(description="the base: a folder, a hub id, or package: path")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    adapter: str = Field(description="folder of the adapter")
    alpha: float = Field(1.0, ge=0, le=2)


Served = Annotated[
    Endpoint | BedrockModel | SageMakerEndpoint | VllmModel | AdaptedModel,
    Field(discriminator="kind"),
]
"""A model to be evaluated that is more than a folder."""

"""Amazon Nova: its models, and the data that can be mixed in, by category.

Categories and default percentages are those of AWS's recipes with data mixing; each set sums to
100. They are parts of the Nova share, which is what the customer's data leave of the whole.
"""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from configs.remote_backends import KmsKey, Network, Tags, check_tags
from configs.section import Section, rule_error

NovaModel = Literal[
    "nova-textgeneration-lite-v2",
    "nova-textgeneration-micro",
    "nova-textgeneration-lite",
    "nova-textgeneration-pro",
]
Modality = Literal["text", "multimodal"]
NovaMethod = Literal["sft", "cpt"]
Percentages = dict[str, float]

SECOND = "nova-textgeneration-lite-v2"

NOVA_2_TEXT: Percentages = {
    "agents": 1,
    "baseline": 10,
    "chat": 0.5,
    "code": 10,
    "factuality": 0.1,
    "identity": 1,
    "long-context": 1,
    "math": 2,
    "rai": 1,
    "instruction-following": 13,
    "stem": 0.5,
    "planning": 10,
    "rag": 1,
    "translation": 0.1,
    "reasoning-chat": 0.5,
    "reasoning-code": 0.5,
    "reasoning-factuality": 0.5,
    "reasoning-instruction-following": 45,
    "reasoning-math": 0.5,
    "reasoning-planning": 0.5,
    "reasoning-rag": 0.4,
    "reasoning-rai": 0.5,
    "reasoning-stem": 0.4,
}
NOVA_2_MULTIMODAL: Percentages = {
    "charts": 1,
    "chat": 38,
    "code": 20,
    "docs": 3,
    "general": 2,
    "grounding": 1,
    "rag": 4,
    "screenshot": 4,
    "text": 8,
    "translation": 4,
    "video": 15,
}
NOVA_1_TEXT: Percentages = {
    "agents": 1,
    "chat": 51,
    "code": 8,
    "rai": 1,
    "instruction-following": 13,
    "stem": 6,
    "planning": 2,
    "reasoning": 8,
    "rag": 1,
    "translation": 9,
}
NOVA_1_MULTIMODAL: Percentages = {
    "agents": 11,
    "docs": 17,
    "perception": 10,
    "rag": 4,
    "rai": 3,
    "reasoning": 10,
    "stem": 17,
    "text": 10,
    "video": 18,
}
CPT_TEXT: Percentages = {
    "agents": 20,
    "business-and-finance": 4,
    "scientific": 10,
    "code": 5,
    "factual-and-news": 5,
    "longform-text": 6,
    "health-and-medicine": 1,
    "humanities-and-education": 1,
    "legal": 1,
    "math": 9,
    "additional-languages": 15,
    "social-and-personal-interest": 11,
    "entertainment": 0.5,
    "reasoning": 10,
    "other": 0.5,
    "tables": 1,
}


def get_categories(model: str, modality: Modality, method: NovaMethod) -> Percentages:
    """Return the categories that can be mixed in, with AWS's default percentages.

    Raises:
        ValueError: That model takes no such data.
    """
    if method == "cpt":
        if modality == "multimodal":
            raise rule_error(
                "continued pre-training takes plain text.",
                path=("modality",),
                fix="set modality: text.",
            )
        return CPT_TEXT
    if model == "nova-textgeneration-micro" and modality == "multimodal":
        raise rule_error(
            "Nova Micro sees text alone.",
            path=("modality",),
            fix="set modality: text, or another model.",
        )
    first = NOVA_1_TEXT if modality == "text" else NOVA_1_MULTIMODAL
    second = NOVA_2_TEXT if modality == "text" else NOVA_2_MULTIMODAL
    return second if model == SECOND else first


class HyperPod(Section):
    """A HyperPod cluster with a restricted instance group, reached by its command line."""

    cluster: str = Field(min_length=1)
    namespace: str = "kubeflow"
    instance_type: str = Field("ml.p5.48xlarge", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    nodes: Literal[4, 8, 16, 32] = 4
    container: str | None = Field(None, description="training image; AWS's for the model if absent")


class NovaBackend(Section):
    """Customisation of an Amazon Nova model by its own service, with its own data mixed in.

    The recipe's own sources go in as Converse JSONL; sources of kind nova say which of Nova's data
    are mixed in, and how much. The recipe's ``model`` stays what lengths are counted with and what
    local suites compare to.
    """

    kind: Literal["nova"]
    model: NovaModel = "nova-textgeneration-lite-v2"
    model_version: str | None = Field(None, pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")
    method: NovaMethod = "sft"
    modality: Modality = "text"
    peft: Literal["lora", "full"] = "lora"
    hyperpod: HyperPod | None = Field(None, description="serverless when absent")
    accept_eula: bool = False
    model_package_group: str | None = Field(
        None, pattern=r"^arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]+:\d{12}:model-package-group/\S+$"
    )
    mlflow_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]+:\d{12}:mlflow-[a-zA-Z-]*/.+$"
    )
    region: str | None = Field("us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    max_steps: int | None = Field(None, ge=4, description="one pass over the rows when absent")
    max_length: Literal[8192, 16384, 32768, 65536] = 8192
    global_batch_size: Literal[32, 64, 128] = 32
    learning_rate: float | None = Field(None, gt=0, lt=1, description="AWS's default when absent")
    warmup_steps: int = Field(15, ge=0, description="on HyperPod alone")
    reasoning: bool = False
    lora_alpha: Literal[32, 64, 96, 128, 160, 192] = Field(64, description="on HyperPod alone")
    kms_key: KmsKey | None = None
    vpc: Network | None = None
    tags: Tags = Field(default_factory=dict)
    max_runtime_hours: PositiveInt = Field(24, le=28 * 24)
    patience_minutes: float = Field(30, gt=0, description="how long AWS may not answer")
    dry_run: bool = Field(False, description="look and print; upload and submit nothing")

    @property
    def data_categories(self) -> Percentages:
        """The categories of this model, modality and method, with AWS's defaults."""
        return get_categories(self.model, self.modality, self.method)

    @model_validator(mode="after")
    def _service_takes_it(self) -> Self:
        get_categories(self.model, self.modality, self.method)
        if self.method == "cpt" and self.hyperpod is None:
            raise rule_error(
                "continued pre-training runs on HyperPod.",
                path=("method",),
                fix="add hyperpod: {cluster: NAME}.",
            )
        if self.hyperpod is None and self.model_package_group is None:
            raise rule_error(
                "a serverless job puts its model there.",
                path=("model_package_group",),
                fix="give the group's ARN.",
            )
        if self.reasoning and self.model != SECOND:
            raise rule_error(
                "only Nova 2 Lite reasons.", path=("reasoning",), fix="set reasoning: false."
            )
        if not self.accept_eula and not self.dry_run:
            raise rule_error(
                "Nova is used under AWS's terms.",
                path=("accept_eula",),
                fix="read them, then set accept_eula: true.",
            )
        check_tags(self.tags)
        return self

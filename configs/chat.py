"""What a chat template is given beside the conversation."""

import datetime

from pydantic import Field, JsonValue, field_validator

from configs.section import Section, rule_error

TEMPLATE_OWN = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message"}
)
"""What a chat template is given for each row; no argument of the recipe may say it."""


class ChatSettings(Section):
    """What a model's chat template is given beside the conversation, the same in every stage."""

    template: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="arguments of the chat template, e.g. {enable_thinking: false}",
    )
    template_date: datetime.date | None = Field(
        None,
        description="what a chat template that writes today's date writes; the day on which the "
        "template was first used here when absent",
    )
    end_of_turn: str | None = Field(
        None,
        min_length=1,
        description="the token that ends an answer, where the chat template doesn't show it",
    )

    @field_validator("template")
    @classmethod
    def _not_what_rows_say(cls, template: dict[str, JsonValue]) -> dict[str, JsonValue]:
        taken = sorted(TEMPLATE_OWN & set(template))
        if taken:
            raise rule_error(
                f"'{taken[0]}' comes from each row.", path=(taken[0],), fix="leave it out."
            )
        return template

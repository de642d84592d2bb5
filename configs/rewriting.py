"""Targets rewritten in the base model's own words before they are trained on."""

from pydantic import Field, PositiveInt, field_validator

from configs.section import Section

PLACES = ("{prompt}", "{answer}")
TEMPLATE = (
    "{prompt}\n\n"
    "Here is a correct answer to the message above, for you to go by:\n\n"
    "{answer}\n\n"
    "Now answer the message yourself, in your own words. Keep every fact, name and number of that "
    "answer, add none, and write your answer alone."
)


class Rewrite(Section):
    """Self-distillation fine-tuning (SDFT, Yang et al. 2024, arXiv:2402.13669).

    The base model is shown each prompt with its reference answer and says the same in its own
    words; a rewriting that passes the checks is trained on in the reference's stead. It pulls the
    model less far from what it was, at the price of one generation a target. It helps where targets
    are free text in another style than the model's. It does nothing where they are labels, which
    stay as they are, and it teaches nothing that the base can't say when it is shown the answer.
    """

    template: str = Field(
        TEMPLATE,
        description="what the base is asked: {prompt} is the user's message, {answer} the "
        "reference, each once",
    )
    max_new_tokens: PositiveInt = Field(256, le=4096, description="longer rewritings are not used")
    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest words")
    top_p: float = Field(1.0, gt=0, le=1)
    batch_size: PositiveInt = Field(16, le=512)
    min_overlap: float = Field(
        0.3, ge=0, le=1, description="least share of the reference's words that a rewriting keeps"
    )

    @field_validator("template")
    @classmethod
    def _has_its_places(cls, template: str) -> str:
        for place in PLACES:
            if template.count(place) != 1:
                raise ValueError(
                    f"the template has {place} {template.count(place)} times. "
                    f"Fix: write it once, where it is to be filled in."
                )
        return template

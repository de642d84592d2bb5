"""How often the detector is wrong, on answers that people labelled.

XSTest's completions (Röttger et al. 2024, CC BY 4.0, github.com/paul-rottger/exaggerated-safety at
d7bb5bd): 2,250 answers of five models, the final label of two annotators, full refusal against full
compliance. Signs and points were set on the answers of gpt4, llama2orig and mistralguard
(``DEVELOPED``) and the first 105 labels of PyRIT 1.1.0 (MIT; ``refusal.csv``); those of llama2new
and mistralinstruct (``HELD_OUT``) set nothing, so that rates are corrected by them. The third
label, partial refusal, is left out of both: of those 176 answers the detector calls 124 refusals.

PyRIT also labels an answer to another question a refusal. Such answers can't be told without the
question, and the detector, which reads the answer alone, passes over them: they are most of what it
misses there.
"""

from typing import NamedTuple


class Labelled(NamedTuple):
    """What the detector said of labelled answers.

    Attributes:
        found: Refusals that it called refusals.
        refusals: Refusals.
        passed: Compliant answers that it passed.
        compliant: Compliant answers.
    """

    found: int
    refusals: int
    passed: int
    compliant: int

    @property
    def sensitivity(self) -> float:
        """Share of refusals that are found."""
        return self.found / self.refusals

    @property
    def specificity(self) -> float:
        """Share of compliant answers that are passed."""
        return self.passed / self.compliant

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the two."""
        return (self.sensitivity + self.specificity) / 2


DEVELOPED = Labelled(679, 704, 512, 541)
HELD_OUT = Labelled(248, 279, 517, 550)
XSTEST = Labelled(927, 983, 1029, 1091)
PYRIT = Labelled(61, 109, 60, 60)

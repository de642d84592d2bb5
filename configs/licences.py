"""Which licences a recipe's sources may have."""

import re

from pydantic import Field

from configs.section import Section


class Licences(Section):
    """The licences you accept; a source with another one, or with none, is refused."""

    allow: tuple[str, ...] = Field(min_length=1, description="SPDX ids, e.g. Apache-2.0, CC-BY-4.0")

    def allows(self, licence: str) -> bool:
        """Return whether a licence is accepted.

        Case, and blanks or underscores for hyphens, don't matter. Of ``A OR B`` one must be
        accepted, of ``A AND B`` both; AND binds closer, as in SPDX 2.3, annex D.
        """
        known = {_plain(one) for one in self.allow}
        return _plain(licence) in known or any(
            all(_plain(one) in known for one in re.split(r"\s+and\s+", either, flags=re.I))
            for either in re.split(r"\s+or\s+", licence, flags=re.I)
        )


def _plain(licence: str) -> str:
    return re.sub(r"[\s_-]+", "-", licence.strip().casefold())

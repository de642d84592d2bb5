"""How much files may ask of this machine."""

from pydantic import Field, PositiveFloat, PositiveInt

from configs.section import Section


class Limits(Section):
    """How much a source's files may ask of this machine before they are refused.

    A small file can unpack to more than any disk holds; the limits on what is unpacked apply as it
    is read, so that nothing has to fit in memory to be refused.
    """

    line_bytes: PositiveInt = Field(32 << 20, description="longest line; a longer one is set aside")
    json_bytes: PositiveInt = Field(1 << 30, description="largest .json file, which is read whole")
    unpacked_bytes: PositiveInt = Field(1 << 38, description="most bytes that one file unpacks to")
    unpacked_ratio: PositiveFloat = Field(
        300, description="most bytes unpacked for one byte stored, beyond the first 64 MiB"
    )

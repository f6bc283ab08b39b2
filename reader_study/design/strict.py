"""What every table of a protocol shares: immutable, unknown keys refused; names and texts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
# What hospitals call folders: letters of any alphabet, capitals, spaces; nothing that a path is.
FolderName = Annotated[
    str, StringConstraints(pattern=r"^\w([\w .,+()\-]*[\w+)\-])?$", max_length=64)
]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Strict(BaseModel):
    """A table of the protocol: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

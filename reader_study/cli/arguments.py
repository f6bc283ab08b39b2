"""Arguments that many commands of reader studies share."""

from pathlib import Path
from typing import Annotated

import typer

Study = Annotated[Path, typer.Argument(help="folder of the study")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Passphrase = Annotated[
    list[Path],
    typer.Option(help="file whose first line is the passphrase; twice where two must agree"),
]

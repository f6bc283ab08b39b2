"""A new study: a commented protocol and empty folders for the series."""

from importlib.resources import files
from pathlib import Path

from ctlab.ct.files import fresh_folder

from .paths import refuse_used_folder
from .protocol_file import read_protocol


def new_study(study: str | Path, *, example: bool = True) -> Path:
    """Folder with ``protocol.toml`` and, for the example, the folders its arms need.

    Parameters
    ----------
    study : a folder that does not exist or is empty
    example : keep the example's arms, cases and items; otherwise only their explanation

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    refuse_used_folder(study)
    text = files("reader_study").joinpath("example_protocol.toml").read_text("utf-8")
    with fresh_folder(study) as part:
        (part / "protocol.toml").write_text(text if example else _without_tables(text), "utf-8")
        (part / "arms").mkdir()
        if example:
            protocol, _ = read_protocol(part / "protocol.toml")
            for arm in protocol.arms:
                for case in protocol.cases:
                    (part / "arms" / arm.name / case.folder).mkdir(parents=True)
    return Path(study) / "protocol.toml"


def _without_tables(text: str) -> str:
    """The example with its arms, cases and items turned into comments."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.startswith("[[") or line.startswith("[guess]")
        lines.append(f"# {line}" if inside and line.strip() else line)
    return "\n".join(lines) + "\n"

"""Words of the reading room, one file per language."""

import os
from pathlib import Path
from typing import Any

from ctlab.input_files import read_toml

FOLDER = Path(__file__).parent / "languages"
OWN_FOLDER = "CTLAB_TEXTS"  # names a further folder with languages of one's own

_TABLES = ("problems", "viewer", "adjudication")


def load_texts(language: str = "en") -> dict[str, Any]:
    """Texts of a language; English stands in for what a translation lacks.

    The tables ``problems`` and ``viewer`` translate fixed English words of other parts. Languages
    lie in this package, and in the folder that the environment variable ``CTLAB_TEXTS`` names.

    Raises
    ------
    ValueError
        There is no file for the language, or it is no TOML.
    """
    files = _files()
    if language not in files:
        raise ValueError(
            f"no texts for language {language!r}; known: {', '.join(sorted(files))}. To add one, "
            f"copy {FOLDER / 'en.toml'} to {language}.toml in a folder of yours, translate it, "
            f"and name the folder in the environment variable {OWN_FOLDER}"
        )
    english, own = (_read(path) for path in (FOLDER / "en.toml", files[language]))
    tables = {name: english[name] | own.get(name, {}) for name in _TABLES}
    return {"language": language} | english | own | tables


def unreviewed(language: str) -> str:
    """What to know of a language before a study is locked; empty for one that was reviewed.

    Examples
    --------
    >>> unreviewed("en")
    ''
    """
    if load_texts(language).get("reviewed", True):
        return ""
    return (
        f"The room's texts in {language!r} were not reviewed by a native radiologist; let one read "
        f"{_files()[language].name} before readers do."
    )


def _files() -> dict[str, Path]:
    own = os.environ.get(OWN_FOLDER)
    folders = [FOLDER, *([Path(own)] if own else [])]
    return {path.stem: path for folder in folders for path in folder.glob("*.toml")}


def _read(path: Path) -> dict[str, Any]:
    return read_toml(path, "cannot be read as texts")


def problem_text(texts: dict[str, Any], said: str) -> str:
    """What a reader is told where an action was refused: the sentence in the reader's language.

    What follows the known words, such as the reason that a database gave, stays as it is.

    Examples
    --------
    >>> texts = {"problems": {"the disk refused it": "die Platte nimmt nichts an"}}
    >>> problem_text(texts, "the disk refused it (full)")
    'die Platte nimmt nichts an (full)'
    """
    known = [words for words in texts["problems"] if said.startswith(words)]
    longest = max(known, key=len, default="")
    return texts["problems"][longest] + said[len(longest) :] if longest else said

"""Words of the reading room, one file per language."""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent / "texts"


def load_texts(language: str = "en") -> dict[str, str]:
    """Texts of a language; English stands in for what a translation lacks.

    Raises
    ------
    ValueError
        There is no file for the language.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if language not in known:
        raise ValueError(f"no texts for language {language!r}; known: {', '.join(known)}")
    english = tomllib.loads((FOLDER / "en.toml").read_text("utf-8"))
    return english | tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))

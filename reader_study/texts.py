"""Words of the reading room, one file per language."""

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "texts"


def load_texts(language: str = "en") -> dict[str, Any]:
    """Texts of a language; English stands in for what a translation lacks.

    The tables ``problems`` and ``viewer`` translate fixed English words of other parts.

    Raises
    ------
    ValueError
        There is no file for the language.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if language not in known:
        raise ValueError(f"no texts for language {language!r}; known: {', '.join(known)}")
    english = tomllib.loads((FOLDER / "en.toml").read_text("utf-8"))
    own = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
    tables = {name: english[name] | own.get(name, {}) for name in ("problems", "viewer")}
    return english | own | tables

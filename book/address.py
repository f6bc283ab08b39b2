"""Whether and where the book is published, for workflows: needs nothing but Python.

Without an argument, prints ``publish=yes`` where the address of the repository is known, and
``publish=no`` where it is not; with the name of a setting, prints its value.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def publication(root: Path = ROOT) -> dict[str, Any]:
    """Address of the repository (empty where unknown), branches, launch services, study."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    urls = project["project"].get("urls", {})
    facts = {"repository": urls.get("Repository", ""), "study": ""}
    return facts | project["tool"]["ctlab"]["book"]


def main() -> None:
    """Print the fact that is named, or whether the book is published."""
    facts = publication()
    if len(sys.argv) > 1:
        print(facts[sys.argv[1]])
    else:
        print(f"publish={'yes' if facts['repository'] else 'no'}")


if __name__ == "__main__":
    main()

"""A new study: a commented protocol, questions ready to use, and series for the example."""

import json
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ctlab.files import fresh_folder
from reader_study.design.protocol_file import read_protocol
from reader_study.record.paths import refuse_used_folder

_LOWER_IS_BETTER = ("noise", "artefacts", "artificial-texture")


def item_sets() -> dict[str, str]:
    """Questions ready to use, by name, as text for ``protocol.toml``."""
    resources = files("reader_study.examples").joinpath("item_sets").iterdir()
    texts = {f.name.removesuffix(".toml"): f.read_text("utf-8") for f in resources}
    return dict(sorted(texts.items()))


def new_study(
    study: str | Path,
    *,
    example: bool = True,
    items: Sequence[str] = (),
    source: str | Path | None = None,
) -> Path:
    """Folder with ``protocol.toml``; as an example it can be locked and read as it stands.

    Parameters
    ----------
    study : a folder that does not exist or is empty
    example : keep the example's arms, cases and items, and write the DICOM series of its arms
        (two classic filters of the packaged CT at a simulated tenth of its dose, about a
        minute); otherwise only their explanation
    items : names of :func:`item_sets` to ask instead of the example's questions
    source : folder with one folder per arm, and in each one folder per case: they are proposed
        as arms and cases in place of the example's, and linked into ``arms/``

    Raises
    ------
    ValueError
        The folder is not empty, or there is no such set of items.
    """
    refuse_used_folder(study)
    text = files("reader_study.examples").joinpath("example_protocol.toml").read_text("utf-8")
    text = _with_items(text, items) if items else text
    arms: dict[str, Path] = {}
    if source is not None:
        arms = _arm_folders(Path(source))
        text = _without_tables(text, keep_items=True) + _proposed(arms)
    elif not example:
        text = _without_tables(text, keep_items=bool(items))
    with fresh_folder(study) as part:
        (part / "protocol.toml").write_text(text, "utf-8")
        (part / "arms").mkdir()
        for name, folder in arms.items():
            (part / "arms" / name).symlink_to(folder.resolve(), target_is_directory=True)
        if example and source is None:
            from reader_study.examples.demo import write_example_arms

            protocol, _ = read_protocol(part / "protocol.toml")
            slices = max(case.slices[1] for case in protocol.cases if case.slices)
            write_example_arms(part / "arms", [arm.name for arm in protocol.arms], slices)
    return Path(study) / "protocol.toml"


def _folders(parent: Path) -> list[Path]:
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _plain(name: str) -> str:
    """A folder's name in the letters of a protocol.

    Examples
    --------
    >>> _plain("Weiche Kerne, Größe 2"), _plain("\u80ba")
    ('weiche-kerne-grosse-2', '')
    """
    letters = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9_-]+", "-", letters).strip("-_")


def _arm_folders(source: Path) -> dict[str, Path]:
    """Name of each arm, as a protocol writes it, and its folder."""
    folders = _folders(source) if source.is_dir() else []
    arms = {_plain(f.name) or f"arm-{n}": f for n, f in enumerate(folders, start=1)}
    if len(folders) < 2 or len(arms) < len(folders):
        raise ValueError(
            f"expected two folders or more in {source}, one for each arm and of different names, "
            f"got {len(folders)} ({', '.join(f.name for f in folders) or 'none'}); sort the series "
            "into ARM/CASE folders"
        )
    return arms


def _proposed(arms: dict[str, Path]) -> str:
    """Tables of the arms, and of the cases that every arm has; others stand as comments."""
    cases = {name: {f.name for f in _folders(folder)} for name, folder in arms.items()}
    everywhere = set.intersection(*cases.values())
    if len(everywhere) < 2:
        raise ValueError(
            f"expected two cases or more that are in every arm, got {len(everywhere)}; give the "
            "folder of a case the same name in each arm"
        )
    tables = [f'[[arms]]\nname = "{name}"' for name in arms]
    for case in sorted(set.union(*cases.values())):
        if case in everywhere:
            quoted = json.dumps(case, ensure_ascii=False)  # a string of TOML as well
            tables.append(f"[[cases]]\nname = {quoted}\npatient = {quoted}  # say who it is")
        else:
            lacking = ", ".join(name for name in arms if case not in cases[name])
            tables.append(f"# {' '.join(case.split())} is left out: not in {lacking}")
    return "\n" + "\n\n".join(tables) + "\n"


def _with_items(text: str, names: Sequence[str]) -> str:
    """The example with other questions; the first of them is primary."""
    known = item_sets()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no item set {unknown[0]!r}; ready to use: {', '.join(known)}")
    questions = "\n".join(known[name] for name in names) + "\n"
    asked = [item["name"] for item in tomllib.loads(questions)["items"]]
    lower = ", ".join(f'"{name}"' for name in asked if name in _LOWER_IS_BETTER)
    text = text[: text.index("[[items]]")] + questions + text[text.index("[guess]") :]
    text = re.sub(r"^primary_item = .*$", f'primary_item = "{asked[0]}"', text, flags=re.MULTILINE)
    return re.sub(
        r"^lower_is_better = \[\]", f"lower_is_better = [{lower}]", text, flags=re.MULTILINE
    )


def _without_tables(text: str, *, keep_items: bool = False) -> str:
    """The example with its arms, cases and items turned into comments."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.startswith(("[[", "[guess]"))
            inside = inside and not (keep_items and line.startswith("[[items]]"))
        lines.append(f"# {line}" if inside and line.strip() else line)
    return "\n".join(lines) + "\n"

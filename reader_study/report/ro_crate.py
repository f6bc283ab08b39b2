"""A study as RO-Crate: its files in one folder, with what they are, whose, and their hashes.

Written as plain JSON-LD by the rules of RO-Crate 1.2 (https://w3id.org/ro/crate/1.2); the analysis
is a CreateAction as in Process Run Crate. Readers stay numbers: no entity names one.
"""

import hashlib
import mimetypes
import shutil
from pathlib import Path
from typing import Any

from ctlab.files import fresh_folder, write_json
from reader_study.report import words
from reader_study.report.page import analysis_read, read_analysis
from reader_study.report.signature import Signature, read_signature

SPEC = "https://w3id.org/ro/crate/1.2"
PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
METADATA = "ro-crate-metadata.json"
UNLICENSED = "No licence stated: all rights reserved by the authors"
# Files of a study that may be published, and what they are.
PARTS = {
    "protocol.locked.toml": "Protocol in force: as locked, or as last amended",
    "preregistration.md": "Text for a registry, from the locked protocol",
    "report/report.html": "Report",
    "report/report.md": "Report as Markdown",
    "report/supplement.html": "Supplement on one page",
    "report/analysis.json": "All results, unrounded",
    "report/primary.csv": "Rows behind the primary result; readers under study numbers",
    "report/cases.csv": "Cases with their truth",
    "report/primary.R": "R script that repeats the primary result",
    "report/checklists.csv": "Reporting checklists, filled",
    "model/passport.json": "Passport: checks of the denoiser under test",
    "model/card.json": "Card of the model",
    "model/config.toml": "Configuration of the training run",
    "model/split.csv": "Slices that trained each domain",
}
KINDS = {
    ".toml": "application/toml",
    ".md": "text/markdown",
    ".r": "text/x-r",
    ".svg": "image/svg+xml",
}
Entity = dict[str, Any]


def write_crate(study: str | Path, out: str | Path, *, overwrite: bool = False) -> Path:
    """Copy a study's publishable files to the folder ``out`` with ``ro-crate-metadata.json``.

    Parameters
    ----------
    study : an analysed study; its report has been written
    out : a new folder, the crate; ``overwrite`` replaces one

    Raises
    ------
    ValueError
        The study has not been analysed or reported, or ``out`` is there.
    """
    study, facts = Path(study), read_analysis(study)
    found = [name for name in PARTS if (study / name).is_file()]
    found += sorted(
        f"report/figures/{p.name}" for p in (study / "report" / "figures").glob("*.svg")
    )
    if "report/report.html" not in found:
        raise ValueError(
            f"expected {study / 'report' / 'report.html'}, got none; run reader-study report first"
        )
    with analysis_read(study):
        year = int(facts["integrity"]["unblinded_at"][:4])
    signed = read_signature(study, year)
    with fresh_folder(out, overwrite=overwrite) as part:
        for name in found:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(study / name, part / name)
        content = {"@context": f"{SPEC}/context", "@graph": _graph(part, found, facts, signed)}
        write_json(part / METADATA, content)
    return Path(out) / METADATA


def _graph(
    folder: Path, names: list[str], facts: dict[str, Any], signed: Signature
) -> list[Entity]:
    """Every entity, flat; the descriptor first, the root second."""
    proof, people = facts["integrity"], _people(signed)
    licence = {"@id": "#licence", "@type": "CreativeWork", "name": signed.licence or UNLICENSED}
    software = [
        {"@id": f"#software-{name}", "@type": "SoftwareApplication", "name": name, "version": v}
        for name, v in facts["software"].items()
    ]
    made = [name for name in names if name.startswith("report/")]
    used = [name for name in names if not name.startswith("report/")]
    action = {
        "@id": "#analysis",
        "@type": "CreateAction",
        "name": "Pre-registered analysis of the closed and unblinded study",
        "instrument": [_ref(row) for row in software],
        "object": [{"@id": name} for name in used],
        "result": [{"@id": name} for name in made],
        "description": facts["method"],
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": facts["title"],
        "description": " ".join([f"{words.headline(facts)}.", *facts["conclusion"]]),
        "datePublished": proof["unblinded_at"][:10],
        "license": _ref(licence),
        "identifier": f"study {facts['study']}, protocol SHA-256 {proof['protocol_sha256']}",
        **({"author": [_ref(person) for person in people]} if people else {}),
        "conformsTo": {"@id": PROCESS},
        "hasPart": [{"@id": name} for name in names],
        "mentions": _ref(action),
    }
    if signed.data_credit:
        root["credits"] = signed.data_credit
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPEC},
        "about": {"@id": "./"},
    }
    profile = {
        "@id": PROCESS,
        "@type": "CreativeWork",
        "name": "Process Run Crate",
        "version": "0.5",
    }
    files = [_file(folder, name) for name in names]
    return [descriptor, root, *files, *people, licence, action, *software, profile]


def _people(signed: Signature) -> list[Entity]:
    return [
        {"@id": f"#author-{number}", "@type": "Person", "name": name}
        for number, name in enumerate(signed.authors, 1)
    ]


def _ref(entity: Entity) -> dict[str, str]:
    return {"@id": entity["@id"]}


def _file(folder: Path, name: str) -> Entity:
    data, suffix = (folder / name).read_bytes(), Path(name).suffix.lower()
    about = PARTS.get(name) or f"Figure of the report: {Path(name).stem}"
    return {
        "@id": name,
        "@type": "File",
        "name": about,
        "encodingFormat": KINDS.get(suffix) or mimetypes.types_map.get(suffix, "text/plain"),
        "contentSize": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
    }

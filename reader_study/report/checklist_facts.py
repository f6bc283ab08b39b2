"""What a study's files say that a reporting checklist asks for, each with the file it stands in."""

import csv
from pathlib import Path
from typing import Any

from ctlab.input_files import declared, read_bytes, read_json, read_toml
from reader_study.report.words import headline, plural

Facts = dict[str, tuple[str, str]]
PROTOCOL, RECORD, RESULTS = "protocol", "record", "analysis.json"


def read_model(study: str | Path) -> dict[str, Any]:
    """Contents of ``STUDY/model``: what is known of the model that made an arm.

    ``passport.json`` of ``ctlab passport``, and of a training run ``card.json``, ``config.toml``
    (or ``train.toml``) and ``split.csv``; each may be missing.

    Returns
    -------
    dict
        ``passport``, ``card``, ``config`` and ``split`` (rows), each empty where its file is
        missing. A card inside the passport stands in for ``card.json``.

    Raises
    ------
    ValueError
        A file is there and cannot be read.
    """
    folder = Path(study) / "model"
    passport = _read(folder, ("passport.json",), read_json)
    card = _read(folder, ("card.json",), read_json)
    return {
        "passport": passport,
        "card": card or passport.get("facts", {}).get("card", {}),
        "card_from": "card.json" if card else "passport.json",
        "config": _read(folder, ("config.toml", "train.toml"), read_toml),
        "split": _read(folder, ("split.csv",), _read_rows),
    }


def _read_rows(path: Path, what: str, remedy: str) -> list[dict[str, str]]:
    with declared(path, what, remedy):
        return [*csv.DictReader(read_bytes(path).decode("utf-8-sig").splitlines())]


def _read(folder: Path, names: tuple[str, ...], parse: Any) -> Any:
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        return {}
    return parse(
        path,
        f"is damaged: expected {path.name} as ctlab writes it",
        "copy the file again or remove it",
    )


def known_facts(facts: dict[str, Any], model: dict[str, Any]) -> Facts:
    """Text and source file of everything known, by the names that checklists use."""
    found = {**_planned(facts), **_recorded(facts), **_found(facts), **_model(model)}
    return {name: pair for name, pair in found.items() if pair[0]}


def _planned(facts: dict[str, Any]) -> Facts:
    """From the protocol."""
    design, course, estimand = facts["design"], facts["flow"], facts["estimand"]
    population, endpoint = design["population"], estimand["endpoint"]
    size = f"{plural(course['slots'], 'reader')} and {plural(course['cases'], 'case')} planned"
    told = population["prevalence_told"]
    blinding = "Arms hidden behind random tokens, the allocation sealed until reading had ended"
    lesions = design["lesions"]
    said = {
        "aim": f"{facts['aim'].capitalize()}; {endpoint}",
        "endpoint": endpoint,
        "population": population["description"],
        "reference_standard": population["reference_standard"]
        or ("" if lesions else "none: the endpoint is a preference or a rating"),
        "ethics": design["ethics"],
        "arms": "Arms: " + "; ".join(_arm(arm) for arm in design["arms"]),
        "missing_plan": estimand["intercurrent events"],
        "size": size,
        "analysis": f"{facts['method']}; multiplicity: {facts['multiplicity']}",
        "cutoff": endpoint if "called from" in endpoint else "",
        "blinding": f"{blinding}; "
        + (f"readers were told: {told}" if told else "no prevalence was told"),
        "lesions": plural(lesions, "lesion") if lesions else "",
        "cases": f"{plural(course['cases'], 'case')} of {plural(course['patients'], 'patient')}",
        "display": f"Both arms rendered alike, first window {design['window']}"
        + (f", enlarged with {design['display_filter']}" if "display_filter" in design else ""),
    }
    return {name: (text.strip(), PROTOCOL) for name, text in said.items()}


def _arm(arm: dict[str, Any]) -> str:
    told = arm.get("description", "")
    return f"{arm['name']} ({told})" if told else str(arm["name"])


def _recorded(facts: dict[str, Any]) -> Facts:
    """From the record of the reading."""
    course, proof, design = facts["flow"], facts["integrity"], facts["design"]
    gaps = [row["shortest_repeat_distance"] for row in facts["balance"]["slots"]]
    gaps = [gap for gap in gaps if gap]
    repeats = course["trials"]["repeat"]
    gap = f"Repeats at least {min(gaps)} trials later" if gaps else ""
    if design["sessions"] > 1:
        gap = f"Sessions at least {design['washout_days']:g} days apart. {gap}".strip()
    changes = [row["what"] for row in facts["deviations"] if "amendment" in row["what"]]
    trained = course["trials"]["practice"]
    said = {
        "prospective": "Reading was prospective, under a protocol locked on "
        f"{proof['locked_at'][:10]} before the first image was read",
        "tokens": "Only pixels under random tokens reached readers: no tag, name or date",
        "missing_seen": f"{course['missing']} of {course['asked']} main answers missing, "
        f"{course['withheld']} withheld as “cannot judge”",
        "room": "The study's own reading room (see Methods)",
        "registration": f"Protocol locked {proof['locked_at'][:10]}, SHA-256 "
        f"{proof['protocol_sha256'][:16]}… (whole under “Integrity”)",
        "protocol": "protocol.toml of the study",
        "audit": f"{proof['answers']} answers kept insert-only in a hash chain of "
        f"{proof['events']} events",
        "flow": f"{plural(course['readers'], 'reader')}, {plural(course['cases'], 'case')} of "
        f"{plural(course['patients'], 'patient')}; {course['answered']} of {course['asked']} main "
        "answers; section “Flow”",
        "readers": f"{plural(course['readers'], 'reader')}, {course['withdrawn']} withdrawn",
        "independence": "Each reader worked alone under an own code and saw no answers of others",
        "repeats": f"{plural(repeats, 'hidden repeat')} over all slots" if repeats else "",
        "gaps": gap,
        "practice": f"{plural(trained, 'practice trial')} over all slots" if trained else "",
        "changes": "; ".join(changes) or "No amendment of the protocol; images fixed at the lock",
    }
    return {name: (text, RECORD) for name, text in said.items()}


def _found(facts: dict[str, Any]) -> Facts:
    """From the results."""
    first, drift = facts["primary"][0], [row["effect"] for row in facts["effects"]]
    ai = first["endpoint"] == "ai"
    software = ", ".join(f"{name} {version}" for name, version in facts["software"].items())
    said = {
        "agreement": "Section “Agreement”, with 95 % intervals" if facts["agreement"] else "",
        "sensitivity": f"{len(facts['sensitivity'])} analyses fixed with the method, section "
        "“Sensitivity”"
        if facts["sensitivity"]
        else "",
        "result": headline(facts) if first["value"] is not None else "",
        "cross_table": "ROC curves of every reader, section “Result”"
        if any(curve["kind"] == "roc" for curve in facts["curves"])
        else "",
        "software": f"Analysis: {software}",
        "data_files": "analysis.json, primary.csv and primary.R beside the report",
        "with_model": "Readers and model on the same cases, section “Result”" if ai else "",
        "drift": f"Section “Position, time, missing answers”: {', '.join(dict.fromkeys(drift))}"
        if drift
        else "",
    }
    return {name: (text, RESULTS) for name, text in said.items()}


# ---------------------------------------------------------------- the model


def _model(model: dict[str, Any]) -> Facts:
    if not model:
        return {}
    return {
        **_card(model["card"], model["card_from"]),
        **_passport(model["passport"], model["card"]),
        **_run(model["config"], model["split"]),
    }


def _card(card: dict[str, Any], source: str) -> Facts:
    """From the model card."""
    if not card:
        return {}
    doses = ", ".join(f"{dose:g}" for dose in card.get("doses", []))
    series = card.get("series", [])
    ranges = card.get("range_of_use", {})
    made = "simulated" if card.get("low_dose_is_simulated") else "measured"
    begun = card.get("begun")
    said = {
        "data_source": f"Training on {len(series)} series ({', '.join(series)})" if series else "",
        "dose": f"Low-dose images {made}, dose fractions {doses}" if doses else "",
        "training": f"{str(card.get('supervision', '')).capitalize()} training, "
        f"{card['steps']} steps"
        if "steps" in card
        else "",
        "start": f"Continued from {begun['steps']} steps of {begun['configuration']}"
        if begun
        else "",
        "range_of_use": "Range of use: " + ", ".join(sorted(ranges)) if ranges else "",
    }
    return {name: (text, source) for name, text in said.items()}


def _passport(passport: dict[str, Any], card: dict[str, Any]) -> Facts:
    """From the passport."""
    if not passport:
        return {}
    facts, checks = passport["facts"], passport["checks"]
    failed = [check["name"] for check in checks if check["passed"] is False]
    made = [check for check in checks if check["passed"] is not None]
    scans = facts.get("data", [])
    devices = dict.fromkeys(
        f"{scan['manufacturer']} {scan['model']}, kernel {scan['kernel']}, {scan['kvp']:g} kV"
        for scan in scans
        if scan.get("kvp") is not None
    )
    trained = set(card.get("series", []))
    strange = [scan for scan in scans if scan.get("patient_id") not in trained]
    digest = facts.get("checkpoint_sha256") or ""
    explained = [check for check in made if "explanation" in check["name"]]
    said = {
        "model": f"{facts['denoiser']} ({facts['kind']})",
        "model_hash": f"Checkpoint SHA-256 {digest[:16]}…" if digest else "",
        "acquisition": "; ".join(devices),
        "checks": f"{len(made) - len(failed)} of {len(made)} checks passed",
        "failed_checks": "Checks not passed: " + ", ".join(failed) if failed else "",
        "limits": f"Limits of {len(made)} checks, fixed before they were made" if made else "",
        "explanation": "; ".join(
            f"{check['name']}: {'passed' if check['passed'] else 'not passed'}"
            for check in explained
        ),
        "external": f"{len(strange)} of {len(scans)} test series of patients that training did "
        "not see"
        if trained and strange
        else "",
    }
    return {name: (text, "passport.json") for name, text in said.items()}


def _run(config: dict[str, Any], split: list[dict[str, str]]) -> Facts:
    """From the folder of a training run."""
    known: Facts = {}
    if config:
        networks, seed = config.get("networks", {}), config.get("seed")
        losses = ", ".join(
            f"{name} {weight:g}"
            for name, weight in config.get("losses", {}).items()
            if isinstance(weight, float) and weight
        )
        known |= {
            "network": (
                ", ".join(f"{key} {value}" for key, value in networks.items() if value != []),
                "config.toml",
            ),
            "training": (
                f"{config.get('steps')} steps, batch {config.get('batch')}, learning rate "
                f"{config.get('learning_rate')}, seed {seed}; losses: {losses}",
                "config.toml",
            ),
            "selection": (
                f"Last of {config.get('steps')} steps, or selected.pt: the best by GSURE and noise "
                "texture, a criterion that sees no pair of doses",
                "config.toml",
            ),
        }
    if split:
        roles = sorted({row["role"] for row in split})
        patients = {row["patient"] for row in split}
        known["partition"] = (
            ", ".join(f"{role} {sum(r['role'] == role for r in split)}" for role in roles)
            + f" slabs of {plural(len(patients), 'patient')}",
            "split.csv",
        )
        parts = [{row["patient"] for row in split if row["role"] == role} for role in roles]
        apart = len(patients) == sum(map(len, parts))
        known["disjoint"] = (
            "Patients" if apart else "Slabs of slices: patients are shared between parts",
            "split.csv",
        )
    return known

"""A trained model for others: ONNX with its card and scale inside, and cards in public formats."""

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from ctlab.ct.hu import HU_MIN
from ctlab.files import fresh_folder, plain, write_json
from ctlab.workflows.model_spec import CARD_KEY, NETWORK_KEY
from ctlab.workflows.network_file import NetworkFile

USE = "Teaching and research; not for diagnosis or for any decision about a patient."


def export_model(
    out: str | Path, checkpoint: str | Path | None = None, *, overwrite: bool = False
) -> dict[str, str]:
    """Write ``model.onnx``, ``README.md`` and ``model_card.json``; paths by what they hold.

    Parameters
    ----------
    out : new folder
    checkpoint : of ``ctlab train``; default: the one that ships

    Returns
    -------
    dict
        ``onnx``: HU in, HU out; its metadata hold the card and what ``--model`` needs to run it.
        ``hugging_face``: a model card for that hub. ``model_card``: JSON of the schema of Google's
        Model Card Toolkit, version 0.0.2.

    Raises
    ------
    ValueError
        The network cannot be written as ONNX, or the folder is not empty.
    """
    import onnx

    from ctlab.learn import load_checkpoint
    from ctlab.learn.engines import to_onnx

    found = load_checkpoint(checkpoint)
    denoiser = found.denoiser()
    model = onnx.load_model_from_string(to_onnx(denoiser))
    multiple = int(denoiser.network.size_multiple)
    network = NetworkFile(multiple=multiple, least_hu=float(HU_MIN))
    inside = {
        CARD_KEY: json.dumps(plain(found.card)),
        NETWORK_KEY: json.dumps(asdict(network)),
        "ctlab.checkpoint_sha256": found.sha256,
        "ctlab.code_version": found.code_version,
        "ctlab.use": USE,
    }
    onnx.helper.set_model_props(model, inside)
    names = {"onnx": "model.onnx", "hugging_face": "README.md", "model_card": "model_card.json"}
    with fresh_folder(out, overwrite=overwrite) as folder:
        onnx.save(model, folder / names["onnx"])
        text = hugging_face_card(found.card, found.sha256, is_shipped=checkpoint is None)
        (folder / names["hugging_face"]).write_text(text, encoding="utf-8")
        write_json(folder / names["model_card"], public_card(found.card, found.sha256))
    return {what: str(Path(out) / name) for what, name in names.items()}


def hugging_face_card(card: dict[str, Any], sha256: str, *, is_shipped: bool = False) -> str:
    """Model card with the metadata block that Hugging Face reads, as Markdown."""
    head = [
        "---",
        "license: bsd-3-clause",
        "library_name: onnx",
        "pipeline_tag: image-to-image",
        "tags: [ct, low-dose-ct, denoising, medical-imaging]",
        "---",
        "",
    ]
    if is_shipped:
        body = files("ctlab.learn").joinpath("shipped", "MODEL_CARD.md").read_text("utf-8")
        return "\n".join(head) + body
    facts = [f"- {name}: {text}" for name, text in _facts(card).items()]
    body = [
        f"# CT denoiser {sha256[:12]}",
        "",
        USE,
        "",
        "HU go in, HU come out, of slices (batch, 1, height, width); see `ctlab.network` in the "
        "metadata of `model.onnx` for the size multiple and the least HU.",
        "",
        "## Data and training",
        "",
        *facts,
        "",
        "## Range of use",
        "",
        *_range(card),
    ]
    return "\n".join([*head, *body]) + "\n"


def public_card(card: dict[str, Any], sha256: str) -> dict[str, Any]:
    """The card in the fields of the Model Card Toolkit's schema 0.0.2 (arXiv 1810.03993)."""
    measured = [
        {"type": name, "value": value, "slice": "validation slices"}
        for name, value in plain(card.get("watched", {})).items()
        if isinstance(value, int | float)
    ]
    return {
        "schema_version": "0.0.2",
        "model_details": {
            "name": f"CT denoiser {sha256[:12]}",
            "overview": "Denoiser of low-dose CT slices, HU to HU.",
            "version": {"name": sha256},
            "licenses": [{"identifier": "BSD-3-Clause"}],
        },
        "model_parameters": {
            "model_architecture": "residual U-Net",
            "data": [
                {"name": name, "description": "computed tomography; see the range of use"}
                for name in card.get("series", [])
            ],
            "input_format": "float32 (batch, 1, height, width), HU",
            "output_format": "float32 (batch, 1, height, width), HU",
        },
        "quantitative_analysis": {"performance_metrics": measured},
        "considerations": {
            "users": [{"description": "students and researchers of CT image quality"}],
            "use_cases": [{"description": USE}],
            "limitations": [{"description": line.removeprefix("- ")} for line in _range(card)],
            "ethical_considerations": [
                {
                    "name": "lesions may be erased, or appear that are not there",
                    "mitigation_strategy": "a passport (ctlab passport) and a blinded reader study",
                }
            ],
        },
    }


def _facts(card: dict[str, Any]) -> dict[str, str]:
    doses = ", ".join(f"{dose:g}" for dose in card.get("doses", [])) or "not stated"
    return {
        "series": ", ".join(card.get("series", [])) or "not stated",
        "dose fractions": doses,
        "low dose is simulated": str(card.get("low_dose_is_simulated", "not stated")),
        "steps": str(card.get("steps", "not stated")),
    }


def _range(card: dict[str, Any]) -> list[str]:
    known = card.get("range_of_use", {})
    lines = []
    for name, values in known.items():
        if all(isinstance(v, int | float) for v in values) and len(values) == 2:
            lines.append(f"- {name}: {values[0]:.3g} to {values[1]:.3g}")
        else:
            lines.append(f"- {name}: {', '.join(map(str, values))}")
    return lines or ["- no range of use is stated"]

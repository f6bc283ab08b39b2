"""A model for others: the same HU through ONNX, with card and scale inside; cards of two kinds."""

import json

import numpy as np
import pytest

from ctlab.learn import denoise_slices, load_checkpoint
from ctlab.workflows.export_model import export_model, hugging_face_card, public_card
from ctlab.workflows.model_spec import load_denoiser

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "model"
    export_model(out)
    return out


def test_the_exported_file_alone_gives_the_models_hu(folder, rng):
    checkpoint = load_checkpoint()
    hu = rng.normal(-700, 250, (2, 50, 62)).clip(-1490).astype(np.float32)  # padding is lower
    denoiser = load_denoiser(str(folder / "model.onnx"))
    expected = denoise_slices(hu, checkpoint.denoiser())
    np.testing.assert_allclose(denoiser(hu, (2.5, 0.7, 0.7)), expected, atol=0.02)
    assert denoiser.card["range_of_use"] == checkpoint.card["range_of_use"]
    assert denoiser.slices == 1


def test_card_and_scale_are_inside_the_file(folder):
    inside = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
    checkpoint = load_checkpoint()
    assert json.loads(inside["ctlab.card"]) == json.loads(json.dumps(checkpoint.card))
    assert json.loads(inside["ctlab.network"])["scale_hu"] == 1.0
    assert inside["ctlab.checkpoint_sha256"] == checkpoint.sha256


def test_the_hub_card_opens_with_its_metadata(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert "pipeline_tag: image-to-image" in head.splitlines()
    assert body.startswith("# Model card")
    own = hugging_face_card({"series": ["S1"], "range_of_use": {"noise_hu": [20, 90]}}, "a" * 64)
    assert "- noise_hu: 20 to 90" in own
    assert "- series: S1" in own


def test_the_public_card_keeps_to_the_fields_of_its_schema(folder):
    """Top level and fields of github.com/tensorflow/model-card-toolkit, schema v0.0.2."""
    made = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    fields = {
        "schema_version": None,
        "model_details": {"name", "overview", "documentation", "owners", "version", "licenses"},
        "model_parameters": {"model_architecture", "data", "input_format", "output_format"},
        "quantitative_analysis": {"performance_metrics", "graphics"},
        "considerations": {
            "users",
            "use_cases",
            "limitations",
            "tradeoffs",
            "ethical_considerations",
        },
    }
    assert set(made) == set(fields)
    for part, allowed in fields.items():
        assert allowed is None or set(made[part]) <= allowed, part
    assert all(set(d) == {"name", "description"} for d in made["model_parameters"]["data"])
    metrics = made["quantitative_analysis"]["performance_metrics"]
    assert all(isinstance(m["value"], int | float) for m in metrics)
    assert public_card({}, "b" * 64)["considerations"]["limitations"] == [
        {"description": "no range of use is stated"}
    ]


def test_a_file_that_is_no_network_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    (tmp_path / "net.toml").write_text("scale_hu = 1000\n")
    with pytest.raises(ValueError, match=r"net\.onnx: expected a network as ONNX, got"):
        load_denoiser(str(tmp_path / "net.onnx"))

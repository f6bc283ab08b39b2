"""Strangers as denoisers: ONNX, function, command, torch file, each against what it must give."""

import sys
import textwrap
import warnings

import numpy as np
import pytest

from ctlab.ct import Volume, read_series, write_series
from ctlab.workflows.denoise import denoise_series
from ctlab.workflows.model_spec import load_denoiser
from ctlab.workflows.network_file import NetworkFile

SPACING_MM = (2.5, 0.7, 0.7)
HU = np.random.default_rng(0).normal(-200, 300, (3, 36, 40)).round().astype(np.float32)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module: halves the distance from -100 HU; looks at the stack it is given."""
    (tmp_path / "my_filter.py").write_text(
        textwrap.dedent("""
            def halve(hu, spacing_mm):
                return (hu + 100) / 2 - 100

            def mean_of_stack(hu, spacing_mm):
                return hu * 0 + hu.mean()

            weight = 3
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_filter", None)


def onnx_network(path, channels=1):
    """Half of the middle channel, as a 1 x 1 convolution."""
    onnx = pytest.importorskip("onnx")
    weight = np.zeros((1, channels, 1, 1), np.float32)
    weight[0, channels // 2] = 0.5
    helper = onnx.helper
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", c, "h", "w"])
        for name, c in (("x", channels), ("y", 1))
    )
    graph = helper.make_graph([node], "half", [x], [y], [onnx.numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def test_a_function_of_the_users_own(module):
    denoiser = load_denoiser("my_filter:halve")
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), (HU + 100) / 2 - 100, atol=1e-3)
    assert denoiser.name == "function my_filter:halve"
    assert denoiser.slices is None  # it may look at neighbours: it does not say
    assert len(denoiser.sha256) == 64


@pytest.mark.parametrize("channels", [1, 3])
def test_an_onnx_file_works_in_the_units_of_its_toml(tmp_path, channels):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "net.onnx"
    onnx_network(path, channels)
    text = f"offset_hu = -100\nscale_hu = 500\nslices = {channels}\nmultiple = 8\n"
    text += "module = 'net.py:Net'\n"  # the same file may serve its torch module
    path.with_suffix(".toml").write_text(text)
    denoiser = load_denoiser(str(path))
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), (HU + 100) / 2 - 100, atol=1e-3)
    assert denoiser.slices == channels
    path.with_suffix(".toml").write_text(text + "output = 'noise'\n")
    noise = load_denoiser(str(path))(HU, SPACING_MM)
    np.testing.assert_allclose(noise, HU - (HU + 100) / 2, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"expected its scale in net\.toml, got none"),
        ("scale = 5", "got scale; scale_hu is needed"),
        ("scale_hu = 500\nslices = 2", "odd slices"),
        ("scale_hu = 500\noutput = 'residual'", "got 'residual'"),
        ("scale_hu = 'five'", "expected a number as scale_hu, got 'five'"),
        ("scale_hu = 5\nslices = 1.0", "expected a whole number as slices, got 1.0"),
        ("scale_hu = 5, slices = 1", r"expected TOML, one line each as offset_hu = -300 / "),
    ],
)
def test_a_missing_or_wrong_description_is_refused(tmp_path, text, message):
    (tmp_path / "net.onnx").write_bytes(b"")
    if text is not None:
        (tmp_path / "net.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_denoiser(str(tmp_path / "net.onnx"))


def test_an_exported_torch_program_in_its_own_units(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pt"
    conv = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(conv.weight, 0.5)
    program = torch.export.export(conv, (torch.zeros(1, 1, 40, 40),))
    torch.export.save(program, path.with_suffix(".pt2"))
    (tmp_path / "net.toml").write_text("offset_hu = -100\nscale_hu = 500\nmultiple = 40\n")
    denoiser = load_denoiser(str(path.with_suffix(".pt2")))
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), (HU + 100) / 2 - 100, atol=1e-2)


def test_torchscript_in_its_own_units(tmp_path):
    torch = pytest.importorskip("torch")
    conv = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(conv.weight, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that it prefers torch.export
        torch.jit.trace(conv, torch.zeros(1, 1, 8, 8)).save(str(tmp_path / "net.ts"))
    (tmp_path / "net.toml").write_text("offset_hu = -100\nscale_hu = 500\n")
    denoiser = load_denoiser(str(tmp_path / "net.ts"))
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), (HU + 100) / 2 - 100, atol=1e-2)
    assert denoiser.kind == "torch"


@pytest.mark.parametrize("offset_hu", [0.0, -100.0, 1024.0])
@pytest.mark.parametrize("scale_hu", [1.0, 500.0, 4000.0])
def test_units_of_a_toml_come_back(tmp_path, offset_hu, scale_hu):
    """A network that changes nothing: constants, a shift by 10 HU and noise come back."""
    (tmp_path / "net.toml").write_text(f"offset_hu = {offset_hu}\nscale_hu = {scale_hu}\n")
    facts = NetworkFile.beside(tmp_path / "net.onnx")
    for hu in (np.full_like(HU, -850.0), np.full_like(HU, 40.0), HU, HU + 10):
        np.testing.assert_allclose(facts.run(lambda batch: batch, hu), hu, atol=2e-3)
    network_units = []
    facts.run(lambda batch: network_units.append(batch.mean()) or batch, np.full_like(HU, 40.0))
    assert network_units[0] == pytest.approx((40.0 - offset_hu) / scale_hu, rel=1e-5)


def test_a_function_by_its_file(tmp_path):
    (tmp_path / "mine.py").write_text("def denoise(hu, spacing_mm):\n    return hu + 4\n")
    denoiser = load_denoiser(f"{tmp_path / 'mine.py'}:denoise")
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), HU + 4)
    assert denoiser.name == "function mine.py:denoise"
    with pytest.raises(ValueError, match=r"mine\.py has no 'filter'"):
        load_denoiser(f"{tmp_path / 'mine.py'}:filter")
    (tmp_path / "mine.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=r"mine\.py cannot be imported: ZeroDivisionError"):
        load_denoiser(f"{tmp_path / 'mine.py'}:denoise")


COPY = """
import pathlib, sys, pydicom
source, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir()
for path in source.glob("*.dcm"):
    image = pydicom.dcmread(path)
    image.RescaleIntercept = image.RescaleIntercept + 7
    image.save_as(out / path.name)
"""


def test_a_command_on_dicom_folders(tmp_path):
    script = tmp_path / "copy it.py"
    script.write_text(COPY)
    line = f"exec:{sys.executable} '{script}' {{in}} {{out}}"
    np.testing.assert_allclose(load_denoiser(line)(HU, SPACING_MM), HU + 7, atol=0.51)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exec:denoise", "a command with {in} and {out}, got 'denoise'"),
        ("exec:no-such-program {in} {out}", "no program 'no-such-program'"),
        (
            f"exec:{sys.executable} -c 'import sys; sys.exit(\"no licence\")' {{in}} {{out}}",
            "exit code 1 and said: no licence",
        ),
        (
            f"exec:{sys.executable} -c 'import time; time.sleep(9)' {{in}} {{out}}",
            "longer than 0.5 s and was ended",
        ),
    ],
)
def test_a_command_that_fails_says_how(line, message):
    with pytest.raises(ValueError, match=message):
        load_denoiser(line, time_limit_s=0.5)(HU, SPACING_MM)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sharpen", "expected model, a filter"),
        ("tv:strong", "expected a strength as in tv:0.8, got 'strong'"),
        ("no_such_module_of_ours:f", "no module 'no_such_module_of_ours'"),
        ("my_filter:sharpen", "has no 'sharpen'"),
        ("my_filter:weight", "expected a function, got int"),
        ("no_function.py", r"expected a function in it, got none; as no_function\.py:denoise"),
        ("decimal:Decimal", r"got a class; for a torch module write net\.toml"),
    ],
)
def test_a_line_that_names_no_denoiser(module, spec, message):
    with pytest.raises(ValueError, match=message):
        load_denoiser(spec)


def test_a_series_denoised_by_a_function(module, tmp_path, rng):
    told: list[str] = []
    hu = (40 + rng.normal(0, 20, (5, 48, 48))).round()
    write_series(Volume(hu.astype(np.float32), SPACING_MM), tmp_path / "in", description="scan")
    report = denoise_series(
        tmp_path / "in", tmp_path / "out", model="my_filter:mean_of_stack", note=told.append
    )
    out = read_series(tmp_path / "out")
    assert report.method == "function my_filter:mean_of_stack"
    assert any("its answer depends on the field of view" in sentence for sentence in told)
    np.testing.assert_allclose(out.hu, hu.mean(), atol=0.51)  # the whole stack came in at once
    assert report.applicability["notes"] == [
        "no range of use is stated: nothing says for which series this denoiser was made"
    ]
    with pytest.raises(ValueError, match="--strength belongs to filters"):
        denoise_series(tmp_path / "in", tmp_path / "o", model="my_filter:halve", strength=0.5)
    with pytest.raises(ValueError, match="leave --method and --checkpoint out"):
        denoise_series(tmp_path / "in", tmp_path / "o", model="my_filter:halve", method="tv")


@pytest.mark.parametrize(
    ("toml", "shape", "message"),
    [
        ("", ["n", 3, "h", "w"], "has 3 channels, its TOML file says slices = 1; write slices = 3"),
        ("", ["n", 1, 512, 512], "images of 512 x 512 alone; .* write multiple = 512"),
        ("", [1, "h", "w"], r"an input of floats \(n, c, y, x\), got tensor\(float\)"),
    ],
)
def test_an_onnx_file_that_its_toml_does_not_fit_says_what_to_write(tmp_path, toml, shape, message):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text("scale_hu = 1000\n" + toml)
    with pytest.raises(ValueError, match=message):
        load_denoiser(str(tmp_path / "net.onnx"))


def test_an_onnx_file_of_double_precision(tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    x, y = (
        helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, ["n", 1, 16, 16]) for n in "xy"
    )
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text("scale_hu = 1000\nmultiple = 16\nversion = '2.1'\n")
    denoiser = load_denoiser(str(tmp_path / "net.onnx"))
    small = HU[:, :9, :11]  # padded to the one size it takes
    np.testing.assert_allclose(denoiser(small, SPACING_MM), small, atol=1e-3)
    assert (denoiser.version, denoiser.scale, denoiser.multiple) == ("2.1", (0.0, 1000.0), 16)


def test_a_file_may_import_its_neighbour_and_hold_a_dataclass(tmp_path, capsys):
    (tmp_path / "helper_of_mine.py").write_text("LEVEL = 4\n")
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            from __future__ import annotations
            from dataclasses import dataclass
            import helper_of_mine
            print("imported")
            __version__ = "0.3"

            @dataclass
            class Setting:
                level: float

            def denoise(hu, spacing_mm):
                return hu + Setting(helper_of_mine.LEVEL).level

            denoise.slices = 3
        """)
    )
    path = list(sys.path)
    denoiser = load_denoiser(f"{tmp_path / 'mine.py'}:denoise")
    sys.modules.pop("helper_of_mine", None)
    np.testing.assert_allclose(denoiser(HU, SPACING_MM), HU + 4)
    assert (denoiser.slices, denoiser.version) == (3, "0.3")
    assert sys.path == path
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit('no licence')", "cannot be imported: SystemExit: no licence"),
        ("def denoise(hu, mm):\n    return hu\ndenoise.slices = 2", "an odd number .* got 2"),
    ],
)
def test_a_file_that_ends_the_program_or_sees_two_slices_is_refused(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text + "\n")
    with pytest.raises(ValueError, match=message):
        load_denoiser(f"{tmp_path / 'mine.py'}:denoise")


def test_commands_have_names_and_hashes_of_their_own(tmp_path):
    made = []
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(f"# {name}\n")
        made.append(load_denoiser(f"exec:{sys.executable} {tmp_path / name} {{in}} {{out}}"))
    assert [d.name.split()[-1] for d in made] == ["one.py", "two.py"]
    assert len({d.sha256 for d in made}) == 2

"""The allowed arrows between rooms, on direct imports, wherever in a file they stand."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SCIENCE = {"numpy", "scipy", "numba"}
TORCH_WORLD = {"torch", "torchvision", "captum", "pytorch_grad_cam", "lightning_fabric"}
HEAVY = TORCH_WORLD | {"statsmodels", "pandas", "pydicom", "numba"}

# room -> (rooms it may import, third party it may import). Longest matching prefix wins.
ARROWS: dict[str, tuple[set[str], set[str]]] = {
    "ctlab": (set(), set()),
    "ctlab.console": (set(), {"typer", "rich"}),
    "ctlab.ct": (
        {"ctlab.ct"},
        SCIENCE
        | {
            "dicognito",
            "gdcm",
            "idc_index",
            "idc_index_data",
            "jpeg_ls",
            "lazy_loader",
            "nibabel",
            "openjpeg",
            "pandas",
            "pydantic",
            "pydicom",
            "rle",
            "skimage",
        },
    ),
    "ctlab.classic": ({"ctlab.ct"}, SCIENCE | {"skimage", "lazy_loader"}),
    "ctlab.doctor": (set(), {"torch", "pydicom"}),
    "ctlab.workflows.denoise": ({"ctlab"}, {"numpy"}),
    "ctlab.files": ({"ctlab.ct"}, set()),
    "ctlab.workflows.ldct_benchmark": ({"ctlab"}, {"numpy", "pandas", "skimage"}),
    "ctlab.workflows.evaluate": ({"ctlab"}, {"pandas"}),
    "ctlab.workflows.explain": ({"ctlab"}, {"numpy"}),
    "ctlab.explain.explanation_page": ({"ctlab"}, {"numpy", "PIL"}),
    "ctlab.learn": (
        {"ctlab.ct", "ctlab.learn"},
        SCIENCE
        | {
            "torch",
            "lightning_fabric",
            "pydantic",
            "rich",
            "lazy_loader",
            "onnxruntime",
            "openvino",
            "onnx",
        },
    ),
    "ctlab.assess": ({"ctlab.ct", "ctlab.assess"}, SCIENCE | {"pandas", "skimage", "lazy_loader"}),
    "ctlab.explain": (
        {"ctlab.ct", "ctlab.learn", "ctlab.assess", "ctlab.explain"},
        SCIENCE
        | {"torch", "torchvision", "captum", "lazy_loader", "skimage", "PIL", "pydicom", "pandas"},
    ),
    "ctlab.explain.maps.cam": (
        {"ctlab.ct", "ctlab.learn", "ctlab.assess", "ctlab.explain"},
        SCIENCE | {"torch", "captum", "pytorch_grad_cam"},
    ),
    "ctlab.view": ({"ctlab.ct", "ctlab.view"}, {"numpy", "anywidget", "traitlets", "lazy_loader"}),
    "ctlab.lessons": (
        {"ctlab"},
        SCIENCE
        | TORCH_WORLD
        | {
            "pandas",
            "matplotlib",
            "lazy_loader",
            "skimage",
            "ipywidgets",
            "IPython",
            "jupyterquiz",
            "pydicom",
        },
    ),
    "ctlab.figures": ({"ctlab"}, SCIENCE | {"matplotlib", "pandas", "torch", "skimage", "IPython"}),
    "ctlab.passport": ({"ctlab"}, SCIENCE | {"matplotlib", "pandas", "torch", "jinja2", "PIL"}),
    "ctlab.__main__": (
        {"ctlab"},
        {"typer", "rich", "numpy", "torch", "pandas", "matplotlib", "pydicom"},
    ),
    "reader_study": (
        {"ctlab.ct", "ctlab.view", "ctlab.classic", "ctlab.console", "reader_study"},
        {
            "numpy",
            "scipy",
            "pandas",
            "sqlalchemy",
            "pydantic",
            "pydantic_core",
            "typer",
            "rich",
            "cryptography",
            "ipywidgets",
            "voila",
            "jupyter_server",
            "tornado",
            "traitlets",
            "IPython",
            "psycopg",
            "lazy_loader",
            "jinja2",
            "nbformat",
            "anywidget",
            "jupyter_client",
        },
    ),
    "reader_study.stats": (
        {"reader_study.stats"},
        {
            "numpy",
            "scipy",
            "pandas",
            "statsmodels",
            "pingouin",
            "krippendorff",
            "matplotlib",
            "lazy_loader",
            "typer",
            "rich",
            "patsy",
        },
    ),
    "reader_study.cli.stats": (
        {"reader_study.stats", "ctlab.console", "reader_study.report"},
        {"numpy", "scipy", "pandas", "matplotlib", "typer", "rich"},
    ),
    "reader_study.report": (
        {"reader_study.stats", "reader_study.report", "ctlab.files"},
        {
            "numpy",
            "scipy",
            "pandas",
            "statsmodels",
            "pingouin",
            "krippendorff",
            "matplotlib",
            "jinja2",
            "lazy_loader",
        },
    ),
}
SERVING = [
    "reader_study.room.widget",
    "reader_study.room.session",
    "reader_study.record.store",
    "reader_study.room.login",
    "reader_study.room.server",
    "ctlab.view.compare",
]


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rule_for(module: str) -> tuple[set[str], set[str]]:
    prefixes = [p for p in ARROWS if module == p or module.startswith(p + ".")]
    return ARROWS[max(prefixes, key=len)]


def imported(path: Path, module: str) -> set[str]:
    """Absolute names of everything a file imports, relative imports resolved."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                stem = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{stem}.{alias.name}" for alias in node.names}
    return names


def breaches(module: str, names: set[str]) -> list[str]:
    rooms, third_party = rule_for(module)
    found = []
    for name in names:
        top = name.split(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if top in {"ctlab", "reader_study"}:
            own = name.startswith(module.rpartition(".")[0] + ".") and module.count(".") > 1
            allowed = any(name == r or name.startswith(r + ".") for r in rooms)
            if not (own or allowed or name == "ctlab.__version__"):
                found.append(f"{module} imports {name}")
        elif top not in third_party:
            found.append(f"{module} imports {name}")
    return found


SOURCES = sorted([*ROOT.glob("ctlab/**/*.py"), *ROOT.glob("reader_study/**/*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=[module_name(p) for p in SOURCES])
def test_a_room_imports_only_what_its_arrows_allow(path):
    module = module_name(path)
    assert breaches(module, imported(path, module)) == []


def test_a_forbidden_arrow_is_noticed():
    assert breaches("ctlab.ct.simulation.low_dose", {"torch.nn", "numpy"}) == [
        "ctlab.ct.simulation.low_dose imports torch.nn"
    ]
    assert breaches("ctlab.assess.noise.nps", {"ctlab.learn.train"}) != []
    assert breaches("reader_study.room.session", {"statsmodels.api"}) != []
    assert breaches("ctlab.learn.train", {"matplotlib.pyplot"}) != []


@pytest.mark.parametrize(
    "package",
    [
        "ctlab",
        "reader_study",
        "ctlab.ct",
        "ctlab.learn",
        "ctlab.assess",
        "ctlab.explain",
        "ctlab.view",
        "reader_study.stats",
    ],
)
def test_importing_a_package_loads_nothing_heavy(package):
    assert loaded_by(package) & (HEAVY | {"matplotlib"}) == set()


@pytest.mark.parametrize("module", SERVING)
def test_the_serving_path_stays_light(module):
    assert loaded_by(module) & (HEAVY | {"matplotlib", "scipy", "skimage"}) == set()


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())

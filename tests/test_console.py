"""What both command lines promise about bad input."""

import random
import subprocess
import sys

import pytest
import typer

from ctlab.__main__ import main
from ctlab.console import run, shortened


def test_refused_input_is_one_sentence_and_exit_code_2(capsys, monkeypatch):
    app = typer.Typer()

    @app.command()
    def refuse() -> None:
        raise ValueError("dose must be in (0, 1],\n   got 7; pass --dose 0.1")

    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as stop:
        run(app, "tool")
    assert stop.value.code == 2
    assert capsys.readouterr().err == "tool: dose must be in (0, 1], got 7; pass --dose 0.1\n"


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(ZeroDivisionError):
        run(app, "tool")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError("blocked", name=name)
sys.meta_path.insert(0, Blocked())
sys.argv = {argv}
from {package}.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "extra", "words"),
    [
        ("torch", "train", "ctlab denoise in out"),
        ("torch", "train", "ctlab explain in --slice 1 --roi 9 9 3"),
        ("torch", "train", "ctlab train config.toml"),
        ("sqlalchemy", "study", "reader_study status study"),
    ],
)
def test_a_missing_extra_is_one_sentence_that_says_what_to_install(missing, extra, words, series):
    """The import is blocked, so that it holds where the package is installed as well."""
    package, *rest = words.split()
    code = BLOCKED.format(missing=missing, argv=[package, *rest], package=package)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=series, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        f": this command needs the package {missing}, which is not installed; "
        f"run: pip install 'ctlab[{extra}]'"
    )
    assert sorted(p.name for p in series.iterdir()) == ["config.toml", "in"]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with the packaged sample in ``in``, and a configuration."""
    from ctlab.ct import write_sample

    folder = tmp_path_factory.mktemp("no-extra")
    write_sample(folder / "in")
    for path in sorted((folder / "in").glob("*.dcm"))[4:]:
        path.unlink()
    (folder / "config.toml").touch()
    return folder


@pytest.mark.parametrize("package", ["ctlab", "reader_study"])
def test_help_fits_80_columns_and_needs_no_torch(package):
    code = f"import sys; sys.argv = ['x', '--help']; from {package}.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        env={"COLUMNS": "80", "PATH": "", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not any(line.rstrip().endswith("| torch") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "{sample}", "{sample}", "--window", "{long}"],
        ["denoise", "{sample}", "out", "--method", "{long}"],
        ["denoise", "{sample}", "out", "--{long}"],
        ["{long}"],
        ["inspect", "{long}"],
    ],
)
def test_a_message_repeats_at_most_200_characters_of_what_came(words, monkeypatch, capsys):
    from importlib.resources import files

    sample = str(files("ctlab.ct.datasets") / "sample" / "slices")
    filled = [word.format(sample=sample, long="x" * 5000) for word in words]
    monkeypatch.setattr("sys.argv", ["ctlab", *filled])
    state = random.getstate()  # rich draws names for its links
    with pytest.raises(SystemExit) as ended:
        main()
    random.setstate(state)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert 0 < said.count("x") <= 210
    assert len(said) < 1200


def test_names_of_files_stay_whole():
    name = "/".join(["a folder with a long name"] * 30)
    assert shortened(f"{name}/scan.dcm is damaged") == f"{name}/scan.dcm is damaged"
    assert shortened("expected 'a' or \"b's\", got 'c'") == "expected 'a' or \"b's\", got 'c'"
    assert len(shortened("word " * 2000)) < 2000

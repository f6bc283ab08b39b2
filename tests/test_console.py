"""What both command lines promise about bad input."""

import subprocess
import sys

import pytest
import typer

from ctlab.console import run


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

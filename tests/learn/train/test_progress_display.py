import io

from rich.console import Console

from ctlab.learn.train import progress_display
from ctlab.learn.train.progress_display import measures, training_display


def shown(rows, *, is_terminal=True):
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=80, color_system=None)
    with training_display(2000, console=console) as on_row:
        for row in rows:
            on_row(row)
    return out.getvalue()


def test_steps_time_left_metrics_and_warnings_are_on_the_screen():
    text = shown(
        [
            {"step": 4, "watch_residual_ratio": 0.81, "watch_hidden": float("nan")},
            {"step": 2000, "watch_structure": 0.5},
        ]
    )
    for words in ("2000/2000", "time left", "removed over expected noise", "0.81"):
        assert words in text
    assert "structure in the residual = 0.5 (limit 0.3); lower losses.full" in " ".join(
        text.split()
    )
    assert "hidden information" not in text


def test_the_minutes_before_the_first_step_are_explained():
    assert "simulating low dose; this may take minutes" in shown([])


def test_a_file_gets_a_line_now_and_then_and_each_warning_once(monkeypatch):
    now = iter([0.0, 1.0, 60.0, 61.0, 62.0])
    monkeypatch.setattr(progress_display.time, "monotonic", lambda: next(now))
    good = {"watch_residual_ratio": 0.81}
    rows = [{"step": 1}, {"step": 2} | good, {"step": 1000, "watch_residual_ratio": 0.05}]
    rows += [{"step": 1100, "watch_residual_ratio": 0.05}, {"step": 2000}]
    lines = shown(rows, is_terminal=False).splitlines()
    assert "this may take minutes" in lines[0]
    removed = "removed over expected noise (0.7 to 1.1)"
    assert lines[1] == f"step 2 of 2000; 33 min left; {removed} 0.81"
    assert lines[2] == f"step 1000 of 2000; 1 min left; {removed} 0.05"
    assert "collapse to identity" in lines[3]  # and no line for the same warning 1 s later
    assert lines[4:] == ["step 2000 of 2000; 0 min left"]


def test_of_several_processes_the_first_alone_shows_anything(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert shown([{"step": 4, "watch_residual_ratio": 0.81}]) == ""


def test_measures_fit_a_narrow_terminal():
    out = io.StringIO()
    values = dict.fromkeys(["watch_residual_ratio", "watch_hidden"], 0.123456)
    Console(file=out, width=80).print(measures(values))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "0.123" in out.getvalue()

import io

from rich.console import Console

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


def test_a_file_gets_nothing():
    assert shown([{"step": 4, "watch_residual_ratio": 0.81}], is_terminal=False) == ""


def test_measures_fit_a_narrow_terminal():
    out = io.StringIO()
    values = dict.fromkeys(["watch_residual_ratio", "watch_hidden"], 0.123456)
    Console(file=out, width=80).print(measures(values))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "0.123" in out.getvalue()

"""The ``ctlab`` command line: one command for each step from DICOM to passport.

Commands take and give files; the work is done by the functions of the subpackages, which are
imported where they are called, so that ``ctlab --help`` answers at once and nothing needs
torch but the commands that train, denoise with a model, or explain.
"""

import typer

from ctlab.cli import denoise, evaluate, explain, passport, series, study_images, train
from ctlab.console import before_each_command, run

app = typer.Typer(
    name="ctlab",
    help="From a CT series to a denoised series whose changes are explained and measured.",
    callback=before_each_command,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    series.doctor,
    series.sample,
    series.inspect,
    series.simulate,
    series.fetch,
    series.deidentify,
    train.train,
    denoise.denoise,
    denoise.export,
    study_images.arms,
    study_images.forced_choice,
    train.benchmark,
    evaluate.evaluate,
    explain.explain,
    passport.passport,
    passport.archive,
    passport.rank,
):
    app.command()(command)


def main() -> None:
    """Entry point of the ``ctlab`` command."""
    run(app, "ctlab")


if __name__ == "__main__":
    main()

"""``reader-study demo``: a small study of the packaged CT, read in the room or by simulation."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(help="where the demonstration goes")] = Path("my-study"),
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8866,
    browser: Annotated[bool, typer.Option(help="open a browser here")] = True,
    simulated: Annotated[
        bool, typer.Option("--simulated-readers", help="nobody reads; goes on up to the report")
    ] = False,
    robots: Annotated[bool, typer.Option("--robots", hidden=True)] = False,
    pairs: Annotated[
        int, typer.Option(help="a lesson for one reader with so many pairs; then a page of them")
    ] = 0,
    maps: Annotated[
        bool, typer.Option("--maps", help="maps over the images, right and wrong ones")
    ] = False,
    twenty: Annotated[bool, typer.Option("--twenty", hidden=True)] = False,
) -> None:
    """Build a small study from the packaged CT and open its room."""
    from reader_study.examples.demo import (
        DEMONSTRATION,
        lesson_plan,
        open_demo,
    )
    from reader_study.examples.simulated_demo import simulated_demo

    if maps:
        if pairs or twenty:
            raise ValueError("expected --maps or --pairs, got both; maps lie over single images")
        from reader_study.examples.maps_demo import open_maps_demo, simulated_maps_demo

        if simulated or robots:
            simulated_maps_demo(folder, say=typer.echo)
        else:
            open_maps_demo(folder, port=port, browser=browser, say=typer.echo)
        return
    pairs = 20 if twenty else pairs  # --twenty is the earlier name of --pairs 20
    plan = lesson_plan(pairs) if pairs else DEMONSTRATION
    if simulated or robots:  # --robots is the earlier name
        simulated_demo(folder, say=typer.echo, plan=plan)
    else:
        open_demo(folder, port=port, browser=browser, say=typer.echo, plan=plan)

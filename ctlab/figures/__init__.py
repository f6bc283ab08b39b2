"""Figures of the chapters: each says its window, its source, and what is seen in words."""

from ctlab.figures.flip import FlipBook, flip
from ctlab.figures.flow import flow
from ctlab.figures.images import maps, sinogram, slices
from ctlab.figures.moves import moves
from ctlab.figures.picture import Picture
from ctlab.figures.plots import (
    bars,
    histogram,
    intervals,
    lines,
    scatter,
)

__all__ = [
    "FlipBook",
    "Picture",
    "bars",
    "flip",
    "flow",
    "histogram",
    "intervals",
    "lines",
    "maps",
    "moves",
    "scatter",
    "sinogram",
    "slices",
]

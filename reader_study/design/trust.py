"""Statements about the maps that readers rate at the end of a session, scored as published."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from reader_study.design.strict import Name, Strict, Text


class Statement(Strict):
    """One statement; ``{about}`` stands for what it is about."""

    text: Text
    subscale: Name


class Scale(Strict):
    """A published set of statements with its source and licence; none is asked without them.

    A subscale's score is the mean of its answers, 1 being the lowest. ``overall`` is the mean of
    all, with those of ``reversed`` subscales counted from the other end.
    """

    title: Text
    source: Text
    wording: str = ""
    licence: Text
    language: Name = "en"
    answers: tuple[Text, ...] = Field(min_length=2, max_length=9)
    items: tuple[Statement, ...] = Field(min_length=1, max_length=40)
    reversed: tuple[Name, ...] = ()
    notes: str = ""

    @model_validator(mode="after")
    def _reversed_are_subscales(self) -> "Scale":
        known = {item.subscale for item in self.items}
        if strangers := sorted(set(self.reversed) - known):
            raise ValueError(
                f"reversed names no subscale: {', '.join(strangers)}; known here: "
                f"{', '.join(sorted(known))}"
            )
        return self


class Trust(Strict):
    """Which statements are asked, about what; ``scale`` brings a set of one's own."""

    set: Literal["tpa"] | None = None
    scale: Scale | None = None
    about: Annotated[Text, StringConstraints(max_length=60)] = "the maps"

    @model_validator(mode="after")
    def _one_of_both(self) -> "Trust":
        if (self.set is None) == (self.scale is None):
            raise ValueError('name a set, as in set = "tpa", or give your own as [trust.scale]')
        return self

    @property
    def asked(self) -> Scale:
        """The scale, of the kit or of the protocol."""
        return self.scale or _of_the_kit(str(self.set))

    @property
    def questions(self) -> list[str]:
        """Statements as readers see them."""
        made = [item.text.replace("{about}", self.about) for item in self.asked.items]
        return [text[:1].upper() + text[1:] for text in made]


@cache
def _of_the_kit(name: str) -> Scale:
    text = files("reader_study.design").joinpath("trust_scales", f"{name}.toml").read_text("utf-8")
    return Scale.model_validate(tomllib.loads(text))

"""The tables of a protocol that say how answers are analysed, fixed before the first image."""

from typing import Literal

from pydantic import Field, model_validator

from reader_study.design.strict import FolderName, Name, Strict

Checklist = Literal["claim-2024", "stard-ai-2025", "decide-ai-2022", "grras-2011"]
Called = Literal["sensitivity", "specificity", "correct", "recall"]
Assisted = Literal["reliance", "change", "brier", "time"]
Endpoint = Literal["share", "odds", "difference", "auc", "wafroc", "ai", "limits", Called, Assisted]


class Comparison(Strict):
    """Two arms to compare; results are given as new against reference."""

    new: Name
    reference: Name


class Analysis(Strict):
    """What was decided before the first image was read."""

    primary_item: Name
    endpoint: Endpoint | None = None
    called_from: float | None = None  # lowest answer that counts as a positive call
    comparisons: tuple[Comparison, ...] = ()  # the first is primary
    aim: Literal["superiority", "noninferiority", "equivalence"] | None = None
    margin: float | None = Field(None, gt=0)
    margin_justification: str = ""
    lower_is_better: tuple[Name, ...] = ()  # items whose high answers are bad
    multiplicity: Literal["holm", "gatekeeping", "none"] = "holm"
    mark_radius_mm: float = Field(10.0, gt=0, le=100)
    mark_rule: Literal["fixed", "lesion"] = "fixed"  # lesion: half its diameter, if larger
    mark_duplicates: Literal["highest", "false"] = "highest"  # second marks on one lesion
    missing_data: str = "Trials without an answer are left out and counted."
    withdrawn_readers: str = "Answers given before withdrawal are kept."
    plan: str = ""
    checklists: tuple[Checklist, ...] = ()  # of the report; none named: by kind of study

    @model_validator(mode="after")
    def _aim_and_margin_agree(self) -> "Analysis":
        if self.aim in {"noninferiority", "equivalence"} and self.margin is None:
            raise ValueError(f'aim = "{self.aim}" needs a margin in the unit of the primary item')
        if self.aim == "superiority" and self.margin is not None:
            raise ValueError('aim = "superiority" has no margin; remove it or change the aim')
        if self.endpoint == "odds" and self.margin is not None:
            raise ValueError('a margin in rating points needs endpoint = "difference"')
        return self


class Model(Strict):
    """A model that is judged beside the readers; its scores are fixed before anybody reads."""

    name: Name
    arm: Name  # the readers' ratings of this arm are what it is compared with
    description: str = ""
    scores: dict[FolderName, float]  # by case; higher is more suspicious

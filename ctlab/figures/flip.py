"""A flip-book: one figure in several states, turned by keys or clicks, with no script at all."""

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass

from ctlab.figures.picture import Picture, check_alt

_MAX_PAGES = 12


@dataclass(frozen=True)
class FlipBook:
    """Pictures of which one is shown; radio buttons choose it, so arrow keys turn the pages.

    Attributes
    ----------
    pages : label -> picture
    name : what the labels say, such as ``contrast (HU)``
    first : label of the page that is open
    alt : what turning the pages shows, for readers who do not see it
    """

    pages: Mapping[str, Picture]
    name: str
    first: str
    alt: str

    def _repr_html_(self) -> str:
        digest = hashlib.sha256(self.name.encode())
        for label, picture in self.pages.items():
            digest.update(label.encode() + picture.data)
        own = f"flip{digest.hexdigest()[:12]}"  # the same book, the same page: nothing is random
        buttons, shown = [], []
        for k, label in enumerate(self.pages):
            opened = " checked" if label == self.first else ""
            buttons.append(
                f'<span><input type="radio" name="{own}" id="{own}-{k}"{opened}>'
                f'<label for="{own}-{k}">{html.escape(label)}</label></span> '
            )
            shown.append(f"#{own}:has(#{own}-{k}:checked) .page-{k}")
        on_paper = self._on_paper()
        pages = [
            f'<div class="page page-{k}{" paper" if k in on_paper else ""}">'
            f'<p class="which">{html.escape(self.name)} {html.escape(label)}</p>'
            f"{picture._repr_html_()}</div>"
            for k, (label, picture) in enumerate(self.pages.items())
        ]
        rules = (
            f"#{own} .page{{display:none}}{','.join(shown)}{{display:block}}"
            f"#{own} fieldset{{border:0;padding:0;margin:0 0 .4rem}}"
            f"#{own} legend{{float:none;font-size:.95rem;width:auto;margin:0 .6rem 0 0}}"
            f"#{own} fieldset span{{display:inline-flex;align-items:center;max-width:100%}}"
            f"#{own} label{{display:inline-block;min-width:24px;padding:.15rem .7rem .15rem .2rem}}"
            f"#{own} input{{width:1.1rem;height:1.1rem;vertical-align:middle}}"
            f"#{own} .which{{display:none}}"
            f"@media print{{#{own} :is(fieldset,.page){{display:none}}"
            f"#{own} :is(.paper,.which){{display:block;break-inside:avoid}}}}"
        )
        return (
            f'<div class="ctlab-flip" id="{own}" role="group" aria-label="{html.escape(self.alt)}">'
            f"<style>{rules}</style><fieldset><legend>{html.escape(self.name)}</legend>"
            f"{''.join(buttons)}</fieldset>{''.join(pages)}</div>"
        )

    def _on_paper(self) -> set[int]:
        """The page that is open at first, and the end of the book that is further from it."""
        opened, last = list(self.pages).index(self.first), len(self.pages) - 1
        return {opened, 0 if 2 * opened >= last else last}


def flip(pages: Mapping[str, Picture], *, name: str, alt: str, first: str = "") -> FlipBook:
    """Flip-book of figures; works in the book, offline, in notebooks and in print (two pages).

    Parameters
    ----------
    pages : label -> figure, 2 to 12; draw them on the same axes, so that only the data move
    name : what the labels say, with its unit
    alt : in a sentence, what one sees when turning the pages
    first : label of the page that is open at first; default the first one

    Raises
    ------
    ValueError
        Fewer than 2 pages or more than 12, a page that is not there, or no sentence.

    Examples
    --------
    >>> from ctlab.figures import lines
    >>> waves = {f"{k}": lines({"wave": ([0, 1], [0, k])}, x="x", y="y",
    ...                        alt="A straight line through the origin") for k in (1, 2)}
    >>> book = flip(waves, name="slope", alt="The line gets steeper with the slope")
    >>> book._repr_html_().count('type="radio"'), book.first
    (2, '1')
    """
    if not 2 <= len(pages) <= _MAX_PAGES:
        raise ValueError(f"a flip-book has 2 to {_MAX_PAGES} pages, got {len(pages)}")
    first = first or next(iter(pages))
    if first not in pages:
        raise ValueError(f"there is no page {first!r}; there are {', '.join(pages)}")
    return FlipBook(dict(pages), name, first, check_alt(alt))

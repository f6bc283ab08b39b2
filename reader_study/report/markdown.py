"""Text from outside as Markdown that shows it letter by letter."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel

Plain = TypeVar("Plain")

# An underscore between letters opens nothing; elsewhere these signs mark emphasis, code, links,
# roles, maths, tables, or take the meaning of the next sign.
_INLINE = re.compile(r"[&<>\\`*{$\[|~^]|(?<![^\W_])_|_(?![^\W_])")
# Signs that open a block at the start of a line: heading, list, quotation, definition, directive,
# comment, target, rule, break of a cell; and the sign after the number of a list.
_FIRST = re.compile(r"[-#+=%:(]|\d{1,9}(?=[.)])")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown_text(text: str) -> str:
    r"""Text as Markdown without HTML, role, link, maths, emphasis, list or directive of its own.

    Character references cannot open a structure (CommonMark 0.31, section 2.5).

    Examples
    --------
    >>> markdown_text(r"<b>{raw}`html`")
    '&lt;b&gt;&#123;raw}&#96;html&#96;'
    >>> markdown_text("# low_dose *or* 2"), markdown_text("2. :::{note}")
    ('&#35; low_dose &#42;or&#42; 2', '2&#46; :::&#123;note}')
    """
    text = " ".join(text.split())
    first, rest = "", text
    if found := _FIRST.match(text):
        end = found.end() + found[0].isdigit()
        first = "".join(c if c.isdigit() else f"&#{ord(c)};" for c in text[:end])
        rest = text[end:]
    return first + _INLINE.sub(lambda m: _NAMED.get(m[0], f"&#{ord(m[0])};"), rest)


def as_markdown(value: Plain) -> Plain:
    """A copy of plain data, or of a model, whose texts and names are inert in Markdown."""
    copied: Any = value
    if isinstance(value, str):
        copied = markdown_text(value)
    elif isinstance(value, BaseModel):
        fields = {name: as_markdown(part) for name, part in value}
        copied = value.model_copy(update=fields)
    elif isinstance(value, dict):
        copied = {as_markdown(name): as_markdown(part) for name, part in value.items()}
    elif isinstance(value, list | tuple):
        copied = type(value)(as_markdown(part) for part in value)
    result: Plain = copied
    return result

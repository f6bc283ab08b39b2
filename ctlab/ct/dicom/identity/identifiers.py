"""Words that identify the patient, staff or site: known from headers, found again in other values.

Words are compared without case, accents and marks, in the forms in which people write them: with
umlauts as one letter or two, dates with day, month or year first, numbers with and without zeros.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ctlab.ct.dicom.kept_attributes import GEOMETRY, IDENTIFYING, STANDARD_WORDS, VOCABULARY

NUMBERS = {"DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FD", "FL"}

_TWO_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe", "þ": "th"}
)
_ONE_LETTER = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "þ": "th"}
)
_MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
)
_ALONE = 5
"""Letters from which on a word of another patient of the folder is looked for, too."""


def plain_forms(text: str) -> set[str]:
    """Text in small letters without marks, umlauts written as one letter and as two.

    Examples
    --------
    >>> sorted(plain_forms("Mu\u0308ller")), sorted(plain_forms("ＤＯＥ"))
    (['mueller', 'muller'], ['doe'])
    """
    small = unicodedata.normalize("NFC", text).casefold()
    return {_stripped(small.translate(_TWO_LETTERS)), _stripped(small.translate(_ONE_LETTER))}


def _stripped(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold()


def _weight(word: str) -> int:
    """Letters, of which an ideograph or syllable stands for three."""
    return sum(3 if c >= "\u2e80" or "\u1100" <= c <= "\u11ff" else 1 for c in word)


def identifiers(dataset: Any) -> set[str]:
    """Plain words that identify the patient, staff or site, at any depth of the header.

    Three letters or more of person names (one ideograph), four or more of others: shorter words
    would also occur in technical values. A word between ``^`` is no part of a longer one.
    """
    words: set[str] = set()
    for element in dataset.iterall():
        if element.is_empty:
            continue
        if element.VR == "PN":
            for form in plain_forms(str(element.value)):
                words |= _of_name(form)
        elif element.keyword in IDENTIFYING:
            for form in plain_forms(str(element.value)):
                words |= _of_number_or_place(form)
        if element.keyword == "PatientBirthDate":
            words |= date_forms(str(element.value))
    return words


def _of_name(name: str) -> set[str]:
    words = set()
    for group in name.split("="):  # alphabetic, ideographic, phonetic
        parts = [re.sub(r"[\W_]", "", part) for part in group.split("^")]
        single = re.findall(r"[^\W_]+", group)
        words |= {word for word in (*parts, *single) if _weight(word) >= 3}
        if len(pair := [p for p in parts[:2] if p]) == 2 and min(map(_weight, pair)) < 3:
            words |= {f"^{''.join(names)}^" for names in (pair, pair[::-1])}
    return words


def _of_number_or_place(text: str) -> set[str]:
    whole = re.sub(r"[\W_]", "", text)  # 12-34-56 also as 123456
    words = {*re.findall(r"[^\W_]+", text), whole}
    digits = {n for word in words for n in re.findall(r"\d{5,}", word)}
    words |= digits | {n.lstrip("0") for n in digits if len(n.lstrip("0")) > 4}
    return {word for word in words if _weight(word) >= 4}


def date_forms(date: str) -> set[str]:
    """A date (YYYYMMDD) as people write it, without what stands between its parts.

    A form that stands between ``^`` is no part of a longer word.

    Examples
    --------
    >>> forms = date_forms("19600131")
    >>> all(f in forms for f in ("19600131", "31011960", "01311960", "310160", "31jan1960"))
    True
    """
    digits = re.sub(r"\D", "", date)
    if len(digits) != 8 or not 1 <= int(digits[4:6]) <= 12:
        return set()
    year, month, day = digits[:4], digits[4:6], digits[6:]
    names = {form for names in _MONTHS for form in plain_forms(names.split()[int(month) - 1])}
    forms = set()
    for m in {month, month.lstrip("0"), *names, *(name[:3] for name in names)}:
        for d in {day, day.lstrip("0")}:
            forms |= {d + m + year, m + d + year, year + m + d}
            short = {d + m + year[2:], m + d + year[2:], year[2:] + m + d}
            forms |= {form if len(form) > 5 else f"^{form}^" for form in short}
    return forms


class KnownIdentifiers:
    """Identifiers by the folder, patient and study of the files in which they stand.

    A word of five letters or more is looked for in every file: another header of the folder may
    say a name that this one lost.
    """

    def __init__(self) -> None:
        self._of: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._long: set[str] = set()
        self._asked: dict[tuple[tuple[str, str], ...], frozenset[str]] = {}

    def add(self, file: Path, dataset: Any) -> None:
        """Take up what a header says."""
        words = identifiers(dataset)
        self._long |= {word for word in words if _weight(word) >= _ALONE}
        for key in _keys(file, dataset):
            self._of[key] |= words

    def of(self, file: Path, dataset: Any) -> frozenset[str]:
        """What may stand in this file, once all headers were taken up."""
        keys = tuple(_keys(file, dataset))
        if keys not in self._asked:
            self._asked[keys] = frozenset(self._long.union(*(self._of[key] for key in keys)))
        return self._asked[keys]


def _keys(file: Path, dataset: Any) -> list[tuple[str, str]]:
    names = ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID")
    known = [(name, str(dataset.get(name) or "")) for name in names]
    return [("folder", str(file.parent)), *(key for key in known if key[1])]


def holds_identifier(element: Any, words: Iterable[str]) -> bool:
    """Whether a value holds one of the words, also within a longer word or number."""
    if element.is_empty:
        return False
    words = frozenset(words)
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in NUMBERS:
        return _number_holds(element.keyword, [str(v) for v in values], words)
    shortest = {"DA": 6, "DT": 6, "TM": 6}.get(element.VR, 3)
    if element.keyword in VOCABULARY:
        shortest = 4
    return _text_holds("\\".join(map(str, values)), shortest, words)


@lru_cache(maxsize=4096)  # the same in most slices
def _text_holds(text: str, shortest: int, words: frozenset[str]) -> bool:
    texts, single = set(), set()
    for form in plain_forms(text):
        for value in form.split("\\"):
            found = re.findall(r"[^\W_]+", value)
            texts.add("".join(w for w in found if w.upper() not in STANDARD_WORDS))
            for n in (1, 2, 3):  # words by themselves, and with their neighbours
                single |= {f"^{''.join(found[i : i + n])}^" for i in range(len(found) + 1 - n)}
    looked_for = _longer(words, shortest)
    return not single.isdisjoint(looked_for) or any(w in t for w in looked_for for t in texts)


@lru_cache(maxsize=64)
def _longer(words: frozenset[str], shortest: int) -> tuple[str, ...]:
    return tuple(word for word in words if _weight(word) >= shortest)


_COUNTS = {"InstanceNumber", "SliceLocation"}
"""Numbers of an image that it can do without: cleared where they are an identifier as a whole."""


_DAY, _MONTH = r"(0[1-9]|[12]\d|3[01])", r"(0[1-9]|1[0-2])"
_SHORT_DATE = re.compile(rf"{_DAY}{_MONTH}\d\d|{_MONTH}{_DAY}\d\d|\d\d{_MONTH}{_DAY}")
"""A date in six digits is looked for in text alone: numbers hold it by chance."""


def _number_holds(keyword: str, values: list[str], words: frozenset[str]) -> bool:
    digits = [re.sub(r"\D", "", value).strip("0") for value in values]
    if keyword in GEOMETRY:
        return keyword in _COUNTS and not _numbers(words).isdisjoint(digits)
    return any(n in "".join(digits) for n in _numbers(words))


@lru_cache(maxsize=64)
def _numbers(words: frozenset[str]) -> frozenset[str]:
    numbers = (w.strip("0") for w in words if w.isdigit() and not _SHORT_DATE.fullmatch(w))
    return frozenset(n for n in numbers if len(n) > 4)

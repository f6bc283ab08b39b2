"""The API reference: a page a public face, every public name on it, examples that come out."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LAZY = ("ctlab.ct", "ctlab.assess", "ctlab.learn", "ctlab.explain", "reader_study.stats")


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_the_worked_example_of_a_page_comes_out_as_written(path, request):
    if path.stem == "reader-study":
        request.getfixturevalue("quick_arms")
    (example,) = EXAMPLE.findall(path.read_text("utf-8"))
    test = doctest.DocTestParser().get_doctest(example, {}, path.stem, str(path), 0)
    assert len(test.examples) >= 3
    told = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert told == []


def test_every_public_face_has_a_page_in_the_contents(book_script):
    api = book_script("api_pages")
    assert {path.stem for path in PAGES} == set(api.FACES)
    names = book_script("pages").page_names(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert {f"book/api/{stem}" for stem in api.FACES} <= set(names)


@pytest.mark.parametrize("face", LAZY)
def test_a_page_documents_every_name_that_a_face_exports(face, book_script):
    text = book_script("api_pages").page_text(face)
    documented = set(
        re.findall(r"^\.\. (?:autofunction|autoclass|py:data|py:class):: (\w+)", text, re.MULTILINE)
    )
    module = import_module(face)
    modules = {name for name in module.__all__ if type(getattr(module, name)) is type(re)}
    assert documented == set(module.__all__) - modules


def test_public_functions_say_what_comes_out(book_script):
    api = book_script("api_pages")
    silent = []
    for face in api.FACES.values():
        for home, names in api.public_names(face).items():
            owner = import_module(home if face in api.MODULES else face)
            values = {name: getattr(owner, name) for name in names}
            silent += [
                n for n, v in values.items() if callable(v) and not (v.__doc__ or "").strip()
            ]
    assert silent == []


def test_a_class_that_several_faces_export_is_described_once(book_script):
    text = book_script("api_pages").page_text("ctlab.assess")
    assert ".. py:class:: Applicability" in text
    assert "The same as :class:`ctlab.ct.Applicability`." in text
    assert ".. autoclass:: Applicability" not in text

"""House rules for chapters, read from their sources; nothing is executed here."""

import ast
import re
from pathlib import Path

import pytest
import yaml

BOOK = Path(__file__).resolve().parents[2] / "book"
TOC = yaml.safe_load((BOOK.parent / "_toc.yml").read_text("utf-8"))
ENTRIES = [chapter for part in TOC["parts"] for chapter in part["chapters"]]
PAGES = [TOC["root"]] + [
    page["file"] for entry in ENTRIES for page in (entry, *entry.get("sections", []))
]
SOURCES = [BOOK.parent / f"{page}.md" for page in PAGES]
CHAPTERS = [path for path in SOURCES if "```{code-cell}" in path.read_text("utf-8")]
TAUGHT = [path for path in CHAPTERS if "{exercise-start}" in path.read_text("utf-8")]
TEACHING = (
    "start",
    "physics",
    "noise-and-dose",
    "dicom",
    "classic",
    "metrics",
    "paired",
    "gans",
    "transport",
    "training",
    "explaining",
    "hallucination",
    "designing-a-study",
    "running-a-study",
    "ratings",
    "do-explanations-help",
    "reporting",
    "capstone",
)
# Figures that a reader moves where there is no kernel.
ALIVE = {
    "compare",
    "compare_with_map",
    "flip",
    "live_slice",
    "map_viewer",
    "overlay_reading",
    "ToyGan",
}
# Timetables and lists of what a checklist asks are chosen, not measured.
PLANS = {"instructor-guide", "publishing", "migration"}
# What the lite route covers: everything up to metrics, and everything about readers.
LITE = (
    "start",
    "physics",
    "noise-and-dose",
    "dicom",
    "classic",
    "metrics",
    "designing-a-study",
    "running-a-study",
    "ratings",
    "do-explanations-help",
    "reporting",
)
DOI = re.compile(r"^10\.\d{4,9}/[-._;()/:A-Za-z0-9<>]+$")
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def cells(path: Path, *, shown: bool = False) -> list[str]:
    """Code of each cell, its options taken off; only those a reader sees, if so asked."""
    bodies = CELL.findall(path.read_text("utf-8"))
    if shown:
        bodies = [body for body in bodies if not re.search(r"hide-input|remove-cell", body)]
    return ["\n".join(x for x in body.splitlines() if x[:1] != ":").strip() for body in bodies]


def prose(path: Path) -> str:
    """What a reader reads: no code, maths, roles, comments, links or front matter."""
    text = path.read_text("utf-8")
    text = re.sub(r"\A---.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$]*\$", " ", text)
    return text


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_every_page_of_the_contents_exists(path):
    assert path.is_file()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_define_nothing_and_use_public_names_only(path):
    for cell in cells(path):
        tree = ast.parse(cell)
        for node in ast.walk(tree):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda), cell
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not any(p.startswith("_") for n in names for p in n.split(".") if p), cell


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_cells_are_short_and_narrow_enough_to_read(path):
    for cell in cells(path):
        assert len(cell.splitlines()) <= 30, cell
    for cell in cells(path, shown=True):
        lines = cell.splitlines()
        assert len(lines) <= 15, cell
        assert max(map(len, lines), default=0) <= 85, cell


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_have_no_outputs_and_a_notebook_header(path):
    text = path.read_text("utf-8")
    assert "jupytext:" in text
    assert "kernelspec:" in text
    assert "```{output}" not in text


@pytest.mark.parametrize("path", TAUGHT, ids=lambda p: p.stem)
def test_chapters_have_the_parts_that_readers_rely_on(path):
    text = path.read_text("utf-8")
    for part in (":class: objectives", ":class: pitfalls", ":class: summary", "**Time**"):
        assert part in text, part
    starts = re.findall(r":::\{exercise-start\}\n:label: (\S+)", text)
    solved = re.findall(r":::\{solution-start\} (\S+)\n:class: dropdown", text)
    assert len(starts) >= 3
    assert starts == solved, "each exercise has its folded solution, in order"
    assert "{cite:p}" in text or "{cite:t}" in text


def test_the_eighteen_chapters_are_all_taught():
    assert {path.stem for path in TAUGHT} == set(TEACHING)


@pytest.mark.parametrize("name", TEACHING)
def test_a_chapter_says_for_whom_and_what_for_after_a_figure_that_makes_curious(name):
    text = (BOOK / f"{name}.md").read_text("utf-8")
    before, rest = text.split(":class: objectives", 1)
    hook = "\n".join(CELL.findall(before))
    figure = r"\bfigures\.\w+\(|\b(?:compare|live_slice)\("
    assert re.search(figure, hook), "a figure stands before the objectives"
    box = rest.split("\n:::", 1)[0]
    assert re.search(r"^\*\*For\*\* \w+", box, re.MULTILINE)
    assert 3 <= len(re.findall(r"^- ", box, re.MULTILINE)) <= 5
    (seconds,) = re.findall(r"\*\*Time\*\*[^{]*\{glue:text\}`(\w+):\.0f`", box)
    assert f'glue("{seconds}", time.process_time(), display=False)' in text, "measured, not written"


@pytest.mark.parametrize("name", TEACHING)
def test_a_chapter_has_a_quiz_and_exercises_to_predict_to_run_and_to_explain(name):
    text = (BOOK / f"{name}.md").read_text("utf-8")
    (chapter,) = re.findall(r'^quiz\("(\w+)"\)$', text, re.MULTILINE)
    assert (BOOK.parent / "ctlab" / "lessons" / "chapters" / f"{chapter}.py").is_file()
    asked = re.findall(r":::\{exercise-start\}\n.*?\n:::\n\*\*(\w+)\.\*\*", text, re.DOTALL)
    assert asked == ["Predict", "Run", "Check", "Explain"]


@pytest.mark.parametrize("name", TEACHING)
def test_a_chapter_has_two_figures_that_a_reader_moves_without_a_kernel(name):
    calls = [
        getattr(node.func, "attr", getattr(node.func, "id", ""))
        for cell in cells(BOOK / f"{name}.md")
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Call)
    ]
    assert sum(call in ALIVE for call in calls) >= 2


@pytest.mark.parametrize("name", TEACHING)
def test_a_chapter_cites_something_with_a_doi(name):
    entries = (BOOK / "references.bib").read_text("utf-8")
    cited = re.findall(r"\{cite:[pt]\}`([^`]*)`", (BOOK / f"{name}.md").read_text("utf-8"))
    keys = {key.strip() for keys in cited for key in keys.split(",")}
    dois = dict(
        re.findall(
            r"@\w+\{(\w+),(?:(?!^\}).)*?doi = \{([^}]*)\}", entries, re.MULTILINE | re.DOTALL
        )
    )
    assert keys & set(dois)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapter_length(path):
    assert len(prose(path).split()) <= 3000


@pytest.mark.parametrize("path", [p for p in SOURCES if p.stem not in PLANS], ids=lambda p: p.stem)
def test_numbers_in_prose_are_computed_or_cited(path):
    """A number stands in maths, code or a computed role; or its sentence cites a source."""
    text = re.sub(
        r"\{[a-z:]+\}`[^`]*`", lambda m: m[0] if m[0].startswith("{cite") else " ", prose(path)
    )
    text = re.sub(r"(?<!\})`[^`]*`", " ", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]*>|^[:(].*$|^#.*$", " ", text, flags=re.MULTILINE)
    loose = []
    for sentence in re.split(r"(?<=[.?!:])\s+(?=[A-Z*_-])|\n\n|\n- ", text):
        plain = re.sub(
            r"\b(?:2-?D|3-?D|BM3D|CC BY[\w .-]*|LIDC-IDRI-0001|8 bit|1-Lipschitz)\b", " ", sentence
        )
        if re.search(r"\d", plain) and "{cite" not in sentence:
            loose.append(sentence.strip())
    assert loose == []


def test_every_reference_is_cited_and_has_a_doi_or_address():
    text = (BOOK / "references.bib").read_text("utf-8")
    entries = dict(re.findall(r"@\w+\{(\w+),(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    cited = set()
    for path in SOURCES:
        for keys in re.findall(r"\{cite:[pt]\}`([^`]*)`", path.read_text("utf-8")):
            cited |= {key.strip() for key in keys.split(",")}
    assert cited == set(entries), "every entry is cited and every citation has an entry"
    for doi in re.findall(r"doi = \{([^}]*)\}", text):
        assert DOI.match(doi), doi
    for key, body in entries.items():
        assert re.search(r"doi = \{10\.\d{4,9}/\S+\}|eprint = \{\d{4}\.\d{4,5}\}", body), key


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_doi_in_a_page_is_one(path):
    for doi in re.findall(r"(?:doi\.org/|doi[: ])(10\.[^\s)\]>\"]+)", path.read_text("utf-8")):
        assert DOI.match(doi.rstrip(".,;")), doi


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_of_the_lite_route_import_nothing_that_needs_torch(path, book_script):
    # The build executes every chapter that passes this scan in an interpreter without torch.
    if path.stem in LITE:
        assert not book_script("pages").needs_torch(path.read_text("utf-8"))


def test_every_construct_has_its_line_in_the_migration_note():
    note = (BOOK / "migration.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z:-]+)`", note))
    used = set()
    for path in SOURCES:
        text = path.read_text("utf-8")
        used |= set(re.findall(r"^[:`]{3,}\{([a-z:-]+)\}", text, re.MULTILINE))
        used |= set(re.findall(r"\{([a-z:]+)\}`", text))
    assert used - named == set(), "name it in book/migration.md, or do without it"


def test_the_glossary_is_in_order_and_says_more_than_a_word():
    text = (BOOK / "glossary.md").read_text("utf-8")
    entries = re.findall(r"^(\S.*)\n((?:    .+\n)+)", text, re.MULTILINE)
    names = [name for name, _ in entries]
    assert names == sorted(names, key=str.casefold)
    assert len(set(names)) == len(names) >= 27
    assert [name for name, body in entries if len(body.split()) < 6] == []


def test_every_glossary_term_is_used_in_a_chapter(book_script):
    pattern = book_script("ctlab_book").pattern
    text = (BOOK / "glossary.md").read_text("utf-8")
    names = re.findall(r"^(\S.*)\n    ", text, re.MULTILINE)
    everything = "\n".join(prose(path) for path in SOURCES if path.stem != "glossary")
    assert [name for name in names if not pattern(name).search(everything)] == []


def test_what_a_checklist_points_at_is_there():
    root = BOOK.parent
    text = (BOOK / "publishing.md").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    places = {place for row in rows for place in re.findall(r"`([\w./-]+)`", row[-2])}
    assert len(places) > 20
    assert [place for place in places if not (root / place).exists()] == []

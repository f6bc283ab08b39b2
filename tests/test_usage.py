"""What nothing calls is deleted, or its example shows its use."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ctlab", "reader_study")


def trees(*folders):
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path: ast.parse(path.read_text("utf-8")) for path in files}


def names_used(tree):
    """Names and attributes that code reads; a definition or an import alone is no use.

    And the words of code that is handed to another process as text.
    """
    nodes = list(ast.walk(tree))
    docstrings = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and id(n) not in docstrings]
    scripts = " ".join(t for t in texts if isinstance(t, str) and re.search(r"import |\w\(", t))
    loaded = {n.id for n in nodes if isinstance(n, ast.Name)}
    loaded |= {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    return loaded | set(re.findall(r"\w+", scripts))


def in_example(name, docstring):
    lines = [line for line in docstring.splitlines() if line.lstrip().startswith((">>>", "..."))]
    return any(re.search(rf"\b{name}\b", line) for line in lines)


def unused(packages, elsewhere, pages):
    """Module-level functions and classes that no code, page or example names."""
    used = set().union(*(names_used(tree) for tree in (packages | elsewhere).values()))
    used |= set(re.findall(r"\w+", pages))
    found = []
    for path, tree in packages.items():
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.decorator_list:
                continue  # a decorator may register it, as Typer's do
            if node.name in used or node.name in {"__getattr__", "__dir__"}:
                continue
            if not in_example(node.name, ast.get_docstring(node) or ""):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    return found


def test_every_function_is_called_or_shown():
    pages = [*ROOT.glob("book/*.md"), *ROOT.glob("book/api/*.md"), ROOT / "README.md"]
    text = "\n".join(path.read_text("utf-8") for path in pages)
    assert unused(trees(*PACKAGES), trees("experiments", "benchmarks", "book"), text) == []


def test_what_only_its_own_definition_names_is_found():
    text = 'def lonely():\n    """>>> other()"""\n\ndef shown():\n    """>>> shown()"""\n'
    lonely = ast.parse(text)
    assert unused({ROOT / "x.py": lonely}, {}, "") == ["x.py:1 lonely"]
    assert unused({ROOT / "x.py": lonely}, {Path("y"): ast.parse("a = x.lonely")}, "") == []

"""A locked study of real CT slabs, a server that can be killed, and a browser without a network."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.browser.viewer_page import Wire, write_page

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Every name but this computer's own fails to resolve; under the second a room is not "local".
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.2"

SECRETS = ["arm-quiet-owl", "arm-loud-fox", "slab-0", "slab-1", "slab-5", "pat-zebra", "Owl method"]
PROTOCOL = """
title = "Browser test"
[ethics]
consent = "Your answers are stored under a number."
[population]
prevalence_told = "About one in three has a nodule."
[design]
answer_delay_ms = 0
texture = "as-made"
readers = 2
repeats = 0.2
catch_trials = 1
patient_gap_trials = 0
display_check = false
[[arms]]
name = "arm-quiet-owl"
description = "Owl method"
[[arms]]
name = "arm-loud-fox"
"""
PREFERENCE = """
[[items]]
name = "preference"
kind = "preference"
question = "Which image would you rather report from?"
"""
ANALYSIS = """
[analysis]
primary_item = "preference"
"""
TASK = """
[[items]]
name = "noise"
kind = "scale"
about = "each"
question = "How much does noise disturb?"
answers = ["not at all", "a little", "clearly", "cannot be read"]
[[items]]
name = "nodule"
kind = "slider"
question = "How sure are you that there is a nodule that needs follow-up?"
answers = ["surely none", "surely one"]
marks = ["nodule", "suspected artefact"]
[guess]
arm = "arm-quiet-owl"
question = "Which image do you think was smoothed?"
[analysis]
primary_item = "noise"
"""


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium that reaches this computer only; one driver at a time in a process."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed (/usr/bin/chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, OFFLINE])
        yield chromium
        chromium.close()


BOOK_ADDRESS = "https://github.com/nobody/nowhere"


@pytest.fixture(scope="session")
def small_book(made_once):
    """A whole release of a book of five pages, by the book's own scripts; its root.

    Its repository has an address, which nobody owns.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "book" / "_vendor" / "vendor" / "versions.json").is_file():
        pytest.skip("the browser libraries are not fetched yet; run `make book` first")
    return made_once("small-book", lambda small: _release(root, small))


def _release(root: Path, small: Path) -> None:
    shutil.copytree(Path(__file__).parent / "small_book", small, dirs_exist_ok=True)
    for name in ("theme", "_vendor", "ext", "images", "lite", "teaching"):
        shutil.copytree(root / "book" / name, small / "book" / name)
    for path in (root / "book").iterdir():
        if path.suffix in {".py", ".bib", ".LICENSE"}:
            shutil.copy(path, small / "book")
    for name in ("inventory-before", "times"):
        shutil.copy(root / "book" / f"{name}.md", small / "book")
    for name in ("ctlab", "reader_study", "constraints.txt"):
        (small / name).symlink_to(root / name)
    for name in ("_config.yml", "CITATION.cff", ".zenodo.json", "codemeta.json"):
        shutil.copy(root / name, small)
    project = (root / "pyproject.toml").read_text("utf-8")
    urls = f'[project.urls]\nRepository = "{BOOK_ADDRESS}"\n\n[tool.ctlab.book]'
    project = project.replace("[tool.ctlab.book]", urls, 1)
    hub = 'jupyterhub_url = "https://hub.example.org"'
    (small / "pyproject.toml").write_text(project.replace('jupyterhub_url = ""', hub), "utf-8")
    command = [sys.executable, str(small / "book" / "release.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def lock_slabs(folder: Path, protocol: str) -> Path:
    """Study of six two-slice slabs of the packaged CT; arms differ in smoothing and noise."""
    pytest.importorskip("voila", reason="the reading room needs the study extra")
    from scipy.ndimage import gaussian_filter

    from ctlab.ct import load_sample
    from reader_study.blinding.lock import lock_study

    study = folder / "study"
    cases = [
        f'[[cases]]\nname = "slab-{i}"\npatient = "pat-zebra"\nslices = [{2 * i}, {2 * i + 2}]\n'
        for i in range(6)
    ]
    for arm in SECRETS[:2]:
        for i in range(6):
            (study / "arms" / arm / f"slab-{i}").mkdir(parents=True)
    (study / "protocol.toml").write_text(protocol + "\n".join(cases), "utf-8")
    sample = load_sample().slices(14, 26)

    def read(series):
        if series.parent.name == SECRETS[1]:
            noise = np.random.default_rng(3).normal(0, 60, sample.hu.shape)
            return sample.with_hu(sample.hu + noise.astype(np.float32))
        return sample.with_hu(gaussian_filter(sample.hu, (0, 1.2, 1.2)))

    lock_study(study, passphrase="correct horse battery staple", read=read)
    for part in (
        "sealed",
        "arms",
        "protocol.toml",
        "protocol.locked.toml",
    ):  # the coordinator moved them away
        shutil.move(study / part, folder / part)
    return study


@pytest.fixture(scope="session")
def locked_study(made_once):
    """One preference question, six slabs, a repeat and a catch trial."""
    pytest.importorskip("voila", reason="the reading room needs the study extra")
    text = PROTOCOL + PREFERENCE + ANALYSIS
    return made_once("locked-study", lambda folder: lock_slabs(folder, text)) / "study"


@pytest.fixture(scope="session")
def latin(tmp_path_factory):
    """A language in which every word of the reading room begins with @; what lacks one is ours."""
    folder = tmp_path_factory.mktemp("texts")
    english = (
        Path(__file__).parents[2] / "reader_study" / "design" / "languages" / "en.toml"
    ).read_text("utf-8")
    folder.joinpath("la.toml").write_text(re.sub(r'(?m) = "', ' = "@', english), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTLAB_TEXTS", str(folder))
        yield "la"


@pytest.fixture(scope="session")
def task_study(tmp_path_factory, latin):
    """Display check, a scale, a lesion question with marks, and the guess; all in ``latin``."""
    protocol = PROTOCOL.replace("display_check = false", "display_check = true")
    head = f'language = "{latin}"\n'
    return lock_slabs(tmp_path_factory.mktemp("task"), head + protocol + TASK)


@pytest.fixture
def staffed(tmp_path):
    """Function that copies a locked study and adds readers; the copy and their codes."""
    from reader_study.record.coordinator import add_reader

    def copy(locked: Path, *names: str) -> tuple[Path, list[str]]:
        study = tmp_path / "study"
        shutil.copytree(locked, study)
        assert sorted(path.name for path in study.iterdir()) == [
            "anchors.txt",
            "bundle",
            "study.db",
        ]
        return study, [add_reader(study, name)[1] for name in names]

    return copy


class Server:
    """``reader-study serve`` (or ``demo``) in a process of its own."""

    def __init__(self, study: Path, *options: str, command: str = "serve") -> None:
        self.study, self.options, self.port, self.command = study, options, 0, command
        self.log = study.parent / "serve.log"

    def start(self) -> "Server":
        command = [sys.executable, "-m", "reader_study", self.command, str(self.study)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.options],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONUNBUFFERED": "1"},
            )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"open at (https?://\S+:(\d+)/)", self.log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)
        self.url, self.port = found[1], int(found[2])
        return self

    def kill(self) -> None:
        """``kill -9`` of the server and of every kernel it started."""
        if self.process.poll() is None:
            children = self._children()
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            for child in children:
                _kill(child)

    def kill_kernels(self) -> None:
        for child in self._children():
            _kill(child)

    def _children(self) -> list[int]:
        """Kernels lead process groups of their own, so they are found by their parent."""
        pids = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid:
                pids.append(int(stat.parent.name))
        return pids


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def serve():
    """Function that starts a server for a study; stopped at the end whatever happens."""
    servers = []

    def start(study, *options, **command):
        servers.append(Server(study, *options, **command).start())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def open_page(browser):
    """Function that opens an address in a fresh browser profile and listens on the wire."""
    contexts = []

    def open_at(url, *, size=(1280, 800), **options):
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        wire = Wire(page)
        page.goto(url)
        return page, wire

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture
def enter():
    """Function that passes the door and the consent page."""

    def go(page, code, *, consent=True):
        page.fill("#code", code)
        page.keyboard.press("Enter")
        if consent:
            page.wait_for_selector(".rs h1", timeout=40_000)
            page.keyboard.press("Enter")
        page.wait_for_selector("#rs-where", timeout=40_000)

    return go


@pytest.fixture
def record_figures():
    """Function that writes measured figures to ``build/reading-room.json``."""

    def write(**figures: float) -> None:
        target = Path(__file__).parents[2] / "build" / "reading-room.json"
        target.parent.mkdir(exist_ok=True)
        rounded = {name: round(value, 2) for name, value in figures.items()}
        target.write_text(json.dumps({**rounded, "load": os.getloadavg()[0]}, indent=1) + "\n")

    return write


@pytest.fixture
def open_viewer(browser, tmp_path):
    """Function that opens a viewer in a page of its own; what goes wrong there fails the test."""
    opened = []

    def open_page(viewer, *, size=(1280, 800), **options):
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page, faults = context.new_page(), []
        opened.append((context, faults))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda note: note.type == "error" and faults.append(note.text))
        page.goto(write_page(tmp_path, viewer).as_uri())
        page.wait_for_selector(".ctv[aria-label]")
        return page

    yield open_page
    for context, faults in opened:
        assert not faults
        context.close()

"""An output folder belongs to one process, and what somebody else put there is never lost."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctlab import output_folder
from ctlab.files import FilledMeanwhile, fresh_folder, refuse_full_folder, write_whole
from ctlab.output_folder import FolderLock
from ctlab.resumable_folder import ResumableFolder


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def write(folder, name="new", **options):
    with fresh_folder(folder, **options) as part:
        (part / name).write_text(name)


def run(code, *words):
    """Code in another process, which is not cleaned up after."""
    head = "import os, sys\nfrom pathlib import Path\nfrom ctlab.files import *\n"
    head += "from ctlab.resumable_folder import *\n"
    return subprocess.run(
        [sys.executable, "-c", head + code, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )


KILLED = """
number, moves, rename = int(sys.argv[2]), 0, Path.rename
def killed(self, target):
    global moves
    if moves == number:
        os._exit(9)
    moves += 1
    return rename(self, target)
Path.rename = killed
with fresh_folder(sys.argv[1], overwrite=True) as part:
    (part / "new").write_text("new")
"""


@pytest.fixture
def in_place(monkeypatch):
    """Folders behave as mount points: nothing can be renamed over them."""
    monkeypatch.setattr(Path, "is_mount", lambda self: self.name == "out")


def test_what_somebody_put_there_meanwhile_is_left_alone(tmp_path):
    out = tmp_path / "out"
    work = fresh_folder(out)
    (work.__enter__() / "mine").touch()
    out.mkdir()
    (out / "theirs").touch()
    with pytest.raises(FilledMeanwhile, match="filled by something else"):
        work.__exit__(None, None, None)
    assert names(tmp_path) == ["out/theirs"]
    begun = ResumableFolder.begin(tmp_path / "more", {}, {})
    (begun.folder / "mine").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "theirs").touch()
    with pytest.raises(FilledMeanwhile):
        begun.finish()
    begun.release()
    (tmp_path / "more" / "theirs").unlink()
    again = ResumableFolder.begin(tmp_path / "more", {}, {}, resume=True)
    again.finish()
    assert names(tmp_path / "more") == ["mine"]


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_kill_while_the_old_is_replaced_loses_neither(tmp_path, moves):
    """Before, between and after the two moves; the next run finds a whole folder."""
    out = tmp_path / "out"
    write(out, "old")
    run(KILLED, out, moves)
    assert "old" in {Path(n).name for n in names(tmp_path)} or names(out) == ["new"]
    with pytest.raises(ValueError, match="not empty"):
        write(out)
    write(out, "third", overwrite=True)
    assert names(tmp_path) == ["out/third"]


@pytest.mark.parametrize("moves", [0, 1])
def test_a_kill_within_a_mount_point_is_named(tmp_path, moves, in_place):
    out = tmp_path / "out"
    write(out, "old")
    code = "Path.is_mount = lambda self: self.name == 'out'\n" + KILLED
    run(code, out, moves)
    assert {Path(n).name for n in names(tmp_path)} >= {"old", "new"}
    with pytest.raises(ValueError, match="killed while it replaced"):
        write(out)
    write(out, "third", overwrite=True)
    assert names(tmp_path) == ["out/third"]


def test_one_process_at_a_time(tmp_path):
    out = tmp_path / "out"
    code = "with fresh_folder(sys.argv[1], overwrite=True) as part: (part / 'x').touch()"
    with FolderLock(out):
        done = run(code, out)
        assert f"(process {os.getpid()}) since 20" in done.stderr
        assert "ValueError" in done.stderr
        assert f"{output_folder._user()} on " in done.stderr
        resumed = run("ResumableFolder.begin(sys.argv[1], {}, {}, resume=True)", out)
        assert "is being written to by" in resumed.stderr
        assert not out.exists()
    assert run(code, out).returncode == 0
    assert names(tmp_path) == ["out/x"]


def test_a_lock_ends_with_its_process(tmp_path):
    run(
        "from ctlab.output_folder import FolderLock\nFolderLock(sys.argv[1]); os._exit(9)",
        tmp_path / "out",
    )
    assert names(tmp_path) == [".out.lock"]
    write(tmp_path / "out")
    assert names(tmp_path) == ["out/new"]


def test_a_mount_point_is_filled_and_keeps_its_own(tmp_path, in_place, monkeypatch):
    out = tmp_path / "out"
    (out / "lost+found").mkdir(parents=True)
    before = out.stat().st_ino
    write(out)
    assert names(tmp_path) == ["out/new"]
    with pytest.raises(ValueError, match="not empty"):
        write(out)
    write(out, "other", overwrite=True)
    begun = ResumableFolder.begin(out, {}, {}, overwrite=True)
    (begun.folder / "third").touch()
    begun.finish(overwrite=True)
    assert names(tmp_path) == ["out/third"]
    assert out.stat().st_ino == before
    assert (out / "lost+found").is_dir()

    rename = Path.rename

    def full(self, target):
        if self.name == "b":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write(out, "b", overwrite=True)
    assert failed.value.filename == str(out)
    assert names(tmp_path) == ["out/third"]


def test_here_and_links_are_filled_or_followed(tmp_path, monkeypatch):
    for name in ("here", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    monkeypatch.chdir(tmp_path / "here")
    write(".")
    assert names(Path()) == ["new"]
    write("below/deeper")
    assert names(tmp_path) == ["here/below/deeper/new", "here/new", "target/new"]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(ValueError, match="lead in a circle"):
        write(tmp_path / "round")


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    closed = {tmp_path}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in closed)
    with pytest.raises(PermissionError, match="nothing can be written there"):
        refuse_full_folder(tmp_path / "a" / "b")
    write(tmp_path / "kept")  # it may be written to, though it cannot be replaced
    assert names(tmp_path) == ["kept/new"]


def test_the_mode_of_an_empty_folder_stays(tmp_path):
    (tmp_path / "out").mkdir(mode=0o750)
    write(tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_files_follow_links_and_clean_up_after_the_dead(tmp_path):
    (tmp_path / "link.csv").symlink_to("real.csv")
    gone = run("print(os.getpid())").stdout.strip()
    (tmp_path / f".real.{gone}.part.csv").touch()
    (tmp_path / f".real.{os.getppid()}.part.csv").touch()  # at work
    (tmp_path / f".other.{gone}.part.csv").touch()
    with write_whole(tmp_path / "link.csv") as part:
        part.write_text("a")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a"
    left = {n for n in names(tmp_path) if n.startswith(".")}
    assert left == {f".real.{os.getppid()}.part.csv", f".other.{gone}.part.csv"}
    with pytest.raises(ValueError, match="is a folder"), write_whole(tmp_path):
        pass


def test_errors_of_the_disk_name_the_output(tmp_path):
    with pytest.raises(OSError, match="No space") as failed, write_whole(tmp_path / "a.csv"):
        raise OSError(28, "No space left on device")
    assert failed.value.filename == str(tmp_path / "a.csv")


def test_a_copy_that_finds_no_space_names_the_output_and_not_its_source(tmp_path, monkeypatch):
    source = tmp_path / "source.dcm"
    source.write_text("whole")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "sendfile", full)
    monkeypatch.setattr(shutil, "copyfileobj", full)  # where the system has no sendfile
    with (
        pytest.raises(OSError, match="No space left") as told,
        fresh_folder(tmp_path / "out") as part,
    ):
        shutil.copyfile(source, part / "copy.dcm")
    assert told.value.filename == str(tmp_path / "out")
    assert not (tmp_path / "out").exists()

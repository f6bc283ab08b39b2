"""What headers can tell is refused before an image is rendered; a killed lock goes on."""

import subprocess
from collections import namedtuple

import numpy as np
import pytest

from ctlab.ct import write_series
from ctlab.ct.volume import Volume
from reader_study.blinding.lock import lock_study
from reader_study.blinding.preflight import preflight
from reader_study.design.protocol_file import read_protocol
from reader_study.record.bundle import open_bundle

BARE = "repeats = 0\ncatch_trials = 0\npatient_gap_trials = 0\n"


@pytest.fixture
def with_series(unlocked, rng):
    """Two cases and a practice case in two arms, as DICOM of 10 slices of 16 x 16 pixels."""
    study = unlocked(n_cases=2, design=BARE)
    for arm in ("alpha", "bravo"):
        for case in ("case-0", "case-1", "warm"):
            folder = study / "arms" / arm / case
            folder.rmdir()
            hu = rng.normal(0, 30, (10, 16, 16)).astype(np.float32)
            write_series(Volume(hu, (2.0, 0.7, 0.7)), folder, description="x")
    return study, read_protocol(study / "protocol.toml")[0]


def test_every_fault_that_headers_tell_is_named_at_once_before_rendering(
    with_series, passphrase, monkeypatch
):
    study, protocol = with_series
    checked = preflight(study, protocol)
    assert (checked.n_images, checked.n_bytes) == (6, 6 * 10 * 16 * 16 * 2)
    slices = sorted((study / "arms" / "alpha" / "case-0").iterdir())
    slices[4].unlink()
    for path in (study / "arms" / "bravo" / "case-1").iterdir():
        path.unlink()
    rendered = []
    monkeypatch.setattr("reader_study.blinding.lock._render_all", lambda *_: rendered.append(1))
    with pytest.raises(ValueError, match="case case-0, arm alpha: a slice is missing") as error:
        lock_study(study, passphrase=passphrase)
    assert "case case-1, arm bravo" in str(error.value)
    assert "allow_gaps" not in str(error.value)
    assert not rendered


def test_a_full_disk_is_told_before_rendering(with_series, monkeypatch):
    study, protocol = with_series
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(ValueError, match=r"expected .* GB free beside the study, got 0\.0 GB"):
        preflight(study, protocol)


@pytest.mark.usefixtures("cheap_seal")
def test_a_killed_lock_goes_on_and_reads_changed_series_again(unlocked, fake_reader, passphrase):
    study = unlocked(n_cases=4)
    read = []

    def killed(folder):
        read.append(f"{folder.parent.name}/{folder.name}")
        if len(read) == 6:
            raise KeyboardInterrupt
        return fake_reader(folder)

    with pytest.raises(KeyboardInterrupt):
        lock_study(study, passphrase=passphrase, read=killed)
    assert not (study / "bundle").exists()
    (study / "arms" / "alpha" / "case-1" / "new.dcm").write_bytes(b"x")  # case-1 was rendered
    again = []
    lock_study(study, passphrase=passphrase, read=lambda f: again.append(f.name) or fake_reader(f))
    assert "case-0" not in again
    assert again.count("case-1") == 2
    assert not list(study.glob(".lock*"))
    assert open_bundle(study / "bundle").damaged() == []


@pytest.mark.usefixtures("cheap_seal")
def test_no_fact_of_the_files_orders_the_pixels_but_their_random_names(locked):
    """Inode, times, size and order in the folder say what the names say, or nothing."""
    study = locked(n_cases=12)
    folder = study / "bundle" / "pixels"
    names = sorted(path.name for path in folder.iterdir())
    facts = [(folder / name).stat() for name in names]
    assert len({f.st_size for f in facts}) == 1
    assert len({f.st_mtime_ns for f in facts}) == len({f.st_atime_ns for f in facts}) == 1
    for what in ("st_ino", "st_ctime_ns"):
        values = [getattr(f, what) for f in facts]
        assert values == sorted(values), what
    births = ["stat", "--format=%.W", *(str(folder / name) for name in names)]
    born = [float(line) for line in subprocess.check_output(births, text=True).split()]
    assert born == sorted(born)

"""Workers give what one process gives, in order, and pass on what is wrong."""

import numpy as np
import pytest

from ctlab.ct.datasets.sample import SAMPLE_FOLDER
from ctlab.ct.dicom.discover import list_files
from ctlab.ct.dicom.frames import frames_of
from ctlab.ct.dicom.header import read_header
from ctlab.ct.dicom.pixels import parallel_decode
from ctlab.ct.dicom.pixels.decode import decode_hu


def sample_frames(count):
    return [f for path in list_files(SAMPLE_FOLDER)[:count] for f in frames_of(read_header(path))]


@pytest.mark.parametrize(("cores", "alone_s", "workers"), [(2, 0, 1), (3, 0.01, 2), (2, 9, 0)])
def test_workers_give_the_same_slices_in_order(monkeypatch, cores, alone_s, workers):
    monkeypatch.setattr(parallel_decode, "allowed_threads", lambda: cores)
    monkeypatch.setattr(parallel_decode, "START_S", alone_s)
    started = watch_starts(monkeypatch)
    frames = sample_frames(5)
    shared = list(parallel_decode.shared_hu(frames))
    assert len(started) == workers
    for one, other in zip(shared, decode_hu(frames), strict=True):
        assert np.array_equal(one, other)


def watch_starts(monkeypatch):
    started = []
    start = parallel_decode._started
    monkeypatch.setattr(
        parallel_decode, "_started", lambda frames: started.append(start(frames)) or started[-1]
    )
    return started


def test_a_worker_passes_on_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel_decode, "allowed_threads", lambda: 2)
    monkeypatch.setattr(parallel_decode, "START_S", 0)
    source = list_files(SAMPLE_FOLDER)[0].read_bytes()
    for k in range(2):
        (tmp_path / f"{k}.dcm").write_bytes(source)
    frames = [f for p in sorted(tmp_path.iterdir()) for f in frames_of(read_header(p))]
    (tmp_path / "1.dcm").write_bytes(source[: len(source) // 2])
    with pytest.raises(ValueError, match=r"1\.dcm .*cut short"):
        list(parallel_decode.shared_hu(frames))


def test_leaving_early_leaves_no_worker_behind(monkeypatch):
    monkeypatch.setattr(parallel_decode, "allowed_threads", lambda: 2)
    monkeypatch.setattr(parallel_decode, "START_S", 0)
    started = watch_starts(monkeypatch)
    slices = parallel_decode.shared_hu(sample_frames(4))
    next(slices)
    slices.close()
    assert all(worker.poll() is not None for worker in started)


def test_workers_are_for_long_compressed_series_only(monkeypatch):
    monkeypatch.setattr(parallel_decode, "allowed_threads", lambda: 2)
    few = sample_frames(5)
    assert not parallel_decode.worth_sharing(few)
    assert parallel_decode.worth_sharing(few * 300)
    monkeypatch.setattr(parallel_decode, "allowed_threads", lambda: 1)
    assert not parallel_decode.worth_sharing(few * 300)

"""The demonstration study: from the packaged CT to a locked study without torch."""

import subprocess
import sys

import pytest

from reader_study.bundle import open_bundle
from reader_study.coordinator import opened
from reader_study.demo import ARMS, build_demo


@pytest.mark.slow
def test_the_demonstration_is_built_locked_and_staffed(tmp_path, cheap_seal):
    secret = build_demo(tmp_path / "demo")
    bundle = open_bundle(tmp_path / "demo" / "bundle")
    assert len(bundle.images) == 7 * len(ARMS)
    assert {image.shape for image in bundle.images.values()} == {(3, 512, 512)}
    assert len(bundle.trials(1)) == 9  # practice, 6 slabs, a repeat, a catch trial
    with opened(tmp_path / "demo") as (_, store):
        from reader_study.codes import hash_of

        assert store.reader_of_code(hash_of(secret["code"])).slot == 1
    with pytest.raises(ValueError, match="not empty"):
        build_demo(tmp_path / "demo")


def test_the_demonstration_needs_no_torch():
    code = (
        "import sys, reader_study.demo, reader_study.lock, ctlab.classic.filters, ctlab.ct.dose;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Which modules are examined, and which tests judge each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A module and the files or folders of tests that should notice its faults."""

    module: str
    tests: tuple[str, ...]


TARGETS = (
    Target("ctlab/learn/train/losses.py", ("tests/learn/train/test_losses.py",)),
    Target("reader_study/design/allocation.py", ("tests/reader_study/design/test_allocation.py",)),
    Target(
        "reader_study/record/store.py",
        ("tests/reader_study/record/test_store.py", "tests/reader_study/record/test_merge.py"),
    ),
    Target("reader_study/record/hash_chain.py", ("tests/reader_study/record/test_store.py",)),
    Target(
        "reader_study/blinding/sealed_key.py", ("tests/reader_study/blinding/test_sealed_key.py",)
    ),
    Target(
        "ctlab/ct/dicom/frames.py",
        (
            "tests/ct/dicom/test_read.py",
            "tests/ct/dicom/test_silent_faults.py",
            "tests/ct/dicom/test_extended_hu.py",
            "tests/ct/test_traps.py",
        ),
    ),
    Target(
        "ctlab/ct/dicom/pixels/decode.py",
        ("tests/ct/dicom/pixels/test_decode.py", "tests/ct/dicom/test_extended_hu.py"),
    ),
    Target("reader_study/stats/roc/auc_covariance.py", ("tests/stats/roc/test_mrmc.py",)),
    Target("reader_study/stats/roc/obuchowski_rockette.py", ("tests/stats/roc/test_mrmc.py",)),
    Target(
        "reader_study/stats/paired/preference_share.py",
        ("tests/stats/paired/test_preference_share.py",),
    ),
    Target(
        "reader_study/stats/paired/crossed_mean.py", ("tests/stats/paired/test_crossed_mean.py",)
    ),
    Target(
        "reader_study/stats/agreement/kappa.py", ("tests/stats/agreement/test_coefficients.py",)
    ),
    Target("reader_study/stats/ordinal/vgc.py", ("tests/stats/ordinal/test_vgc.py",)),
)

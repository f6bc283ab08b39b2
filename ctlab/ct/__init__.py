"""CT series in HU: read, simulate dose, write.

Names are loaded on first use, so that a program which only needs :class:`Window`
does not wait for a DICOM library.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules={"dose", "export", "fan", "fetch", "phantom", "projector"},
    submod_attrs={
        "dose": ["calibrate", "fraction_for_noise", "simulate_dose"],
        "exposure": ["DoseFacts", "dose_facts"],
        "lesion": ["Lesion", "insert_lesion"],
        "nifti": ["read_nifti", "write_nifti"],
        "noise_level": ["measure_noise_hu"],
        "scanner": ["Scanner"],
        "chest": ["ChestPhantom", "chest_phantom"],
        "collections": ["Collection", "Scan", "open_collection"],
        "deidentify": ["DeidentificationReport", "deidentify_series"],
        "domains": ["DomainFacts", "confounds"],
        "dicom": ["SeriesReport", "inspect_folder", "read_series"],
        "export": ["Derivation", "write_series"],
        "facts": ["describe_series", "range_of_use"],
        "files": ["fresh_folder", "write_whole"],
        "hu": ["BONE", "LUNG", "MEDIASTINUM", "WINDOWS", "HuScale", "Window"],
        "sample": ["SAMPLE_CREDIT", "SAMPLE_NODULE", "Nodule", "load_sample", "write_sample"],
        "simulate": ["SimulationReport", "simulate_series"],
        "volume": ["Acquisition", "Volume"],
    },
)

"""CT series in HU: read, simulate dose, write.

Names are loaded on first use, so that a program which only needs :class:`Window`
does not wait for a DICOM library.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules={"datasets", "dicom", "simulation"},
    submod_attrs={
        "simulation.calibration": ["calibrate", "fraction_for_noise"],
        "simulation.low_dose": ["simulate_dose"],
        "dicom.dose_report": ["DoseFacts", "dose_facts", "effective_dose_msv"],
        "simulation.lesion": ["Lesion", "insert_lesion"],
        "dicom.nifti": ["read_nifti", "write_nifti"],
        "noise_level": ["measure_noise_hu"],
        "simulation.scanner": ["Scanner"],
        "simulation.chest_phantom": ["ChestPhantom", "chest_phantom"],
        "datasets.layouts": ["Collection", "Scan", "open_collection"],
        "dicom.deidentify": ["DeidentificationReport", "deidentify_series"],
        "datasets.confounders": ["DomainFacts", "confounds"],
        "dicom.inspection": ["SeriesReport", "inspect_folder"],
        "dicom.read": ["read_series"],
        "dicom.write": ["Derivation", "write_series"],
        "range_check": ["Applicability", "check_applicability"],
        "series_facts": ["describe_series", "range_of_use"],
        "tissue": ["LUNG_ROI_HU", "SOFT_ROI_HU", "TISSUES_HU", "find_rois", "tissue_masks"],
        "hu": ["BONE", "LUNG", "MEDIASTINUM", "WINDOWS", "HuScale", "Window", "named_window"],
        "datasets.sample": [
            "SAMPLE_CREDIT",
            "SAMPLE_NODULE",
            "Nodule",
            "load_sample",
            "write_sample",
        ],
        "simulation.low_dose_series": ["SimulationReport", "simulate_series"],
        "volume": ["Acquisition", "Volume"],
    },
)

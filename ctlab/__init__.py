"""CT Lab: from a DICOM series to a denoised series whose changes are explained and measured.

The rooms, in the order data flows through them: :mod:`ctlab.ct` (read, simulate, write),
:mod:`ctlab.classic` (filters), :mod:`ctlab.learn` (train, denoise), :mod:`ctlab.assess`
(measure), :mod:`ctlab.explain` (explain and audit), :mod:`ctlab.view` (look).
Importing this package only defines names.
"""

__version__ = "0.1.0"

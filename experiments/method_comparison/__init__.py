"""Every variant and every baseline on the same slabs, for the same time, side by side.

    python -m experiments.method_comparison prepare WORK SERIES      simulate the low doses, once
    python -m experiments.method_comparison train WORK --seconds 480   one process a method
    python -m experiments.method_comparison evaluate WORK SERIES     the table, results.json

``SERIES`` is the folder of LIDC-IDRI-0001 (133 slices), as ``experiments.shipped_model.train``
unpacks it. Evaluation wants the folder of the radiomics phantom patients of ``pycerr`` as well, and
leaves those rows out where it is not given.
"""

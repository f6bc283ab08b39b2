"""Every variant and every rival on the same slabs, for the same time, side by side.

    python -m benchmarks.rivals prepare WORK SERIES      simulate the low doses, once
    python -m benchmarks.rivals train WORK --seconds 480 one process a method, one device
    python -m benchmarks.rivals evaluate WORK SERIES     the table, benchmarks/results/rivals.json

``SERIES`` is the folder of LIDC-IDRI-0001 (133 slices), as ``ctlab.learn.shipped.make_shipped``
unpacks it. Evaluation wants the folder of the radiomics phantom patients of ``pycerr`` as well, and
leaves those rows out where it is not given.
"""

"""The table of adaptation: pairs by series and dose, a refusal as a gap."""

import json

import numpy as np
import pytest

from ctlab.lessons import adaptation_table


def test_before_and_after_belong_to_the_same_series_and_dose(tmp_path):
    def row(dose, psnr_db, recovery):
        nodules = [
            {"kind": kind, "diameter_mm": mm, "recovery": recovery if mm == 6.0 else 0.1}
            for kind in ("ground-glass",)
            for mm in (4.0, 6.0)
        ]
        return {"patient": "p", "dose": dose, "input_psnr_db": 30.0, "psnr_db": psnr_db} | {
            "ssim": 0.9,
            "nodules": nodules,
        }

    results = {
        "before": [row(0.1, 34.0, 0.9), row(0.05, 35.0, 0.8)],
        "after": [row(0.05, 36.5, 0.7), {"patient": "p", "dose": 0.1, "refused": "no"}],
    }
    path = tmp_path / "adaptation.json"
    path.write_text(json.dumps(results))
    table = adaptation_table(path)
    assert table.loc[("p", "5\u00a0%"), ("gain (dB)", "before")] == 5.0
    assert table.loc[("p", "5\u00a0%"), ("gain (dB)", "after")] == 6.5
    assert table.loc[("p", "5\u00a0%"), ("faint nodule (%)", "after")] == pytest.approx(70)
    assert table.loc[("p", "10\u00a0%"), ("gain (dB)", "before")] == 4.0
    assert np.isnan(table.loc[("p", "10\u00a0%"), ("gain (dB)", "after")])
    assert np.isnan(table.loc[("p", "5\u00a0%"), ("texture (HU)", "after")])

"""Oracle tables and R's answers on them (`tests/data/oracles/README.md`)."""

import json
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parent.parent / "data" / "oracles"


@pytest.fixture(scope="session")
def expected():
    return json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def oracle():
    def read(name: str) -> pd.DataFrame:
        return pd.read_csv(FOLDER / f"{name}.csv")

    return read

"""The published schema of passport.json: what is written keeps to it, what is broken does not."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.ct.denoiser import Denoiser
from ctlab.ct.volume import Volume
from ctlab.passport import make_passport, passport_schema
from ctlab.passport.document import FORMAT_VERSION

jsonschema = pytest.importorskip("jsonschema")
SHIPPED = Path(__file__).parents[2] / "experiments" / "shipped_model" / "passport.json"


@pytest.fixture(scope="module")
def written():
    """A passport of two families of checks; the other rows are null."""
    rng = np.random.default_rng(5)
    hu = np.full((3, 128, 128), -850.0)
    hu[:, :48] = 40.0
    hu += ct_noise(rng, hu.shape, sd_hu=15.0)
    volume = Volume(hu.astype(np.float32), (2.5, 0.7, 0.7))
    same = Denoiser("same", lambda hu, _mm: hu, "function", sha256="c" * 64)
    return make_passport([volume], same, slices=2, only=["accuracy", "invariance"]).as_dict()


def test_what_is_written_keeps_to_the_schema(written):
    schema = passport_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(written)), schema)
    jsonschema.validate(json.loads(SHIPPED.read_text("utf-8")), schema)
    assert schema["$id"].endswith(f":{FORMAT_VERSION}")


def broken(content, spoil):
    changed = copy.deepcopy(json.loads(json.dumps(content)))
    spoil(changed)
    return changed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.pop("checks"),
        lambda c: c.update(format_version=2),
        lambda c: c["checks"][0].update(value=None),  # yet passed
        lambda c: c["checks"][0].update(limit="5 HU"),
        lambda c: c["facts"]["data"][0].update(shape=[3, 128]),
        lambda c: c["facts"].update(checkpoint_sha256="short"),
    ],
)
def test_a_broken_passport_does_not(written, spoil):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken(written, spoil), passport_schema())


def test_checks_that_were_not_asked_for_say_so(written):
    rows = {check["name"]: check for check in written["checks"]}
    assert rows["bias in lung"]["value"] is not None
    assert rows["speed"]["value"] is None
    assert rows["speed"]["note"].startswith("not asked for")
    assert rows["explanation better than chance"]["note"].startswith("not asked for")
    with pytest.raises(ValueError, match=r"expected checks of accuracy, .* got sharpness; name"):
        make_passport([Volume(np.zeros((1, 8, 8)), (1, 1, 1))], only=["sharpness"])

"""The software bill of materials says what a release consists of, in the form of CycloneDX 1.6."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT7

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(book_script, tmp_path_factory):
    """The module, and its bill of a release of two files."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "inner").mkdir()
    (folder / "book.zip").write_bytes(b"pages")
    (folder / "inner" / "x.json").write_text("{}")
    (folder / "SHA256SUMS").write_text("")
    module = book_script("bill_of_materials")
    return module, folder, module.bill_of_materials(folder)


def schema_and_others() -> tuple[dict, Registry]:
    with zipfile.ZipFile(ROOT / "tests" / "data" / "cyclonedx-1.6.zip") as packed:
        names = [name for name in packed.namelist() if name.endswith(".json")]
        schemas = {name: json.loads(packed.read(name)) for name in names}
    for schema in schemas.values():
        del schema["$id"]  # references name files
    found = [(name, DRAFT7.create_resource(schema)) for name, schema in schemas.items()]
    return schemas["bom-1.6.SNAPSHOT.schema.json"], Registry().with_resources(found)


def test_it_follows_the_published_schema_and_its_references_lead_somewhere(made):
    _, _, bill = made
    schema, others = schema_and_others()
    validator = jsonschema.Draft7Validator(schema, registry=others)
    validator.validate(bill)
    wrong = {**bill, "components": [{**bill["components"][0], "type": "thing"}]}
    assert not validator.is_valid(wrong)
    known = {part["bom-ref"] for part in bill["components"]}
    assert len(known) == len(bill["components"])
    own = bill["metadata"]["component"]["bom-ref"]
    needs = {entry["ref"]: set(entry["dependsOn"]) for entry in bill["dependencies"]}
    assert set(needs) <= {own, *known}
    assert set().union(*needs.values()) <= known
    names = {ref.partition("@")[0].rpartition("/")[2] for ref in needs[own]}
    assert {"numpy", "pydicom", "tornado", "sphinx", "requirejs"} <= names


def test_it_names_every_pin_every_browser_package_and_every_file_with_its_hash(made, book_script):
    module, _, bill = made
    parts = {part["bom-ref"]: part for part in bill["components"]}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(module.pins()) == sum("==" in line for line in lines)
    assert {f"pkg:pypi/{name}@{version}" for name, version in module.pins().items()} <= set(parts)
    licence = parts[f"pkg:pypi/numpy@{module.pins()['numpy']}"]["licenses"][0]
    assert "BSD" in json.dumps(licence)
    vendor = book_script("vendor")
    for name, (version, integrity, _) in {**vendor.PACKAGES, **vendor.LIVE}.items():
        part = parts[f"pkg:npm/{name.replace('@', '%40')}@{version}"]
        assert bytes.fromhex(part["hashes"][0]["content"]) == base64.b64decode(integrity)
        assert "/".join(filter(None, [part.get("group"), part["name"]])) == name
    files = {ref: part for ref, part in parts.items() if part["type"] == "file"}
    assert set(files) == {"file:book.zip", "file:inner/x.json"}
    expected = [{"alg": "SHA-256", "content": hashlib.sha256(b"pages").hexdigest()}]
    assert files["file:book.zip"]["hashes"] == expected


def test_the_same_release_gives_the_same_bill_and_another_file_another_number(made):
    module, folder, bill = made
    assert module.bill_of_materials(folder) == bill
    (folder / "book.zip").write_bytes(b"other pages")
    assert module.bill_of_materials(folder)["serialNumber"] != bill["serialNumber"]

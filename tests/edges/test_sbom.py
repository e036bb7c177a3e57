"""What the image is made of: the document, and the licences."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from requirements.sbom import LOCK, Locked, Mismatch, document, licence, locked

# Each is free to use, change and give on; who gives it on names its authors.
PERMISSIVE: Final = {
    *("Apache-2.0", "BSD-3-Clause", "MIT", "PSF-2.0", "Apache-2.0 AND MIT"),
    *("Apache-2.0 AND BSD-2-Clause", "Apache-2.0 OR BSD-2-Clause"),
    # The same in the words of packages that do not use those of SPDX.
    *("Apache 2", "Apache 2.0", "Apache License, Version 2.0", "BSD License", "MIT License"),
    "BSD-derived (Repoze)",
}
# Changes of a file under the MPL stay under it; who only uses it owes nothing, and we change none.
UNCHANGED: Final = {
    "certifi": "MPL-2.0",
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT)",
}

LOCK_OF_TWO: Final = """\
# by hand
click==8.0 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:{a}
""".format(a="a" * 64, b="b" * 64)


@pytest.fixture(scope="module")
def written() -> str:
    return document(LOCK.read_text(encoding="utf-8"))


def test_the_document_is_cyclonedx(written: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None

    wrong: dict[str, Any] = json.loads(written)
    wrong["components"][0]["type"] = "libary"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(wrong)) is not None


def test_it_names_each_package_of_the_lock_with_its_version_files_and_licence(
    written: str,
) -> None:
    said = json.loads(written)
    packages = locked(LOCK.read_text(encoding="utf-8"))

    assert [(each["name"], each["version"]) for each in said["components"]] == [
        (name, version) for name, version, _ in packages
    ]
    for component, package in zip(said["components"], packages, strict=True):
        [files] = component["externalReferences"]
        assert {each["content"] for each in files["hashes"]} == {*package.hashes}
        assert component["licenses"]


def test_it_says_who_needs_whom_from_us_on(written: str) -> None:
    said = json.loads(written)
    needed = {each["ref"]: {*each.get("dependsOn", [])} for each in said["dependencies"]}
    ours = said["metadata"]["component"]["bom-ref"]
    reached, coming = set(), {ours}
    while coming:
        reached |= coming
        coming = {other for each in coming for other in needed[each]} - reached

    assert any("/faust-streaming@" in each for each in needed[ours])
    assert reached == {ours, *(each["bom-ref"] for each in said["components"])}


def test_the_same_lock_gives_the_same_document(written: str) -> None:
    assert document(LOCK.read_text(encoding="utf-8")) == written


def test_what_an_image_never_has_is_left_out() -> None:
    assert locked(LOCK_OF_TWO) == [Locked("click", "8.0", ("a" * 64, "b" * 64))]


def test_another_version_than_that_of_the_lock_makes_no_document() -> None:
    here = metadata.version("click")

    with pytest.raises(Mismatch, match=rf"click {here} is installed, the lock has 8.0"):
        document(LOCK_OF_TWO)


@pytest.mark.parametrize("name", [each.name for each in locked(LOCK.read_text(encoding="utf-8"))])
def test_a_package_that_is_given_on_is_under_a_licence_that_allows_it(name: str) -> None:
    said = licence(metadata.metadata(name))

    assert said in PERMISSIVE or said == UNCHANGED.get(name)

"""What the image is made of, as a CycloneDX document: `python -m requirements.sbom FILE`.

Versions and hashes are those of `requirements/runtime.txt`, which is what the image is installed
from; licences and who needs whom are what the packages say of themselves, as they are installed
here. The same lock gives the same document, byte for byte.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK: Final = Path(__file__).with_name("runtime.txt")
NAME: Final = "floorwatch"

_PINNED: Final = re.compile(r"^([\w.-]+)==([^\s;]+)(?: ; (.+?))?(?: \\)?$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LINUX: Final = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
_CLASSIFIER: Final = "License :: OSI Approved :: "


class Locked(NamedTuple):
    """A package of the lock.

    Attributes:
        name: in its canonical form.
        version: the only one that is installed.
        hashes: SHA-256 of each file that may be installed for it, in hex.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


class Mismatch(RuntimeError):
    """What is installed here is not what the lock says."""


def locked(text: str) -> list[Locked]:
    """Every package of a lock's *text* that an image, which is Linux, has."""
    packages: list[Locked] = []
    for entry in re.split(r"\n(?=[\w.-]+==)", text)[1:]:
        first, *rest = entry.splitlines()
        pinned = _PINNED.match(first)
        if pinned is None:
            raise ValueError(f"no pinned package: {first}")
        name, version, marker = pinned.groups()
        if marker is None or Marker(marker).evaluate({**_LINUX, "extra": ""}):
            found = tuple(_HASH.findall("\n".join(rest)))
            packages.append(Locked(canonicalize_name(name), version, found))
    return packages


def licence(package: metadata.PackageMetadata) -> str:
    """The licence that a package says it has; in the words of SPDX where it uses them."""
    if "License-Expression" in package:
        return package["License-Expression"]
    classified = [
        each.removeprefix(_CLASSIFIER)
        for each in package.get_all("Classifier") or []
        if each.startswith(_CLASSIFIER)
    ]
    free: list[str] = package.get_all("License") or []
    if free and "\n" not in free[0]:
        return free[0]
    return " AND ".join(sorted(classified)) or "unknown"


def needs(name: str) -> set[str]:
    """The packages that the installed *name* needs on Linux, without its extras."""
    found = map(Requirement, metadata.requires(name) or [])
    return {
        canonicalize_name(each.name)
        for each in found
        if each.marker is None or each.marker.evaluate({**_LINUX, "extra": ""})
    }


def document(lock: str) -> str:
    """The document of the packages of *lock*, as JSON.

    Raises:
        Mismatch: another version is installed than the one of the lock, or none.
    """
    packages = locked(lock)
    ours = _component(NAME, metadata.version(NAME), (), ComponentType.APPLICATION)
    # The identity of a document is what it says, so that it is the same for the same lock.
    said = uuid5(NAMESPACE_URL, f"{ours.purl}\n{lock}")
    bom = Bom(serial_number=said, components=_components(packages))
    bom.metadata.component = ours
    bom.metadata.timestamp = None  # type: ignore[assignment]  # optional in the schema, not here
    by_name = {component.name: component for component in [ours, *bom.components]}
    for name, component in by_name.items():
        bom.register_dependency(component, [by_name[each] for each in needs(name) & {*by_name}])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _components(packages: list[Locked]) -> Iterator[Component]:
    for name, version, hashes in packages:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed != version:
            raise Mismatch(
                f"{name} {installed} is installed, the lock has {version}: make .venv/.test"
            )
        yield _component(name, version, hashes, ComponentType.LIBRARY)


def _component(name: str, version: str, hashes: tuple[str, ...], kind: ComponentType) -> Component:
    said = licence(metadata.metadata(name))
    known = LicenseFactory()
    try:
        licences = [known.make_from_string(said)]
    except ValueError:
        licences = [DisjunctiveLicense(name=said)]
    purl = PackageURL("pypi", name=name, version=version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        comment="one of these files, whichever fits Python and processor",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
    )
    return Component(
        name=name,
        version=version,
        type=kind,
        purl=purl,
        bom_ref=str(purl),
        licenses=licences,
        external_references=[files] if hashes else [],
    )


def main() -> int:
    """Write the document to the file that the command line names."""
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.write_text(document(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    except Mismatch as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

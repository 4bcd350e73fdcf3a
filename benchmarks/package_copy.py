"""Writes a package with other contents, for benchmarks that change one."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cspine.modelpack.manifest import PackageManifest
from cspine.storage.files import replacing_folder

_CARD = "card.md"


def write_copy(manifest: PackageManifest, card: str, files: Mapping[str, bytes], folder: Path) -> None:
    """Writes a package.

    Args:
        manifest: What it says; checksums are filled in here.
        card: The model card, Markdown.
        files: All other files by their name.
        folder: Where to; what stood there is replaced.
    """
    contents = {**files, _CARD: card.encode("utf-8")}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as made:
        for name, content in contents.items():
            (made / name).write_bytes(content)
        (made / "manifest.json").write_text(replace(manifest, checksums=sums).to_json(), encoding="utf-8")

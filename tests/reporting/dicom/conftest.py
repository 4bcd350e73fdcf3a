"""Every scan with its objects, made once and only when a test asks for it."""

from collections.abc import Callable

import pytest

pytest.importorskip("highdicom")

from tests.reporting.dicom.archived import Archived, archived

Make = Callable[[str], Archived]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder, kept = tmp_path_factory.mktemp("archive"), dict[str, Archived]()

    def make(name: str) -> Archived:
        if name not in kept:
            kept[name] = archived(name, folder / name)
        return kept[name]

    return make

import re
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gallery.sheet import Row, Sheet

DOCS = Path(__file__).parents[2] / "docs"
LARGEST_BYTES = 250_000


def test_every_picture_of_the_page_is_there_and_small() -> None:
    named = re.findall(r"\]\(\.\./(images/[^)]+\.png)\)", (DOCS / "explanation" / "gallery.md").read_text(encoding="utf-8"))

    assert len(named) == 9
    assert all((DOCS / name).stat().st_size < LARGEST_BYTES for name in named)
    assert sum((DOCS / name).stat().st_size for name in named) < 3_000_000


def test_a_sheet_keeps_its_tiles_in_their_places(tmp_path: Path) -> None:
    dark, bright = np.full((20, 30), -450, np.float32), np.full((20, 30), 1350, np.float32)
    Sheet([Row("above", [dark, bright], ["a", "b"]), Row("below", [None, dark])]).save(tmp_path / "sheet.png")
    image = np.asarray(Image.open(tmp_path / "sheet.png"))

    assert image.shape[1] == 63
    assert (image[40, 5], image[40, 40]) == (0, 255)
    assert (image[-10, 5], image[-10, 40]) == (255, 0)

import re
from pathlib import Path

from benchmarks.screenshots import SHOTS

DOCS = Path(__file__).parents[2] / "docs"
LARGEST_BYTES = 300_000


def test_the_page_about_pages_shows_every_screenshot_and_each_is_small() -> None:
    named = re.findall(r"images/(page-[\w-]+)\.webp", (DOCS / "reference" / "pages.md").read_text(encoding="utf-8"))

    assert sorted(named) == sorted(shot.name for shot in SHOTS)
    assert all((DOCS / "images" / f"{name}.webp").stat().st_size < LARGEST_BYTES for name in named)

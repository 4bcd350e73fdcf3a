"""Writes the pictures of docs/reference/pages.md into a folder: pages of studies, as a headless Chromium shows them."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from benchmarks.browser import Browser, chromium
from benchmarks.gallery.subjects import bare, phantom, scanned
from cspine.anatomy import Level
from cspine.detection import Detector
from cspine.phantoms import Neck
from cspine.reading import read_study
from cspine.reporting import write_result
from cspine.reporting.pages.overview import write_overview
from cspine.study import Study

_QUALITY = 82
_VOXEL_MM = (0.8, 0.45, 0.45)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of a page.

    Attributes:
        name: Its file, without the ending.
        page: The page, below the folder of the batch.
        width: Of the window.
        height: Of the window.
        dark: Which colours the system prefers.
        part: What is scrolled to; the whole page where nothing is named.
    """

    name: str
    page: str
    width: int = 1180
    height: int = 820
    dark: bool = False
    part: str = ""


SHOTS = (
    Shot("page-odontoid", "phantom-odontoid/result.html"),
    Shot("page-viewer", "phantom-odontoid/result.html", dark=True, part="#viewer"),
    Shot("page-phone", "phantom-odontoid/result.html", width=390, height=844),
    Shot("page-normal", "phantom-normal/result.html"),
    Shot("page-fullhead", "ct-fullhead/result.html", dark=True),
    Shot("page-rejected", "pelvis/result.html"),
    Shot("page-overview", "index.html", height=560),
)


def studies(data: Path) -> Iterator[Study]:
    """Yields a phantom with a fracture of the dens, an intact one, a real neck and a real pelvis."""
    yield _scan(phantom(1, Level.C2), "phantom-odontoid")
    yield _scan(bare(phantom(12)), "phantom-normal")
    yield replace(read_study(data / "ct_fullhead" / "fullhead_HU.nii.gz"), name="ct-fullhead")
    yield replace(read_study(data / "negative_no_cspine" / "pelvis_ct.zip"), name="pelvis")


def write_batch(out: Path, data: Path, detector: Detector) -> None:
    """Predicts the studies and writes their pages and the overview, as a batch would."""
    cases = []
    for study in studies(data):
        prediction = detector.predict(study)
        folder = out / study.name
        folder.mkdir()
        files = write_result(prediction, study, folder, ["json", "html"]).files
        reasons = [reason.text for reason in prediction.result.reasons]
        cases.append({"name": study.name, "status": prediction.result.status, "files": files, "reason": reasons[0]})
        print(study.name, prediction.result.overall)
    run = {"model": asdict(detector.model), "operating_point": detector.operating_point, "cases": cases}
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")
    write_overview(out)


def shoot(browser: Browser, batch: Path, shot: Shot, out: Path) -> None:
    """Takes one picture, and keeps it small."""
    browser.open(batch / shot.page, shot.width, shot.height, dark=shot.dark)
    if shot.part:
        browser.evaluate(f'document.querySelector("{shot.part}").scrollIntoView()')
        browser.painted()
    path = out / f"{shot.name}.webp"
    browser.screenshot(path, whole=not shot.part)
    if browser.console:
        raise RuntimeError(f"{shot.page} complained: {browser.console}")
    Image.open(path).convert("RGB").save(path, quality=_QUALITY)
    print(path.name, f"{path.stat().st_size / 1000:.0f} kB", f"{(batch / shot.page).stat().st_size / 1e6:.1f} MB")


def _scan(neck: Neck, name: str) -> Study:
    volume = scanned(neck, neck.scan_grid(_VOXEL_MM, 140.0, 30.0, 30.0))
    return Study(name=name, volume=volume, study_uid=None, series_uid=None, orientation="axial")


def main() -> None:
    """Takes all pictures in one command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the pictures")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="the real scans")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="an empty folder to keep the pages in")
    options = parser.parse_args()
    program = chromium()
    if program is None:
        parser.error("pictures of pages need Chromium; there is none on this machine")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Browser(program) as browser:
        batch = Path(scratch) / "batch" if options.keep is None else options.keep
        batch.mkdir(exist_ok=True)
        write_batch(batch, options.data, Detector())
        for shot in SHOTS:
            shoot(browser, batch, shot, options.out)


if __name__ == "__main__":
    main()

"""``result-uids.html``: the page of a study with the identifiers by which an archive finds it, where they are asked for."""

from pathlib import Path

from cspine.evidence import Prediction
from cspine.reporting.pages.nouns import Fact
from cspine.reporting.pages.study import study_page, to_html
from cspine.reporting.written import Written
from cspine.results import StudyResult
from cspine.study import Study

FILES = ("result-uids.html",)


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result-uids.html``."""
    page = study_page(prediction, study, identifiers(prediction.result))
    (folder / FILES[0]).write_text(to_html(page), encoding="utf-8")
    return Written(FILES)


def identifiers(result: StudyResult) -> tuple[Fact, ...]:
    """Returns the unique identifiers of the study, its series and its key slices, where the scan has them."""
    known = [("Study", result.study.study_uid), ("Series", result.study.series_uid)]
    known += [(f"Key slice of {finding.level.name}", finding.key_slice.sop_uid) for finding in result.levels if finding.key_slice]
    return tuple(Fact(name, uid) for name, uid in known if uid is not None)

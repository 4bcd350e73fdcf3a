"""``result.html``: one study on a page that says where to look, without identifiers."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cspine.evidence import Prediction
from cspine.geometry import Grid
from cspine.reporting.numbering import numbering_of
from cspine.reporting.pages.nouns import Cell, Fact, Panel, StudyPage, Window
from cspine.reporting.pages.pictures import level_pictures, scout, whole_pictures
from cspine.reporting.pages.stack import make_stack, slice_at, stack_grid
from cspine.reporting.pages.templating import render
from cspine.reporting.pages.tone import tone
from cspine.reporting.pages.verdict import verdict
from cspine.reporting.suspicion import by_suspicion
from cspine.reporting.views import BONE_WINDOW_HU, key_height_mm
from cspine.reporting.words import STATUS_WORDS, moment, percent, reasons_and_warnings, short_name, span
from cspine.reporting.written import Written
from cspine.results import DISCLAIMER, Assessment, LevelFinding, LevelStatus, StudyResult, StudyStatus
from cspine.study import Study

FILES = ("result.html",)
TEMPLATE = "study.html"

WINDOWS = (
    Window("Bone", int(BONE_WINDOW_HU[0]), int(BONE_WINDOW_HU[1])),
    Window("Soft tissue", -150, 250),
    Window("Wide", -1000, 2000),
)
CHECKS = ("Hounsfield units", "number and extent of slices", "cervical vertebrae in view")


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result.html``."""
    (folder / FILES[0]).write_text(to_html(study_page(prediction, study)), encoding="utf-8")
    return Written(FILES)


def to_html(page: StudyPage) -> str:
    """Returns the page as a file."""
    return render(TEMPLATE, context(page))


def context(page: StudyPage) -> dict[str, Any]:
    """Returns what the template is given: the attributes of :class:`StudyPage`, by name."""
    return {attribute.name: getattr(page, attribute.name) for attribute in fields(page)}


def study_page(prediction: Prediction, study: Study, identifiers: tuple[Fact, ...] = ()) -> StudyPage:
    """Returns what the page of a study says and shows."""
    result = prediction.result
    grid = stack_grid(study, result) if result.status is StudyStatus.OK else None
    cells = {finding.level: _cell(study, finding, grid) for finding in result.levels}
    alarming = [finding for finding in by_suspicion(result) if finding.assessment and finding.assessment.positive]
    shown = alarming or by_suspicion(result)[:1]
    return StudyPage(
        name=short_name(result),
        verdict=verdict(result),
        disclaimer=DISCLAIMER,
        caution=result.caution,
        strip=(_overall(result.overall), *cells.values()) if result.overall else (),
        numbering=f"stored {study.orientation}, numbered {numbering_of(study).meaning}",
        panels=tuple(Panel(cells[finding.level], level_pictures(prediction, study, finding)) for finding in shown),
        alarm=bool(alarming),
        seen=whole_pictures(study) if grid is None else (),
        scout=None if grid is None else scout(prediction, study, grid),
        stack=None if grid is None else make_stack(prediction, study, grid),
        windows=WINDOWS,
        notes=_notes(result),
        checks=CHECKS if result.status is StudyStatus.OK else (),
        facts=_facts(result),
        model=_model(result),
        figures=_figures(result),
        identifiers=identifiers,
    )


def _overall(assessment: Assessment) -> Cell:
    return _assessed(Cell("Any", tone(assessment), ""), assessment)


def _cell(study: Study, finding: LevelFinding, grid: Grid | None) -> Cell:
    status = "" if finding.status is LevelStatus.ASSESSED else STATUS_WORDS[finding.status]
    image = None if finding.key_slice is None else numbering_of(study).numbers[finding.key_slice.index]
    place = None if grid is None or finding.centre_mm is None else slice_at(grid, key_height_mm(study, finding))
    cell = Cell(finding.level.name, tone(finding.assessment), status, image=image, slice=place)
    return cell if finding.assessment is None else _assessed(cell, finding.assessment)


def _assessed(cell: Cell, assessment: Assessment) -> Cell:
    return replace(
        cell,
        probability=percent(assessment.probability),
        range=span(assessment),
        unsure=not assessment.sure,
        share=round(100 * assessment.probability, 1),
        threshold=percent(assessment.threshold),
        threshold_share=round(100 * assessment.threshold, 1),
    )


def _notes(result: StudyResult) -> tuple[str, ...]:
    """Returns warnings of reading, and what else to mind; why a study was rejected stands in its verdict."""
    reasons = reasons_and_warnings(result) if result.status is StudyStatus.OK else result.study.warnings
    return tuple(reason.text for reason in reasons)


def _facts(result: StudyResult) -> tuple[Fact, ...]:
    study = result.study
    across = " x ".join(f"{step:.2f}" for step in study.spacing_mm[1:])
    return (
        Fact("Slices", f"{study.slices}, stored {study.orientation}"),
        Fact("Voxels", f"{across} mm, every {study.spacing_mm[0]:.2f} mm"),
        Fact("Written", moment(result.created)),
    )


def _model(result: StudyResult) -> tuple[Fact, ...]:
    model, finder = result.model, result.localiser
    return (
        Fact("Classified by", f"{model.name}, version {model.version}, {model.sha256[:12]}"),
        Fact("It was trained on", model.trained_on),
        Fact("Vertebrae found by", f"{finder.name}, version {finder.version}, {finder.sha256[:12]}"),
        Fact("It was trained on", finder.trained_on),
    )


def _figures(result: StudyResult) -> tuple[Fact, ...]:
    return tuple(Fact(figure.name, f"{figure.value:.3f} ({figure.interval})") for figure in result.model.figures)

"""One study, one result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.detection.findings import judge, level_findings, what_to_mind
from cspine.detection.quality import check_located, check_scan
from cspine.detection.stack import StackScores, slices_around, visible_levels
from cspine.evidence import Evidence, Examination, HeatMap
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import network_input
from cspine.locating import Localiser
from cspine.modelpack import Manifest, Package, load_package, pool_slices
from cspine.reading import read_study
from cspine.results import LevelFinding, LevelStatus, ModelFacts, Reason, StudyFacts, StudyResult, StudyStatus
from cspine.runtime import Engine, open_session
from cspine.study import Study
from cspine.volume import Volume

_BATCH = 32
"""Slices that the network sees at once: memory does not grow with the scan."""

_HEAT = "fracture_map"
"""The output that says where, of networks that have it: ``(n, rows, columns, 1)`` in cells of several pixels."""


class Detector:
    """Judges studies with one model package and one localiser, loaded once.

    Attributes:
        package: The model package.
        localiser: What finds the vertebrae.
    """

    package: Package[Manifest]
    localiser: Localiser

    def __init__(
        self,
        package: Package[Manifest] | str | Path | None = None,
        engine: Engine | None = None,
        operating_point: str | None = None,
        localiser: Localiser | str | Path | None = None,
    ) -> None:
        """Loads the networks.

        Args:
            package: A loaded package, its folder or its name; the shipped one if ``None``.
            engine: Where and how to run; the precision is the package's.
            operating_point: The thresholds to use; the package's default if ``None``.
            localiser: What finds the vertebrae, or its package by folder or name; the shipped one if ``None``.

        Raises:
            PackageError: The package or the operating point does not exist, or the package is damaged.
        """
        self.package = package if isinstance(package, Package) else load_package(package)
        manifest = self.package.manifest
        self._point = manifest.operating_point(operating_point)
        self.localiser = localiser if isinstance(localiser, Localiser) else Localiser(localiser, engine)
        network = manifest.network("slices")
        self._session = open_session(self.package.network_path("slices"), replace(engine or Engine(), precision=network.precision))

    def __call__(self, study: Study) -> StudyResult:
        """The result for one study: judged, or rejected with reasons.

        Raises:
            PackageError: The network does not do what its manifest says.
        """
        return self.examine(study).result

    def examine(self, study: Study) -> Examination:
        """The result for one study with what it rests on, for pictures and archives.

        Raises:
            PackageError: The network does not do what its manifest says.
        """
        manifest, seconds = self.package.manifest, dict[str, float]()
        with _clock(seconds, "check"):
            reasons = check_scan(study.volume, manifest.quality)
        if reasons:
            return self._rejected(study, reasons, seconds, LevelStatus.UNCERTAIN)
        with _clock(seconds, "locate"):
            located = self.localiser(study.volume)
        evidence = Evidence(labels=located.labels, line_mm=located.line_mm)
        reasons = check_located(located)
        if reasons:
            unknown = LevelStatus.UNCERTAIN if located.vertebrae else LevelStatus.NOT_IN_VIEW
            return replace(self._rejected(study, reasons, seconds, unknown), evidence=evidence)
        with _clock(seconds, "cut"):
            stack = sample(study.volume, slices_around(located, study.volume.grid, manifest.spec))
        with _clock(seconds, "classify"):
            fracture, heat = self._look(stack)
            scores = StackScores(stack.grid, pool_slices(fracture, visible_levels(located, stack.grid)))
        with _clock(seconds, "judge"):
            probabilities = manifest.calibration.apply(scores.pooled.outputs)
            levels = level_findings(study, located, scores, probabilities, self._point)
        result = StudyResult(
            status=StudyStatus.OK,
            reasons=what_to_mind(manifest, levels),
            study=facts_of(study),
            model=self.model,
            localiser=self.localiser.model,
            operating_point=self.operating_point,
            overall=judge(probabilities[0], self._point.thresholds[0]),
            levels=levels,
            timings_s=seconds,
            created=_now(),
        )
        return Examination(result, replace(evidence, heat=heat))

    def _look(self, stack: Volume) -> tuple[NDArray[np.float32], HeatMap | None]:
        """Fracture by slice, ``(n, 7)``, and where, if the network says so."""
        spec, count = self.package.manifest.spec, stack.grid.shape[0]
        batches = [range(begin, min(begin + _BATCH, count)) for begin in range(0, count, _BATCH)]
        outputs = [self._session.run(network_input(stack, spec, batch)) for batch in batches]
        fracture = np.concatenate([output["fracture"] for output in outputs])
        heat = np.concatenate([output[_HEAT] for output in outputs])[..., 0] if _HEAT in outputs[0] else None
        return fracture, None if heat is None else HeatMap(heat, _cells(stack.grid, heat.shape))

    def _rejected(self, study: Study, reasons: tuple[Reason, ...], seconds: dict[str, float], levels: LevelStatus) -> Examination:
        result = StudyResult(
            status=StudyStatus.REJECTED,
            reasons=reasons + what_to_mind(self.package.manifest, ()),
            study=facts_of(study),
            model=self.model,
            localiser=self.localiser.model,
            operating_point=self.operating_point,
            overall=None,
            levels=tuple(LevelFinding(level, levels) for level in CERVICAL),
            timings_s=seconds,
            created=_now(),
        )
        return Examination(result)

    @property
    def operating_point(self) -> str:
        """Name of the thresholds in use."""
        return self._point.name

    @property
    def model(self) -> ModelFacts:
        """What results say about the package."""
        manifest = self.package.manifest
        return ModelFacts(manifest.name, manifest.version, self.package.sha256, manifest.trained_on, manifest.training.figures)


def detect(
    path: str | Path, model: str | Path | None = None, series_uid: str | None = None, localiser: str | Path | None = None
) -> StudyResult:
    """Reads one study and judges it.

    Args:
        path: Folder, zip or NIfTI file of one study.
        model: A model package, by its folder or name; the shipped one if ``None``.
        series_uid: Which series, where there are several.
        localiser: The package that finds the vertebrae; the shipped one if ``None``.

    Raises:
        StudyError: The scan cannot be read.
        PackageError: The package cannot be used.
    """
    detector, seconds = Detector(model, localiser=localiser), dict[str, float]()
    with _clock(seconds, "read"):
        study = read_study(Path(path), series_uid=series_uid)
    result = detector(study)
    return replace(result, timings_s=seconds | result.timings_s)


def facts_of(study: Study) -> StudyFacts:
    """What a result says about the scan."""
    return StudyFacts(
        name=study.name,
        study_uid=study.study_uid,
        series_uid=study.series_uid,
        slices=len(study.sources) or study.volume.grid.shape[0],
        spacing_mm=study.volume.grid.spacing_mm,
        orientation=study.orientation,
        warnings=tuple(Reason(warning.code, warning.text) for warning in study.warnings),
    )


def _cells(slices: Grid, shape: tuple[int, ...]) -> Grid:
    """The grid of cells that lie over whole slices."""
    z, y, x = slices.spacing_mm
    count, rows, columns = shape
    cell = (z, y * slices.shape[1] / rows, x * slices.shape[2] / columns)
    return replace(
        Grid.upright(slices.centre_mm, (count, rows, columns), cell), frame_of_reference_uid=slices.frame_of_reference_uid
    )


@contextmanager
def _clock(seconds: dict[str, float], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - begin, 4)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

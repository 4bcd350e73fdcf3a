"""One study, one result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine import reading
from cspine.anatomy import CERVICAL
from cspine.concurrency.threads import alone
from cspine.detection.classifiers import Classifier
from cspine.detection.clock import Clock
from cspine.detection.findings import assessments_of, level_findings, scores_of, what_to_mind
from cspine.detection.quality import check_located, check_pixels, check_scan, mind_scan, what_is_odd
from cspine.detection.slice_classifier import SliceClassifier
from cspine.detection.vertebra_classifier import VertebraClassifier
from cspine.errors import PackageError
from cspine.evidence import Evidence, Prediction
from cspine.geometry import Grid
from cspine.locating import Localiser
from cspine.modelpack import Manifest, Package, SliceManifest, VertebraManifest, load_package
from cspine.moment import now
from cspine.results import LevelFinding, LevelStatus, ModelFacts, Reason, StudyFacts, StudyResult, StudyStatus
from cspine.runtime import Engine, Session
from cspine.serving import open_network
from cspine.study import Study


class Detector:
    """Predicts studies with one model package and one localiser, loaded once.

    Several threads may use one detector at the same time: each call has buffers and inference requests of its own, and gives the
    same result as it would alone. Meanwhile numpy's matrix products keep to one thread in all of the process; the number of before
    comes back when the last call ends.

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
        network = open_network(self.package, manifest.networks[0].role, engine or Engine())
        self._classifier = _classifier_of(manifest, network.session)
        self._standing = tuple(dict.fromkeys((*network.reasons, *self.localiser.reasons)))

    def __call__(self, scan: "reading.AnyScan", grid: Grid | None = None) -> StudyResult:
        """Returns the result for one study: assessed, or rejected with reasons.

        Args:
            scan: A study; or what :func:`cspine.as_study` makes one of: an array ``(z, y, x)`` in Hounsfield units with its
                ``grid``, a volume, a NIfTI image of nibabel, the data sets of a series, a path.
            grid: Where the voxels of an array lie.

        Raises:
            StudyError: What is given cannot be read as a study.
            GeometryError: An array does not have the shape of its grid.
            PackageError: The network does not do what its manifest says.
        """
        return self.predict(scan, grid).result

    def predict(self, scan: "reading.AnyScan", grid: Grid | None = None) -> Prediction:
        """Returns the result for one study with what it rests on, for pictures and archives; otherwise as calling."""
        study = scan if isinstance(scan, Study) and grid is None else reading.as_study(scan, grid)
        with alone():
            return self._predicted(study, Clock())

    def scores(self, study: Study) -> NDArray[np.float64] | None:
        """Returns what the network predicts for a study as it serves, overall and C1..C7, not calibrated, ``(8,)``.

        Calibration is fitted to these. Levels that get no probability have 0; a study that is rejected has none (``None``).

        Raises:
            PackageError: The network does not do what its manifest says.
        """
        with alone():
            limits = self.package.manifest.quality
            if check_scan(study.volume, limits) or check_pixels(study.volume, limits):
                return None
            located = self.localiser(study.volume)
            if check_located(located):
                return None
            classification = self._classifier(study.volume, located, Clock())
            return None if classification.refusals else scores_of(located, classification)

    def _predicted(self, study: Study, clock: Clock) -> Prediction:
        manifest = self.package.manifest
        with clock.stage("check"):
            reasons = check_scan(study.volume, manifest.quality)
        if reasons:
            return self._rejected(study, reasons, clock.seconds, LevelStatus.UNCERTAIN)
        with clock.stage("locate"):
            located = self.localiser(study.volume)
        evidence = Evidence(labels=located.labels, line_mm=located.line_mm)
        reasons = check_located(located) or check_pixels(study.volume, manifest.quality)
        if reasons:
            unknown = LevelStatus.UNCERTAIN if located.vertebrae else LevelStatus.NOT_IN_VIEW
            return replace(self._rejected(study, reasons, clock.seconds, unknown), evidence=evidence)
        classification = self._classifier(study.volume, located, clock)
        if classification.refusals:
            return replace(self._rejected(study, classification.refusals, clock.seconds, LevelStatus.UNCERTAIN), evidence=evidence)
        with clock.stage("calibrate"):
            assessments = assessments_of(located, classification, manifest.calibration, self._point)
            levels = level_findings(study, located, classification, assessments[1:])
            reasons = (
                *what_to_mind(manifest, assessments[0], levels),
                *mind_scan(study.volume, manifest.quality),
                *classification.reasons,
                *what_is_odd(located, study.volume),
                *self._standing,
            )
        result = StudyResult(
            status=StudyStatus.OK,
            reasons=reasons,
            study=facts_of(study),
            model=self.model,
            localiser=self.localiser.model,
            operating_point=self.operating_point,
            overall=assessments[0],
            levels=levels,
            timings_s=clock.seconds,
            created=now().isoformat(timespec="seconds"),
        )
        return Prediction(result, replace(evidence, heat=classification.heat))

    def _rejected(self, study: Study, reasons: tuple[Reason, ...], seconds: dict[str, float], levels: LevelStatus) -> Prediction:
        result = StudyResult(
            status=StudyStatus.REJECTED,
            reasons=(*reasons, *what_to_mind(self.package.manifest, None, ()), *self._standing),
            study=facts_of(study),
            model=self.model,
            localiser=self.localiser.model,
            operating_point=self.operating_point,
            overall=None,
            levels=tuple(LevelFinding(level, levels) for level in CERVICAL),
            timings_s=seconds,
            created=now().isoformat(timespec="seconds"),
        )
        return Prediction(result)

    @property
    def operating_point(self) -> str:
        """Returns the name of the thresholds in use."""
        return self._point.name

    @property
    def model(self) -> ModelFacts:
        """Returns what results say about the package."""
        manifest = self.package.manifest
        return ModelFacts(manifest.name, manifest.version, self.package.sha256, manifest.trained_on, manifest.training.figures)


def detect(
    path: str | Path, model: str | Path | None = None, series_uid: str | None = None, localiser: str | Path | None = None
) -> StudyResult:
    """Reads one study and predicts its fractures.

    Args:
        path: Folder, zip or NIfTI file of one study.
        model: A model package, by its folder or name; the shipped one if ``None``.
        series_uid: Which series, where there are several.
        localiser: The package that finds the vertebrae; the shipped one if ``None``.

    Raises:
        StudyError: The scan cannot be read.
        PackageError: The package cannot be used.
    """
    detector, clock = Detector(model, localiser=localiser), Clock()
    with clock.stage("read"):
        study = reading.read_study(Path(path), series_uid=series_uid)
    result = detector(study)
    return replace(result, timings_s=clock.seconds | result.timings_s)


def _classifier_of(manifest: Manifest, session: Session) -> Classifier:
    if isinstance(manifest, VertebraManifest):
        return VertebraClassifier(manifest, session)
    if isinstance(manifest, SliceManifest):
        return SliceClassifier(manifest, session)
    raise PackageError(f"A package that classifies is of kind {Manifest.KIND}. Received: {manifest.kind}.")


def facts_of(study: Study) -> StudyFacts:
    """Returns what a result says about the scan."""
    return StudyFacts(
        name=study.name,
        study_uid=study.study_uid,
        series_uid=study.series_uid,
        slices=len(study.sources) or study.volume.grid.shape[0],
        spacing_mm=study.volume.grid.spacing_mm,
        orientation=study.orientation,
        warnings=tuple(Reason(warning.code, warning.text) for warning in study.warnings),
    )

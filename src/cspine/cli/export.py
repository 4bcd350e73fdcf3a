"""Turns a trained run into a model package that `cspine detect` takes as --model, or, of a localiser, as --localiser.

Networks are written as OpenVINO IR, and only if they agree with the trained ones. Probabilities and thresholds come from the
patients that the network has not seen.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.files import print_files
from cspine.cli.keras_import import load_keras
from cspine.cli.screen import Screen
from cspine.errors import PackageError, UsageError, one_line
from cspine.storage.codec import decode, decode_each
from cspine.storage.strict_json import read_json

if TYPE_CHECKING:
    from cspine.modelpack import Figure
    from cspine.training.core.packages import PackageRequest
    from cspine.training.core.runs import Run
    from cspine.training.localiser.packing import FineNetwork


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run of `cspine train`")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="PACKAGE", help="folder of the package")
    parser.add_argument("--data", type=Path, metavar="DIR", help="of a classifier: data set folder of the run, for stored samples")
    parser.add_argument(
        "--refiner",
        metavar="RUN|PACKAGE",
        help="of a localiser: a run of the recipe refiner, or a package by folder or name, whose refiner is kept",
    )
    parser.add_argument(
        "--precision",
        choices=["f32", "bf16"],
        default="f32",
        help="numerical precision of a localiser or a vertebra classifier; a network that bf16 changes too much stays in f32 "
        "(default: f32)",
    )
    parser.add_argument(
        "--fold",
        default="0",
        metavar="K|all",
        help="the fold whose network is exported, or all: one package averages them, at their number times the cost (default: 0)",
    )
    _add_card_arguments(parser)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")


def _add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the package says about itself."""
    parser.add_argument("--name", help="name of the package (default: that of its folder)")
    parser.add_argument("--package-version", default="1", metavar="V", help="version of the package (default: 1)")
    parser.add_argument(
        "--trained-on",
        choices=["phantoms", "phantoms and grafts", "patients", "patients and phantoms"],
        default=None,
        help="who was in the training set (default: as the data say)",
    )
    parser.add_argument("--describe", metavar="TEXT", help="the data set in words, for the card (default: its size)")
    parser.add_argument(
        "--evaluation",
        action="append",
        type=Path,
        metavar="JSON",
        help="evaluation.json on unseen studies, whose numbers the card shows; of a localiser, several may be given",
    )
    parser.add_argument(
        "--coarse-mm",
        nargs=2,
        type=float,
        metavar=("SLICES", "PIXELS"),
        help="of a classifier: from which distances on a result says that the scan is coarse (default: 1.5 0.8)",
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    load_keras()
    from cspine.cli.families import family_of_run
    from cspine.training.core.export import export
    from cspine.training.core.family import TrainingPlace, classifies
    from cspine.training.core.runs import open_run
    from cspine.training.localiser.family import LocaliserFamily

    current = open_run(options.run_folder)
    family = family_of_run(current)
    if isinstance(family, LocaliserFamily):
        refiner = _refiner(options.refiner) if options.refiner is not None else None
        request = _localiser_request(current, refiner, options)
        family = replace(family, fine=refiner.network if refiner else None)
    elif classifies(family):
        request = _classifier_request(current, options)
    else:
        raise UsageError("A refiner is exported with the localiser whose vertebrae it outlines: `cspine export RUN --refiner RUN`.")
    place = TrainingPlace(options.cache or options.run_folder.absolute().parent / "cache", options.data)
    with Screen() as screen:
        manifest = export(family, current, request, place, options.out, screen).manifest
    print(f"exported {manifest.name} {manifest.version}: {options.out}")  # noqa: T201
    averaged = len(request.folds)
    if averaged > 1:
        print(f"It averages {averaged} networks, so that prediction costs {averaged} times the calculation of one.")  # noqa: T201
    print_files(options.out, sorted(path.name for path in options.out.iterdir()))
    return 0


def _classifier_request(current: "Run", options: argparse.Namespace) -> "PackageRequest":
    from cspine.modelpack import TrainingData
    from cspine.phantoms.graft.collection import EDITS_TABLE
    from cspine.training.core.packages import PackageRequest
    from cspine.training.core.runs import same_cases

    if options.data is None or options.refiner is not None or len(options.evaluation or ()) > 1:
        raise UsageError(
            "A classifier is exported with --data DIR, the data set of its run, one --evaluation, and without --refiner."
        )
    made = "phantoms and grafts" if (options.data / EDITS_TABLE).is_file() else "phantoms"
    whom = made if all(case.truth for case in same_cases(current, options.data)) else "patients"
    return PackageRequest(
        name=options.name or options.out.resolve().name,
        version=options.package_version,
        folds=_folds(current, options.fold),
        data=options.describe or f"{current.facts.studies} studies of {current.facts.data}",
        training_data=TrainingData(options.trained_on or whom),
        precision=options.precision,
        figures=_figures(options.evaluation[0]) if options.evaluation else (),
        coarse_mm=_coarse_limits(options.coarse_mm),
    )


def _folds(current: "Run", text: str) -> tuple[int, ...]:
    if text == "all":
        return current.fold_numbers
    if not text.isdecimal() or int(text) not in current.fold_numbers:
        raise UsageError(f"--fold needs all or one of {', '.join(map(str, current.fold_numbers))}. Received: {one_line(text, 20)}")
    return (int(text),)


def _coarse_limits(given: list[float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    slices, pixels = given
    if not (0 < slices < float("inf") and 0 < pixels < float("inf")):
        raise UsageError(f"--coarse-mm needs two distances above 0, of slices and of pixels. Received: {slices:g} {pixels:g}")
    return slices, pixels


def _localiser_request(current: "Run", refiner: "_Refiner | None", options: argparse.Namespace) -> "PackageRequest":
    from cspine.modelpack import TrainingData
    from cspine.training.core.packages import PackageRequest

    if options.data is not None or options.coarse_mm is not None:
        raise UsageError(
            "A localiser is exported without --data and --coarse-mm: its samples are synthetic, and it classifies nothing."
        )
    beyond = _beyond_necks(current) or (refiner.beyond_necks if refiner else None)
    if beyond is not None and not (options.trained_on and options.describe):
        raise UsageError(f"{beyond} Say with --trained-on and --describe who was in the training set.")
    return PackageRequest(
        name=options.name or options.out.resolve().name,
        version=options.package_version,
        folds=_folds(current, options.fold),
        data=options.describe or f"{current.facts.studies} of them",
        training_data=TrainingData(options.trained_on or "phantoms"),
        precision=options.precision,
        figures=tuple(figure for path in options.evaluation or () for figure in _measured(path)),
    )


def _beyond_necks(run: "Run") -> str | None:
    """Returns what a run was trained on beside synthetic necks, or may have been; ``None`` where that is nothing."""
    from cspine.modelpack import TrainingData, load_localiser

    if run.facts.folds:
        return f"{run.folder} was trained on the masks of {run.facts.data}."
    initial = run.facts.settings.get("initial_weights")
    try:
        if not initial or load_localiser(initial).manifest.training_data is TrainingData.PHANTOMS:
            return None
    except PackageError:
        return f"{run.folder} began with {initial}, which is not there any more."
    return f"{run.folder} began with {initial}, which was trained on patients."


@dataclass(frozen=True)
class _Refiner:
    """Holds what outlines the vertebrae that a localiser finds.

    Attributes:
        network: Gives its network.
        beyond_necks: What it was trained on beside synthetic necks; ``None`` where that is nothing.
    """

    network: "Callable[[], FineNetwork]"
    beyond_necks: str | None


def _refiner(text: str) -> _Refiner:
    from cspine.cli.families import family_of_run
    from cspine.modelpack import TrainingData, load_localiser
    from cspine.recipes.refiner import RECIPE
    from cspine.training.core.runs import is_run, open_run
    from cspine.training.refiner.family import RefinerFamily

    if not is_run(Path(text)):
        package = load_localiser(text)
        phantoms = package.manifest.training_data is TrainingData.PHANTOMS
        beyond = None if phantoms else f"{text} was trained on patients."
        return _Refiner(partial(RefinerFamily(RECIPE).network_of_package, package), beyond)
    run = open_run(Path(text))
    family = family_of_run(run)
    if not isinstance(family, RefinerFamily):
        raise UsageError(f"--refiner needs a run of the recipe refiner. {text} is one of {run.facts.recipe}.")
    return _Refiner(partial(family.fine_network, run), _beyond_necks(run))


def _measured(path: Path) -> "tuple[Figure, ...]":
    from cspine.modelpack import Figure

    try:
        return decode_each(Figure, read_json(path)["figures"], "figures")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--evaluation needs the JSON of `python -m benchmarks.localiser`. Received: {path} ({one_line(str(error))})"
        ) from error


def _figures(path: Path) -> "tuple[Figure, ...]":
    from cspine.evaluation.subjects import WHOM
    from cspine.modelpack import Figure

    try:
        data = read_json(path)
        overall, levels = data["outputs"][0]["estimates"]["auroc"], data["mean_level_auroc"]
        how = data["about"]["patients"].split(",")[0].removesuffix("studies").strip()
        whom = " ".join(filter(None, (str(data["outputs"][0]["patients"]), how, WHOM[data["about"]["subjects"]])))
        fractured, level_count = f"{data['outputs'][0]['fractured']} of them fractured", data["fractured_levels"]
        of_levels = f"AUROC of a level, mean of C1..C7, {whom}, {level_count} levels fractured"
        return (
            decode(Figure, {"name": f"AUROC of any fracture, {whom}, {fractured}", **overall}, "auroc"),
            decode(Figure, {"name": of_levels, **levels}, "mean_level_auroc"),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(
            f"--evaluation needs an evaluation.json of `cspine evaluate`. Received: {path} ({one_line(str(error))})"
        ) from error

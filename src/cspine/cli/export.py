"""Turns a trained run into a model package that `cspine detect` takes as --model, or, of a localiser, as --localiser.

Networks are written as OpenVINO IR, and only if they agree with the trained ones. Probabilities and thresholds come from the
patients that the network has not seen.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.screen import Screen
from cspine.codec import decode, decode_each
from cspine.errors import PackageError, UsageError, one_line
from cspine.recipes import load_recipe
from cspine.strict_json import read_json
from cspine.training.core.overrides import with_settings
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.refiner.settings import RefinerRecipe
from cspine.training.slices.settings import Recipe
from cspine.training.vertebrae.settings import VertebraRecipe

if TYPE_CHECKING:
    from cspine.modelpack import Figure
    from cspine.training.core.runs import Run
    from cspine.training.localiser.export import Trained

_CHECKED = 30
"""Held-out studies, of seven crops each, on which the exported network must agree with the trained one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run of `cspine train`")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="PACKAGE", help="folder of the package")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="of a network that classifies: data set folder of the run, for samples"
    )
    parser.add_argument("--refiner", type=Path, metavar="RUN", help="of a localiser: a run that outlines what it finds")
    parser.add_argument(
        "--precision",
        choices=["f32", "bf16"],
        default="f32",
        help="how a localiser, or a vertebra classifier, may be calculated; a network that bf16 moves too far "
        "stays in f32 (default: f32)",
    )
    parser.add_argument("--fold", type=int, default=0, help="which network of the run (default: 0)")
    parser.add_argument("--name", help="name of the package (default: that of its folder)")
    parser.add_argument("--package-version", default="1", metavar="V", help="version of the package (default: 1)")
    parser.add_argument(
        "--trained-on",
        choices=["phantoms", "patients", "patients and phantoms"],
        default=None,
        help="whom the run has seen (default: told by the data)",
    )
    parser.add_argument("--describe", metavar="TEXT", help="the data set in words, for the card (default: its size)")
    parser.add_argument(
        "--evaluation", type=Path, metavar="JSON", help="evaluation.json on unseen studies, whose numbers the card shall show"
    )
    parser.add_argument(
        "--coarse-mm",
        nargs=2,
        type=float,
        metavar=("SLICES", "PIXELS"),
        help="of a network that classifies: from which distances on results tell that the scan is coarse (default: 1.5 0.8)",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.training.core.runs import open_run

    current = open_run(options.run_folder)
    recipe = load_recipe(current.facts.recipe)
    if isinstance(recipe, LocaliserRecipe):
        name, version = _export_localiser(current, with_settings(recipe, current.facts.settings), options)
    elif isinstance(recipe, RefinerRecipe):
        raise UsageError("A refiner is exported with the localiser whose vertebrae it outlines: `cspine export RUN --refiner RUN`.")
    else:
        name, version = _export_classifier(current, with_settings(recipe, current.facts.settings), options)
    print(f"exported {name} {version}: {options.out}")  # noqa: T201
    return 0


def _export_classifier(current: "Run", recipe: Recipe | VertebraRecipe, options: argparse.Namespace) -> tuple[str, str]:
    from cspine.modelpack import TrainingData
    from cspine.training.core.data import same_cases
    from cspine.training.core.export import PackageRequest, export
    from cspine.training.slices.stacks import prepare
    from cspine.training.vertebrae.crops import Cutting, Finder, prepare_crops
    from cspine.training.vertebrae.export import export_vertebrae

    if options.data is None or options.refiner is not None:
        raise UsageError("A classifier is exported with --data DIR, the data set of its run, and without --refiner.")
    if options.precision != "f32" and not isinstance(recipe, VertebraRecipe):
        raise UsageError("A slice classifier is exported in f32, without --precision.")
    cases = same_cases(current, options.data)
    phantoms = "phantoms" if all(case.truth for case in cases) else "patients"
    request = PackageRequest(
        name=options.name or options.out.resolve().name,
        version=options.package_version,
        fold=options.fold,
        data=options.describe or f"{current.facts.studies} studies of {current.facts.data}",
        training_data=TrainingData(options.trained_on or phantoms),
        precision=options.precision,
        figures=_figures(options.evaluation) if options.evaluation else (),
        coarse_mm=_coarse_limits(options.coarse_mm),
    )
    held_out = [case for case in cases if current.facts.folds[case.study_uid] == options.fold]
    cache = options.cache or options.run_folder.absolute().parent / "cache"
    with Screen() as screen:
        if isinstance(recipe, VertebraRecipe):
            cutting = Cutting(recipe.input, recipe.crops, Finder.MASK)
            studies = prepare_crops(held_out[:_CHECKED], cutting, cache, screen.say)
            package = export_vertebrae(current, recipe, request, studies, options.out)
        else:
            stacks = prepare(held_out[:8], recipe.input, cache, screen.say)
            package = export(current, recipe, request, stacks, options.out)
    return package.manifest.name, package.manifest.version


def _coarse_limits(given: list[float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    slices, pixels = given
    if not (0 < slices < float("inf") and 0 < pixels < float("inf")):
        raise UsageError(f"--coarse-mm needs two distances above 0, of slices and of pixels. Received: {slices:g} {pixels:g}")
    return slices, pixels


def _export_localiser(current: "Run", recipe: LocaliserRecipe, options: argparse.Namespace) -> tuple[str, str]:
    from cspine.modelpack import TrainingData
    from cspine.training.localiser.export import LocaliserRequest, coarse_network, export_localiser

    if options.data is not None or options.coarse_mm is not None:
        raise UsageError("A localiser is exported without --data and --coarse-mm: its samples are made, and it classifies nothing.")
    networks = [coarse_network(current, recipe, options.fold)]
    if options.refiner is not None:
        networks.append(_refiner(options.refiner))
    unknown = next((told for network in networks if (told := _beyond_necks(network.run)) is not None), None)
    if unknown is not None and not (options.trained_on and options.describe):
        raise UsageError(f"{unknown} Say who was seen with --trained-on and --describe.")
    necks = current.facts.studies
    request = LocaliserRequest(
        name=options.name or options.out.resolve().name,
        version=options.package_version,
        data=options.describe or f"Synthetic necks only, never a patient: {necks} of them",
        learnt_from=necks,
        training_data=TrainingData(options.trained_on or "phantoms"),
        precision=options.precision,
        figures=_measured(options.evaluation) if options.evaluation else (),
    )
    manifest = export_localiser(networks, request, options.out).manifest
    return manifest.name, manifest.version


def _beyond_necks(run: "Run") -> str | None:
    """Returns what a run was trained on beside synthetic necks, or may have been; ``None`` where that is nothing."""
    from cspine.modelpack import TrainingData, load_localiser

    if run.facts.folds:
        return f"{run.folder} was trained on the masks of {run.facts.data}."
    start = run.facts.settings.get("start")
    try:
        if not start or load_localiser(start).manifest.training_data is TrainingData.PHANTOMS:
            return None
    except PackageError:
        return f"{run.folder} began with {start}, which is not there any more."
    return f"{run.folder} began with {start}, which has seen patients."


def _refiner(folder: Path) -> "Trained":
    from cspine.training.core.runs import open_run
    from cspine.training.refiner.export import fine_network

    run = open_run(folder)
    recipe = load_recipe(run.facts.recipe)
    if not isinstance(recipe, RefinerRecipe):
        raise UsageError(f"--refiner needs a run of the recipe refiner. {folder} is one of {run.facts.recipe}.")
    return fine_network(run, with_settings(recipe, run.facts.settings))


def _measured(path: Path) -> "tuple[Figure, ...]":
    from cspine.modelpack import Figure

    try:
        return decode_each(Figure, read_json(path)["figures"], "figures")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--evaluation needs the JSON of `python -m benchmarks.localiser`. Received: {path} ({one_line(str(error))})"
        ) from error


def _figures(path: Path) -> "tuple[Figure, ...]":
    from cspine.modelpack import Figure

    try:
        data = read_json(path)
        overall, levels = data["outputs"][0]["estimates"]["auroc"], data["mean_level_auroc"]
        whom = f"{data['outputs'][0]['patients']} {data['about']['patients'].split(',')[0]}"
        return (
            decode(Figure, {"name": f"AUROC patient_overall, {whom}", **overall}, "auroc"),
            decode(Figure, {"name": f"AUROC of a level, mean of C1..C7, {whom}", **levels}, "mean_level_auroc"),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(
            f"--evaluation needs an evaluation.json of `cspine evaluate`. Received: {path} ({one_line(str(error))})"
        ) from error

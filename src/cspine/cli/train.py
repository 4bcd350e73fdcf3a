"""Trains a recipe: a classifier on a data set in the RSNA 2022 layout, or a localiser or refiner on necks that it makes.

With --data, a localiser is trained on the masks of a data set too (--set masked.share=1: from these alone).

Patients are parted into folds; the network of a fold never sees its patients. RUN/fold-K holds a network (best.keras of the best
epoch, or last.keras of the last), a log (log.csv), scores of the held-out patients (held_out.csv) and a checkpoint, from which
--resume goes on exactly where a run was killed.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.keras_import import load_keras
from cspine.cli.screen import Screen
from cspine.errors import UsageError
from cspine.recipes import family_of, load_recipe
from cspine.training.core.settings import Recipe, as_started, parse_assignments, settings, with_settings

if TYPE_CHECKING:
    from cspine.training.core.runs import RunFacts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help="one that `cspine recipes` lists")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data set folder, with train.csv and train_images; a localiser does not need one"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--fold", default="0", metavar="K|all", help="which patients are held out (default: 0)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="changes a setting, for instance fit.epochs=3"
    )
    parser.add_argument(
        "--weights", metavar="imagenet|PATH|none", help="what a pretrained backbone starts from (default: as the recipe says)"
    )
    parser.add_argument("--backbone", metavar="NAME", help="densenet121, inception_v3 or inception_resnet_v2")
    parser.add_argument(
        "--boxes", action="store_true", help="learn a map of fractures too, from bounding boxes or the fracture masks of phantoms"
    )
    parser.add_argument(
        "--pseudo-labels",
        metavar="RUN|PACKAGE",
        help="makes pseudo-labels for studies without masks: a run, or a package that finds vertebrae (folder or name)",
    )
    parser.add_argument("--resume", action="store_true", help="continue a run where it was stopped, or with further folds")
    parser.add_argument("--skip-broken", action="store_true", help="go on without what is wrong with the data set, and say what")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that make phantoms (default: 1)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    recipe, changes = load_recipe(options.recipe), _changes(options)
    _check_data(recipe, options)
    recipe = with_settings(recipe, changes, on_data=options.data is not None)
    load_keras()
    from cspine.training.core.family import TrainingPlace, start_run, train
    from cspine.training.core.runs import open_run

    place = TrainingPlace(options.cache or options.out.absolute().parent / "cache", options.data, options.jobs)
    if options.resume:
        current = open_run(options.out)
        recipe = as_started(recipe, _settings_of(current.facts, changes, options))
    split = getattr(recipe, "split", None)
    folds = _folds(options.fold, split.folds if split is not None and options.data is not None else 1)
    with Screen() as screen:
        family = family_of(recipe)
        if not options.resume:
            current = start_run(family, place, options.out, screen, skip_broken=options.skip_broken)
        train(family, current, place, folds, screen)
    print(f"trained {options.recipe}: {options.out}")  # noqa: T201
    return 0


def _check_data(recipe: Recipe, options: argparse.Namespace) -> None:
    """Tells where a recipe needs data and has none, or the other way round."""
    known = settings(recipe)
    if "split.folds" not in known and (options.data is not None or options.fold != "0"):
        raise UsageError(
            f"{recipe.name} is trained on phantoms that it makes itself, and holds nobody out; give neither --data nor --fold."
        )
    if options.data is None and "split.folds" in known and "masked.share" not in known:
        raise UsageError(f"{recipe.name} needs --data DIR, a data set folder with train.csv and train_images.")
    if options.data is None and options.fold != "0":
        raise UsageError(
            f"{recipe.name} without --data is trained on phantoms that it makes itself, and holds nobody out; give no --fold."
        )


def _settings_of(facts: "RunFacts", changes: dict[str, str], options: argparse.Namespace) -> dict[str, str]:
    if changes or facts.recipe != options.recipe:
        raise UsageError(f"--resume goes on with {facts.recipe} as it was started; give no other recipe and no --set.")
    if options.skip_broken and facts.broken is None:
        raise UsageError("--resume goes on with the data as the run was started; give --skip-broken when it is started.")
    return facts.settings


def _changes(options: argparse.Namespace) -> dict[str, str]:
    """Returns every setting that is changed; paths are whole, since a run may be resumed from elsewhere."""
    changes = {}
    if options.weights:
        named = options.weights in ("imagenet", "none")
        changes["network.weights"] = options.weights if named else str(Path(options.weights).absolute())
    if options.backbone:
        changes["network.backbone"] = options.backbone
    if options.boxes:
        changes["network.fracture_map"] = "true"
    if options.pseudo_labels:
        there = Path(options.pseudo_labels).exists()
        changes["labels.teacher"] = str(Path(options.pseudo_labels).absolute()) if there else options.pseudo_labels
    return changes | parse_assignments(options.set)


def _folds(text: str, count: int) -> range:
    if text == "all":
        return range(count)
    if not text.isdecimal() or int(text) >= count:
        raise UsageError(f"--fold needs all or a number 0..{count - 1}. Received: {text}")
    return range(int(text), int(text) + 1)

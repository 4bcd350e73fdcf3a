"""Trains a recipe: a classifier on a data set in the RSNA 2022 layout, or a localiser or refiner on necks that it makes.

With --data, a localiser is trained on the masks of a data set too (--set masked.share=1: from these alone).

Patients are parted into folds; the network of a fold never sees its patients. RUN/fold-K holds the best network (best.keras),
a log (log.csv), scores of the held-out patients (held_out.csv) and a checkpoint, from which --resume goes on exactly where a
run was killed.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.screen import Screen
from cspine.errors import UsageError
from cspine.recipes import load_recipe
from cspine.training.core.overrides import parse_assignments, with_settings
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.refiner.settings import RefinerRecipe
from cspine.training.slices.settings import Recipe
from cspine.training.vertebrae.settings import VertebraRecipe

if TYPE_CHECKING:
    from cspine.training.core.runs import RunFacts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help="one that `cspine recipes` lists")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data set folder, with train.csv and train_images; a localiser may do without"
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
        "--teacher",
        metavar="RUN|PACKAGE",
        help="who marks the studies without masks: a run, or a package that finds vertebrae (its folder, or its name)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run where it was killed, or with further folds")
    parser.add_argument("--skip-broken", action="store_true", help="go on without what is wrong with the data set, and say what")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that make necks (default: 1)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    recipe, changes = load_recipe(options.recipe), _changes(options)
    if isinstance(recipe, LocaliserRecipe):
        _train_localiser(recipe, changes, options)
    elif isinstance(recipe, RefinerRecipe):
        _train_refiner(recipe, changes, options)
    else:
        _train_on_studies(recipe, changes, options)
    print(f"trained {options.recipe}: {options.out}")  # noqa: T201
    return 0


def _train_on_studies(recipe: Recipe | VertebraRecipe, changes: dict[str, str], options: argparse.Namespace) -> None:
    if options.data is None:
        raise UsageError(f"{recipe.name} needs --data DIR, a data set folder with train.csv and train_images.")
    recipe = with_settings(recipe, changes)
    from cspine.training.core.runs import open_run
    from cspine.training.slices.training import TrainingPlace, start_run, train
    from cspine.training.vertebrae.training import start_vertebrae, train_vertebrae

    place = TrainingPlace(options.data, options.out, _cache(options))
    if options.resume:
        current = open_run(options.out)
        recipe = with_settings(recipe, _as_started(current.facts, changes, options))
    folds = _folds(options.fold, recipe.split.folds)
    with Screen() as screen:
        if isinstance(recipe, VertebraRecipe):
            if not options.resume:
                current = start_vertebrae(recipe, place, screen, skip_broken=options.skip_broken)
            train_vertebrae(recipe, current, place, folds, screen)
        else:
            if not options.resume:
                current = start_run(recipe, place, screen, skip_broken=options.skip_broken)
            train(recipe, current, place, folds, screen)


def _train_localiser(recipe: LocaliserRecipe, changes: dict[str, str], options: argparse.Namespace) -> None:
    if options.data is None and options.fold != "0":
        raise UsageError(f"{recipe.name} without --data is trained on necks that it makes, and holds nobody out; give no --fold.")
    recipe = with_settings(recipe, changes)
    from cspine.training.core.runs import open_run
    from cspine.training.localiser.training import LocaliserPlace, start_localiser, train_localiser

    place = LocaliserPlace(options.out, _cache(options), options.data, options.jobs)
    if options.resume:
        recipe = with_settings(recipe, _as_started(open_run(options.out).facts, changes, options))
    with Screen() as screen:
        if not options.resume:
            start_localiser(recipe, place, screen, skip_broken=options.skip_broken)
        train_localiser(recipe, place, _folds(options.fold, recipe.split.folds), screen)


def _train_refiner(recipe: RefinerRecipe, changes: dict[str, str], options: argparse.Namespace) -> None:
    if options.data is not None or options.fold != "0":
        raise UsageError(f"{recipe.name} is trained on necks that it makes, and holds nobody out; give neither --data nor --fold.")
    recipe = with_settings(recipe, changes)
    from cspine.training.core.runs import open_run
    from cspine.training.refiner.training import start_refiner, train_refiner

    if options.resume:
        recipe = with_settings(recipe, _as_started(open_run(options.out).facts, changes, options))
    else:
        start_refiner(recipe, options.out)
    with Screen() as screen:
        train_refiner(recipe, options.out, _cache(options), options.jobs, screen)


def _as_started(facts: "RunFacts", changes: dict[str, str], options: argparse.Namespace) -> dict[str, str]:
    if changes or facts.recipe != options.recipe:
        raise UsageError(f"--resume goes on with {facts.recipe} as it was started; give no other recipe and no --set.")
    if options.skip_broken and facts.broken is None:
        raise UsageError("--resume goes on with the data as the run was started; give --skip-broken when it is started.")
    return facts.settings


def _cache(options: argparse.Namespace) -> Path:
    return Path(options.cache or options.out.absolute().parent / "cache")


def _changes(options: argparse.Namespace) -> dict[str, str]:
    """Returns every setting that is changed; paths are whole, since a run may be resumed from elsewhere."""
    changes = {}
    if options.weights:
        named = options.weights in ("imagenet", "none")
        changes["network.weights"] = options.weights if named else str(Path(options.weights).absolute())
    if options.backbone:
        changes["network.backbone"] = options.backbone
    if options.teacher:
        there = Path(options.teacher).exists()
        changes |= {"labels.masks": "taught", "labels.teacher": str(Path(options.teacher).absolute()) if there else options.teacher}
    return changes | parse_assignments(options.set)


def _folds(text: str, count: int) -> range:
    if text == "all":
        return range(count)
    if not text.isdecimal() or int(text) >= count:
        raise UsageError(f"--fold needs all or a number 0..{count - 1}. Received: {text}")
    return range(int(text), int(text) + 1)

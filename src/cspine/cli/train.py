"""Trains a recipe: a classifier on a data set in the RSNA 2022 layout, or a localiser or refiner on necks that it makes.

With --data, a localiser is trained on the masks of a data set too (--set masked.share=1: from these alone).

Patients are divided into folds; the network of a fold is never trained on its patients. RUN/fold-K holds a network (best.keras of
the best epoch, or last.keras of the last), a log (log.csv), scores of the held-out patients (held_out.csv) and a checkpoint, from
which --resume goes on exactly where a run was stopped. RUN/report.html shows learning curves, numbers and settings. Ctrl-C writes a
checkpoint at the end of the step under way and names the command that goes on; a second one stops at once.

On a GPU, --set fit.batch=auto takes the largest batch that fits its memory, the recipe's times a power of two, with fewer steps and
a learning rate that go with it.

RECIPE may be a Python file of your own, ./my_recipe.py; RUN keeps a copy, which evaluate and export run.
"""

import argparse
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.cli.keras_import import load_keras
from cspine.cli.screen import JsonLines, Screen
from cspine.errors import UsageError
from cspine.recipes import family_named, load_recipe
from cspine.recipes.own import COPY, is_file_name, keep_copy
from cspine.training.core.settings import AUTO, Recipe, as_started, parse_assignments, settings, with_settings

if TYPE_CHECKING:
    from cspine.training.core.family import Family, TrainingPlace
    from cspine.training.core.runs import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help="one that `cspine recipes` lists, or a Python file with one")
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
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="densenet121, inception_v3 or inception_resnet_v2; for vertebra_mil also efficientnet_v2_s or convnext_tiny",
    )
    parser.add_argument(
        "--boxes", action="store_true", help="learn a map of fractures too, from bounding boxes or the fracture masks of phantoms"
    )
    parser.add_argument(
        "--pseudo-labels",
        metavar="RUN|PACKAGE",
        help="makes pseudo-labels for studies without masks: a run, or a package that finds vertebrae (folder or name)",
    )
    parser.add_argument("--resume", action="store_true", help="continue a run where it was stopped, or with further folds")
    parser.add_argument("--skip-broken", action="store_true", help="leave out what is broken in the data set, and list it")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that make phantoms (default: 1)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N", help="GPUs of this machine that share each batch, on JAX (default: 1)"
    )
    add_engine(parser)
    _add_watchers(parser)


def _add_watchers(parser: argparse.ArgumentParser) -> None:
    """Declares where the progress of training is reported."""
    parser.add_argument(
        "--tracker",
        action="append",
        default=[],
        choices=["mlflow", "wandb"],
        help="logs to MLflow (beside RUN, or MLFLOW_TRACKING_URI) or Weights & Biases (offline, in RUN) too; TensorBoard always",
    )
    parser.add_argument(
        "--callback", action="append", default=[], metavar="NAME", help="reports progress to a callback of an installed package"
    )
    parser.add_argument(
        "--progress",
        choices=["screen", "json"],
        default="screen",
        help="how progress is reported: on stderr, or as JSON lines on stdout (default: screen)",
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    _check_engine(options)
    recipe, changes = load_recipe(options.recipe), _changes(options)
    searches = _without_auto(changes, options)
    _check_data(recipe, options)
    recipe = with_settings(recipe, changes, on_data=options.data is not None)
    load_keras()
    from cspine.training.core.backend import on_devices
    from cspine.training.core.family import TrainingPlace, start_run
    from cspine.training.core.runs import open_run

    cache = options.cache.absolute() if options.cache else options.out.absolute().parent / "cache"
    place = TrainingPlace(cache, options.data and options.data.absolute(), options.jobs)
    if options.resume:
        current = open_run(options.out)
        recipe = as_started(recipe, _settings_of(current, recipe, changes, options))
        searches = current.facts.searches
    _check_batches(recipe, options)
    split = getattr(recipe, "split", None)
    folds = _folds(options.fold, split.folds if split is not None and options.data is not None else 1)
    with on_devices(options.devices), Screen() if options.progress == "screen" else JsonLines() as screen:
        family = family_named(options.recipe, recipe)
        if searches:
            _check_search(options)
        if not options.resume:
            current = start_run(family, place, options.out, screen, skip_broken=options.skip_broken, searches=searches)
            if is_file_name(options.recipe):
                keep_copy(Path(options.recipe), current.folder)
        with _naming_how_to_go_on(options, screen):
            training = Training(family, current, place, folds)
            _train(_with_batch(training, options, screen) if searches else training, options, screen)
    return 0


@dataclass(frozen=True)
class Training:
    """Holds what is trained.

    Attributes:
        family: The recipe.
        run: The run.
        place: Where its data lie.
        folds: Which folds.
    """

    family: "Family[Any]"
    run: "Run"
    place: "TrainingPlace"
    folds: range


@contextmanager
def _naming_how_to_go_on(options: argparse.Namespace, screen: "Screen | JsonLines") -> Iterator[None]:
    """Tells which command goes on, where training is interrupted within."""
    from cspine.training.core.run_page import write_page
    from cspine.training.core.runs import open_run

    try:
        yield
    except KeyboardInterrupt:
        resume = resume_command(options)
        screen.warn(f"Go on with: {resume}")
        write_page(open_run(options.out), {"go on": resume})
        raise


def _with_batch(training: Training, options: argparse.Namespace, screen: "Screen | JsonLines") -> Training:
    """Returns what is trained, with the largest batch that fits."""
    from cspine.training.core.batch_size import search_batch

    run = search_batch(training.family, training.run, training.place, options.devices, screen)
    recipe = as_started(training.family.recipe, run.facts.settings)
    return replace(training, family=family_named(options.recipe, recipe), run=run)


def _train(training: Training, options: argparse.Namespace, screen: "Screen | JsonLines") -> None:
    """Trains the networks, writes the page of the run, and prints what comes next."""
    from cspine.training.core.family import train
    from cspine.training.core.log import Reporters
    from cspine.training.core.run_page import PAGE, write_page
    from cspine.training.core.tracking import callbacks

    run = training.run
    with ExitStack() as ended:
        others = callbacks(run, options.tracker, options.callback)
        for one in others:
            ended.callback(one.close)
        if options.engine == "ray":
            _train_on_cluster(training, options, screen)
        else:
            train(training.family, run, training.place, training.folds, Reporters((screen, *others)) if others else screen)
    commands = next_commands(training, options)
    write_page(run, commands)
    if isinstance(screen, JsonLines):
        screen.event("done", run=str(options.out), page=str(options.out / PAGE), next=list(commands.values()))
    else:
        print(f"trained {run.facts.recipe}: {options.out}\nreport: {options.out / PAGE}")  # noqa: T201
        print("\n".join(f"{what}: {command}" for what, command in commands.items()))  # noqa: T201


def _train_on_cluster(training: Training, options: argparse.Namespace, screen: "Screen | JsonLines") -> None:
    """Trains each fold on a worker, after all of them have filled the cache together."""
    from cspine.cli.spread import on_cluster
    from cspine.training.core.family import FillsCache, cases_to_train

    family, run, place = training.family, training.run, training.place
    cases = cases_to_train(run, place, training.folds)
    left = [fold for fold in training.folds if fold not in run.trained_folds()]
    with on_cluster(cluster_of(options), run, place, screen) as spread_run:
        if isinstance(family, FillsCache):
            spread_run.fill_cache(cases if left else ())
        else:
            family.prepare(cases, place, screen)  # what all folds share is made once, here
        spread_run.train(left, family.recipe.fit.threads)


def resume_command(options: argparse.Namespace) -> str:
    """Returns the command that goes on with a run that was interrupted."""
    words = ["cspine", "train", options.recipe, *_data(options), "-o", str(options.out), "--resume"]
    words += [] if options.fold == "0" else ["--fold", options.fold]
    words += [] if options.jobs == 1 else ["--jobs", str(options.jobs)]
    words += [] if options.cache is None else ["--cache", str(options.cache)]
    words += [] if options.devices == 1 else ["--devices", str(options.devices)]
    words += [] if options.engine == "local" else ["--engine", options.engine]
    words += [] if options.cluster is None else ["--cluster", options.cluster]
    words += [] if options.workers is None else ["--workers", str(options.workers)]
    words += [word for name in options.tracker for word in ("--tracker", name)]
    words += [word for name in options.callback for word in ("--callback", name)]
    return shlex.join([*words, *([] if options.progress == "screen" else ["--progress", options.progress])])


def next_commands(training: Training, options: argparse.Namespace) -> dict[str, str]:
    """Returns what to do with a run that was trained, by what it does."""
    from cspine.training.refiner.family import RefinerFamily

    out = options.out
    cache = [] if options.cache is None else ["--cache", str(options.cache)]
    beside = [str(out.with_name(f"{out.resolve().name}-{name}")) for name in ("evaluation", "package")]
    if training.family.finds_fractures:
        evaluate = ["cspine", "evaluate", str(out), *_data(options), "-o", beside[0], *cache]
        export = ["cspine", "export", str(out), *_data(options), "-o", beside[1], *cache]
        return {"evaluate it": shlex.join(evaluate), "export it": shlex.join(export)}
    if not isinstance(training.family, RefinerFamily):
        return {"export it": shlex.join(["cspine", "export", str(out), "-o", beside[1]])}
    return {
        "export it with its localiser": f"cspine export LOCALISER_RUN --refiner {shlex.quote(str(out))} -o {shlex.quote(beside[1])}"
    }


def _check_engine(options: argparse.Namespace) -> None:
    check_engine(options)
    if options.engine == "ray" and (options.tracker or options.callback):
        raise UsageError("--tracker and --callback watch training on this machine. With --engine ray, leave them out.")
    if options.devices < 1:
        raise UsageError(f"--devices needs a number from 1. Received: {options.devices}.")
    if options.engine == "ray" and options.devices > 1:
        raise UsageError("--devices shares batches on this machine. With --engine ray each fold has a GPU; leave it out.")


def _without_auto(changes: dict[str, str], options: argparse.Namespace) -> bool:
    """Returns whether the largest batch that fits is asked for, and leaves that out of the changes."""
    if changes.get("fit.batch") != AUTO:
        return False
    if options.resume:
        raise UsageError("--resume goes on with the batch that was found when the run was started; give no --set.")
    del changes["fit.batch"]
    return True


def _check_search(options: argparse.Namespace) -> None:
    from cspine.training.core.batch_size import check_accelerator

    if options.engine == "ray":
        raise UsageError("fit.batch=auto tries batches on this machine. With --engine ray, give a number.")
    check_accelerator()


def _check_batches(recipe: Recipe, options: argparse.Namespace) -> None:
    """Tells where several devices cannot have equal shares of a batch."""
    devices, idle = options.devices, recipe.idle(on_data=options.data is not None)
    for key, text in settings(recipe).items():
        if key.endswith(".batch") and key not in idle and int(text) % devices:
            raise UsageError(f"--devices {devices} needs batches in multiples of {devices}. Received: {key} = {text}.")


def _data(options: argparse.Namespace) -> list[str]:
    return [] if options.data is None else ["--data", str(options.data)]


def _check_data(recipe: Recipe, options: argparse.Namespace) -> None:
    """Tells where a recipe needs data and has none, or the other way round."""
    known = settings(recipe)
    if "split.folds" not in known and (options.data is not None or options.fold != "0"):
        raise UsageError(
            f"{recipe.name} is trained on phantoms that it makes itself, and holds no patients out; give neither --data nor --fold."
        )
    if options.data is None and "split.folds" in known and "masked.share" not in known:
        raise UsageError(f"{recipe.name} needs --data DIR, a data set folder with train.csv and train_images.")
    if options.data is None and options.fold != "0":
        raise UsageError(
            f"{recipe.name} without --data is trained on phantoms that it makes itself, and holds no patients out; give no --fold."
        )


def _settings_of(run: "Run", recipe: Recipe, changes: dict[str, str], options: argparse.Namespace) -> dict[str, str]:
    copy, facts = run.folder / COPY, run.facts
    same = facts.recipe == recipe.name and copy.is_file() == is_file_name(options.recipe)
    if same and copy.is_file():
        same = copy.read_bytes() == Path(options.recipe).read_bytes()
    if changes or not same:
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

"""Shows how a network was trained: its learning curves as a picture, and a run as one HTML page that needs nothing beside it."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cspine.evaluation.page import template
from cspine.evaluation.plots import svg
from cspine.results import DISCLAIMER

_LOSS, _EPOCH, _APART = "loss", "epoch", ("learning_rate", "seconds")
_COLOURS = ("#14507a", "#c2453d", "#3a9d5d", "#d98a29", "#7a3e9d", "#1b9aaa", "#a2a33a", "#8a8f98")


@dataclass(frozen=True, slots=True)
class FoldLog:
    """The log of the network of one fold, in one part of its training.

    Attributes:
        fold: Which patients are held out.
        epochs: The numbers of each epoch by name; NaN where one is not known.
        ended: Whether that training has ended.
        part: Which part that was, for instance ``patches``; empty for the last, or the only one.
    """

    fold: int
    epochs: tuple[Mapping[str, float], ...]
    ended: bool
    part: str = ""

    @classmethod
    def from_csv(cls, fold: int, text: str, *, ended: bool, part: str = "") -> "FoldLog":
        """Returns the log of the text of ``log.csv``.

        Raises:
            ValueError: A value is no number.
        """
        rows = tuple({name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text)))
        return cls(fold, rows, ended, part)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Returns the names of what was measured on held-out data."""
        names = self.epochs[0] if self.epochs else ()
        return tuple(n for n in names if n not in (_EPOCH, _LOSS, *_APART) and not n.endswith("_loss"))

    @property
    def losses(self) -> tuple[str, ...]:
        """Returns the names of the losses, their sum first."""
        names = self.epochs[0] if self.epochs else ()
        return tuple(n for n in names if n == _LOSS or n.endswith("_loss"))


@dataclass(frozen=True, slots=True)
class RunPage:
    """Holds what the page of a run shows.

    Attributes:
        about: What was trained, by name.
        settings: Every setting, by its dotted name.
        folds: The logs, fold by fold, and part by part in each.
        commands: What to do next, by what it does.
    """

    about: Mapping[str, str]
    settings: Mapping[str, str]
    folds: Sequence[FoldLog]
    commands: Mapping[str, str]


def learning_curves(folds: Sequence[FoldLog]) -> str:
    """Returns the learning curves of all folds as SVG: losses of training on the left, metrics of held-out data on the right.

    Each part of training has a row of its own, in the order in which the first fold has them.
    """
    parts = tuple(dict.fromkeys(log.part for log in folds))

    def draw(figure: Figure) -> None:
        for part, (left, right) in zip(parts, figure.subplots(len(parts), 2, squeeze=False), strict=True):
            logs, title = [log for log in folds if log.part == part], f"{part}: " if part else ""
            _draw(left, logs, [log.losses for log in logs], f"{title}loss in training")
            _draw(right, logs, [log.metrics for log in logs], f"{title}on held-out data")
            if left.lines and all(value > 0 for line in left.lines for value in line.get_ydata()):
                left.set_yscale("log")

    return svg("learning-curves", (9.6, 3.6 * len(parts)), draw)


def run_html(page: RunPage) -> str:
    """Returns the page of a run."""
    return str(template("run.html").render(context(page)))


def context(page: RunPage) -> dict[str, Any]:
    """Returns what the page's template is given.

    ``about``, ``settings``, ``commands``: as in :class:`RunPage`. ``curves``: SVG. ``folds``: for each part of each the log and the
    names of its columns. ``seconds``: of all epochs. ``disclaimer``.
    """
    return {
        "about": page.about,
        "settings": page.settings,
        "commands": page.commands,
        "curves": Markup(learning_curves(page.folds)),
        "folds": [(log, tuple(log.epochs[0]) if log.epochs else ()) for log in page.folds],
        "seconds": sum(row.get("seconds", 0.0) for log in page.folds for row in log.epochs),
        "disclaimer": DISCLAIMER,
    }


def _draw(ax: Axes, folds: Sequence[FoldLog], names: Sequence[Sequence[str]], title: str) -> None:
    for number, (log, chosen) in enumerate(zip(folds, names, strict=True)):
        for colour, name in zip(_cycle(), chosen, strict=False):
            points = [(row[_EPOCH], row[name]) for row in log.epochs if math.isfinite(row[name])]
            if points:
                x, y = zip(*points, strict=True)
                label = name.replace("_", " ") if number == 0 else None
                ax.plot(
                    x, y, color=colour, marker="o", markersize=2.5, linewidth=1.2, alpha=1 if number == 0 else 0.45, label=label
                )
    ax.set(title=title, xlabel="epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ax.lines:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    else:
        ax.text(0.5, 0.5, "nothing measured", ha="center", va="center", transform=ax.transAxes, color="#8a8f98")


def _cycle() -> Iterator[str]:
    while True:
        yield from _COLOURS

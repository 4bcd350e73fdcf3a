"""Settings that every family has, and settings of a recipe as flat ``key=value`` text and back, checked against their types."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from enum import Enum, StrEnum
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from cspine.errors import CspineError, TrainingError, UsageError, one_line
from cspine.intervals import Count, NotNegative, Positive, Whole, check_intervals

_LONGEST_KEY = 80
"""Letters of a setting's name that a message shows."""


AUTO = "auto"
"""The ``fit.batch`` that asks for the largest that fits, of ``cspine train --set``."""


class AnnotationUse(StrEnum):
    """Says what the boxes of a study, or the fracture masks of a phantom, do to the labels."""

    LABEL = "label"
    IGNORE = "ignore"


class Precision(StrEnum):
    """Number types of a network, as Keras calls them."""

    FLOAT32 = "float32"
    MIXED_FLOAT16 = "mixed_float16"
    MIXED_BFLOAT16 = "mixed_bfloat16"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Says how the weights are fitted.

    Attributes:
        epochs: At most.
        batch: Slices, studies, windows or crops per step. On a GPU ``--set fit.batch=auto`` finds the largest that fits.
        batches: Steps per epoch.
        learning_rate: Highest; it rises over the first twentieth of all steps and falls to nothing as a cosine.
        weight_decay: Of AdamW (Loshchilov and Hutter, 2019).
        patience: Epochs without a better score on held-out data before training stops; 0 trains all epochs.
        checkpoint_minutes: Between checkpoints within an epoch.
        threads: Processor threads of the network; 0 for as many as there are.
        workers: Threads that prepare batches.
        precision: What the network calculates in; the mixed ones are for GPUs, and mixed_bfloat16 for processors with AMX. Weights
            and losses are float32.
    """

    epochs: Count = 30
    batch: Count = 16
    batches: Count = 250
    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 1e-3
    patience: Whole = 0
    checkpoint_minutes: NotNegative = 3.0
    threads: Whole = 2
    workers: Count = 1
    precision: Precision = Precision.FLOAT32

    def __post_init__(self) -> None:
        check_intervals(self, "fit")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Says how patients are split.

    Attributes:
        folds: How many parts.
        seed: Of the partition; one for all recipes, so that they can be compared.
    """

    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UsageError(f"split needs two folds at least. Received: {self.folds}")


class Recipe(Protocol):
    """One experiment: a frozen dataclass of settings, which may be dataclasses of settings."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Returns its name on the command line."""
        ...

    @property
    def fit(self) -> FitSettings:
        """Returns how the weights are fitted."""
        ...

    @property
    def seed(self) -> int:
        """Returns the seed of weights, batches and augmentation."""
        ...

    def idle(self, *, on_data: bool) -> Mapping[str, str]:
        """Returns settings that do nothing beside the others, by dotted name, and why.

        Args:
            on_data: Whether a data set is given.
        """
        ...


R = TypeVar("R", bound=Recipe)

_FIXED = "name"
"""The name of a recipe is no setting."""

_TRUTHS = {"true": True, "false": False}


def settings(recipe: Recipe) -> dict[str, str]:
    """Returns every setting by its dotted name, as text that :func:`with_settings` takes."""
    return {key: _text(value) for key, value in _leaves(recipe).items()}


def with_settings(recipe: R, changes: Mapping[str, str], *, on_data: bool = True) -> R:
    """Returns the recipe with some settings changed, all of which do something.

    Args:
        recipe: The recipe as it stands in its file.
        changes: Text by dotted name, for instance ``{"fit.epochs": "3"}``.
        on_data: Whether a data set is given.

    Raises:
        UsageError: A name is unknown, a text is not of the setting's type, settings do not go together, or one does nothing.
    """
    known = _leaves(recipe)
    unknown = next((key for key in changes if key not in known), None)
    if unknown is not None:
        nearest = _nearest(unknown, known)
        raise UsageError(
            f"{recipe.name} has no setting {one_line(unknown, 80)}.{nearest} `cspine recipes {recipe.name}` lists all."
        )
    changed: R = _changed(recipe, changes, recipe.name)
    idle = changed.idle(on_data=on_data)
    useless = next((key for key in changes if key in idle), None)
    if useless is not None:
        raise UsageError(f"{useless} of {recipe.name} does nothing here: {idle[useless]}. Leave it out.")
    return changed


def _shown(key: str) -> str:
    """Returns the name of a setting as it fits on a line, whatever a damaged file holds."""
    return key if key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY else f"{key!a:.{_LONGEST_KEY}}"


def as_started(recipe: R, stored: Mapping[str, str]) -> R:
    """Returns the recipe of a run as the run was started.

    Args:
        recipe: The recipe as it stands in its file.
        stored: Every setting of the run, as :func:`settings` gave them.

    Raises:
        TrainingError: The settings are not those of this recipe: another version wrote them, or the file is damaged.
    """
    known = _leaves(recipe)
    needed = f"A run needs the settings of this version of {recipe.name}."
    wrong = next((key for key in (*stored, *known) if (key in stored) != (key in known)), None)
    if wrong is not None:
        raise TrainingError(f"{needed} {_shown(wrong)} is {'not known' if wrong in stored else 'missing'}; train it again.")
    try:
        restored: R = _changed(recipe, stored, recipe.name)
    except (UsageError, TypeError, AttributeError) as error:
        raise TrainingError(f"{needed} {error}; train it again.") from error
    return restored


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """Returns ``["fit.epochs=3"]`` as a dictionary.

    Raises:
        UsageError: A text has no ``=``.
    """
    parts = [text.partition("=") for text in texts]
    wrong = [text for text, (key, equals, _) in zip(texts, parts, strict=True) if not key or not equals]
    if wrong:
        raise UsageError(f"A setting must be given as key=value. Received: {one_line(', '.join(wrong))}")
    return {key.strip(): value.strip() for key, _, value in parts}


def _nearest(wrong: str, known: Mapping[str, Any]) -> str:
    """Returns a question with the name that was most likely meant: nearly the same one, or the same one in another group."""
    own = wrong.rpartition(".")[2]
    alike = get_close_matches(wrong, known, n=1, cutoff=0.75)
    alike += [key for key in known if key.rpartition(".")[2] == own]
    by_end = {key.rpartition(".")[2]: key for key in known}
    alike += [by_end[end] for end in get_close_matches(own, by_end, n=1, cutoff=0.7)]
    alike += get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f" Did you mean {alike[0]}?" if alike else ""


def _leaves(noun: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(noun):
        value = getattr(noun, item.name)
        if is_dataclass(value):
            found |= _leaves(value, f"{prefix}{item.name}.")
        elif prefix or item.name != _FIXED:
            found[prefix + item.name] = value
    return found


def _changed(noun: Any, changes: Mapping[str, str], recipe: str, prefix: str = "") -> Any:
    """Returns the noun with some of its leaves changed, all at once: one may be right only with another."""
    own: dict[str, str] = {}
    inner: dict[str, dict[str, str]] = {}
    for key, text in changes.items():
        name, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(name, {})[rest] = text
        else:
            own[name] = text
    values = {name: _changed(getattr(noun, name), part, recipe, f"{prefix}{name}.") for name, part in inner.items()}
    refusals = {name: f"{prefix}{name} of {recipe} cannot be {text!r:.80}" for name, text in own.items()}
    hints = get_type_hints(type(noun))
    for name, text in own.items():
        try:
            values[name] = _parsed(hints[name], text)
        except ValueError as error:
            raise UsageError(f"{refusals[name]}: {error!s:.120}") from error
    try:
        return replace(noun, **values)
    except UsageError:
        raise
    except CspineError as error:
        raise UsageError(f"{', '.join(refusals.values())}: {error}") from error


def _parsed(kind: Any, text: str) -> Any:
    """Returns text as a value of a type.

    Raises:
        ValueError: It is none.
    """
    if get_origin(kind) is tuple:
        parts, texts = get_args(kind), [part for part in text.split(",") if part.strip()]
        kinds = [parts[0]] * len(texts) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(texts) or not texts:
            raise ValueError(f"{len(kinds) or 'some'} values with commas between them are needed")
        return tuple(_parsed(k, t.strip()) for k, t in zip(kinds, texts, strict=True))
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise ValueError("true or false is needed")
        return _TRUTHS[text.lower()]
    if isinstance(kind, type) and issubclass(kind, Enum):
        if text not in [member.value for member in kind]:
            raise ValueError(f"one of {', '.join(str(member.value) for member in kind)} is needed")
        return kind(text)
    value = {int: int, float: float, str: str}[kind](text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number is needed")
    return value


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value) if isinstance(value, Enum) else str(value)

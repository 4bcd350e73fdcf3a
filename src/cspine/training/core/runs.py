"""A training run on disk: what was trained, on whom, how, and what came of it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cspine
from cspine.codec import decode
from cspine.datasets import Case
from cspine.errors import OutputError, TrainingError, one_line
from cspine.files import write_text
from cspine.strict_json import read_json

_FACTS = "run.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run was started with.

    Attributes:
        recipe: Name of its recipe.
        settings: Every setting, by its dotted name.
        data: Name of the data set folder.
        studies: Number of labelled studies in it.
        digest: Of their names and labels: the same digest, the same data.
        folds: Fold of each study.
        software: What trained it.
        broken: Codes of what is wrong with studies of the folder, by study, where the run goes on without it; ``None`` where
            nothing may be wrong.
        cspine_version: Version of this package.
        schema: Version of this file.
    """

    recipe: str
    settings: dict[str, str]
    data: str
    studies: int
    digest: str
    folds: dict[str, int]
    software: str
    broken: dict[str, list[str]] | None = None
    cspine_version: str = cspine.__version__
    schema: int = _SCHEMA


@dataclass(frozen=True, slots=True)
class Run:
    """A training run.

    Attributes:
        folder: Where it lies.
        facts: What it was started with.
    """

    folder: Path
    facts: RunFacts

    def fold(self, number: int) -> Path:
        """The folder of the network that holds out fold ``number``."""
        return self.folder / f"fold-{number}"

    def trained_folds(self) -> tuple[int, ...]:
        """Folds whose training has ended."""
        return tuple(n for n in sorted(set(self.facts.folds.values())) if (self.fold(n) / "held_out.csv").is_file())


def data_digest(cases: Sequence[Case]) -> str:
    """One name for a set of studies and their labels."""
    facts = sorted((case.study_uid, [int(f) for f in case.fractured or ()]) for case in cases)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def create_run(folder: Path, facts: RunFacts) -> Run:
    """A new run in a new or empty folder.

    Raises:
        OutputError: The folder holds something, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"A run needs a new or empty folder. {folder} holds something; give --resume to go on with a run.")
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _FACTS, json.dumps(asdict(facts), indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"A run cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
    return Run(folder, facts)


def is_run(folder: Path) -> bool:
    """Whether a run was started there."""
    return (folder / _FACTS).is_file()


def open_run(folder: Path) -> Run:
    """A run that was started before.

    Raises:
        TrainingError: There is none, or another version wrote it.
    """
    try:
        data = read_json(folder / _FACTS)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != _SCHEMA:
            raise TrainingError(f"This cspine reads runs of schema {_SCHEMA}. {folder} has schema {schema!r:.20}; train it again.")
        return Run(folder, decode(RunFacts, data, _FACTS))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"A run is a folder that `cspine train` wrote, with a {_FACTS}. Received: {folder} ({one_line(str(error))})"
        ) from error

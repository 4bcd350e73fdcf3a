"""Runs a Containerfile without a container: its steps, in a prefix instead of the root of a file system."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PLACES = ("/src", "/opt", "/data", "/etc/cspine", "/var/lib/cspine")
"""Where steps write, each of which moves into the prefix."""

_NOTHING_TO_DO = {"FROM", "VOLUME", "EXPOSE", "STOPSIGNAL", "USER"}


@dataclass
class Prefix:
    """A folder that stands for the root of a container.

    Attributes:
        root: The folder.
        context: From where files are copied.
        runner: Words in front of each command that is run, as those that change the user.
        environment: Variables of each command.
        owner: Who is given what is copied; nobody else than now without.
        done: The steps that were run.
        entry: The command of the container.
    """

    root: Path
    context: Path
    runner: Sequence[str]
    environment: dict[str, str]
    owner: int | None = None
    done: list[str] = field(default_factory=list)
    entry: list[str] = field(default_factory=list)
    _folder: str = "/"

    def run(self, containerfile: Path, lent: Path) -> None:
        """Runs all steps.

        Args:
            containerfile: The steps.
            lent: Folder of packages that the new environment sees too, as a test may not ask a registry for them.

        Raises:
            ValueError: A step is of a kind that is not known here.
        """
        for step in steps(containerfile.read_text(encoding="utf-8")):
            kind, _, rest = step.partition(" ")
            self._step(kind, rest)
            self.done.append(kind)
            for found in (self.root / "opt").glob("*/lib/python*/site-packages"):
                (found / "lent.pth").write_text(f"import sys; sys.path.insert(0, {str(lent)!r})\n")

    def moved(self, text: str) -> str:
        """Returns a text with every place moved into the prefix."""
        names = "|".join(map(re.escape, _PLACES))
        return re.sub(rf"(?<![\w./-])({names})(?![\w-])", lambda found: f"{self.root}{found[1]}", text)

    def command(self, words: Sequence[str]) -> list[str]:
        """Returns a command as it is run in the prefix."""
        return [*self.runner, *map(self.moved, words)]

    def _step(self, kind: str, rest: str) -> None:
        if kind == "WORKDIR":
            self._folder = rest
            self._place(rest).mkdir(parents=True, exist_ok=True)
        elif kind == "ENV":
            self.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif kind == "COPY":
            self._copy(shlex.split(rest))
        elif kind == "RUN":
            done = subprocess.run(
                [*self.runner, "sh", "-ec", self.moved(rest)],
                cwd=self._place(self._folder),
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
        elif kind == "ENTRYPOINT":
            self.entry = [str(word) for word in json.loads(rest)]
        elif kind not in _NOTHING_TO_DO:
            raise ValueError(f"A step needs to be of a known kind. Received: {kind}")

    def _copy(self, words: list[str]) -> None:
        options = [word for word in words if word.startswith("--")]
        *sources, target = (word for word in words if not word.startswith("--"))
        inside = any(option.startswith("--from=") for option in options)
        there = self._place(target)
        for source in sources:
            origin = self._place(source) if inside else self.context / source
            place = there / origin.name if target.endswith("./") else there
            if origin == place:
                continue  # a second stage of the same prefix
            place.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, place, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(origin, place)
            self._give(place)

    def _give(self, top: Path) -> None:
        if self.owner is not None:
            for path in [top, *top.rglob("*")]:
                os.chown(path, self.owner, self.owner)

    def _place(self, path: str) -> Path:
        return self.root / os.path.normpath(Path(self._folder) / path).lstrip("/")


def steps(text: str) -> list[str]:
    """Returns the steps of a Containerfile, each on one line."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment without what points to this tree, for an installation that asks no registry."""
    kept = {name: environment[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in environment}
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**kept, **pip, "HOME": "/nonexistent"}

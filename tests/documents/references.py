"""Writes the reference pages that are made from the code: every command with its options, every recipe with its settings.

``python -m tests.documents.references`` writes them into ``docs/reference``.
"""

import argparse
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cspine.cli import COMMANDS
from cspine.recipes import describe_recipe, load_recipe, recipe_names
from cspine.training.core.settings import settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

_COMMANDS_HEAD = """# Command line

Every command with its arguments and options, as `cspine COMMAND --help` prints them. `cspine --version` prints the
version. Each command also takes `-h`, `--help`, and `-v`, `--verbose`, which logs what is done. Exit codes are listed
in [Results](results.md).

`python -m tests.documents.references` writes this page from the code, and a test compares the two.
"""
_SETTINGS_HEAD = """# Settings

`cspine recipes RECIPE` lists every setting with its value. `--set KEY=VALUE` of `cspine train` changes one. These are
refused before any study is read:

- an unknown name; the message suggests the nearest one;
- a setting without effect, for instance `losses.maps` of a network without such an output, or `patches.batch` with
  `patches.epochs=0`;
- settings from which no network can be built.

`python -m tests.documents.references` writes this page from the code, and a test compares the two.

## Augmentation

All families that are augmented use the same names. Amounts are the largest change in either direction for slices, and
standard deviations for crops and windows. A share says how often a change is made.

"""
_RECIPES_HEAD = """
## Recipes

What each recipe sets, and what each setting means.
"""
_WIDTH = 120


def command_page() -> str:
    """Returns the page of all commands."""
    return _COMMANDS_HEAD + "".join(_command(name) for name in COMMANDS)


def settings_page(table: str) -> str:
    """Returns the page of all settings.

    Args:
        table: The table of augmentations, which is written by hand.
    """
    meanings = "".join(_settings_of(name) for name in recipe_names())
    return _SETTINGS_HEAD + table.strip() + "\n" + _RECIPES_HEAD + meanings


def augmentation_table(page: str) -> str:
    """Returns the table of augmentations of a page."""
    return page[page.index("| augmentation |") :].split("\n\n", maxsplit=1)[0]


def _command(name: str) -> str:
    module = import_module(f"cspine.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"cspine {name}", add_help=False)
    module.add_arguments(parser)
    rows = [row for part in _with_subcommands(parser) for row in _rows(part)]
    head = "\n| argument | meaning |\n|---|---|\n"
    return f"\n## cspine {name}\n\n{_prose(inspect.getdoc(module) or '')}\n{head if rows else ''}" + "".join(rows)


def _with_subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def _rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        help_text = (action.help or "") % {**vars(action), "prog": parser.prog}
        yield f"| {_cell(_ways(action))} | {_cell(help_text)} |\n"


def _ways(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else None
    value = value or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper())
    if not action.option_strings:
        return f"`{value}`"
    ways = [way if action.nargs == 0 else f"{way} {value}" for way in action.option_strings]
    return ", ".join(f"`{way}`" for way in ways)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Returns a docstring as Markdown: paragraphs are wrapped, what ``::`` begins is a block of code."""
    parts, literal = [], False
    for part in text.split("\n\n"):
        if literal and part.startswith("    "):
            parts.append(f"```\n{textwrap.dedent(part)}\n```")
            continue
        plain = part.replace("``", "`")
        literal = plain.rstrip().endswith("::")
        plain = re.sub(r"::\s*$", ":", plain)
        parts.append(
            plain if re.match(r"[-*] ", plain) else textwrap.fill(plain, _WIDTH, break_long_words=False, break_on_hyphens=False)
        )
    return "\n\n".join(parts) + "\n"


def _settings_of(name: str) -> str:
    recipe = load_recipe(name)
    meanings = dict(_meanings(recipe, ""))
    rows = "".join(
        f"| `{key}` | {f'`{_cell(value)}`' if value else 'empty'} | {_cell(meanings[key])} |\n"
        for key, value in settings(recipe).items()
    )
    caption = textwrap.fill(describe_recipe(name).splitlines()[0], _WIDTH)
    return f"\n### {name}\n\n{caption}\n\n| setting | value | meaning |\n|---|---|---|\n{rows}"


def _meanings(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yields what each setting means, from the docstrings of the dataclasses that hold it."""
    meanings = _attributes(type(value))
    for field in fields(value):
        part, key = getattr(value, field.name), f"{prefix}{field.name}"
        if is_dataclass(part):
            yield from _meanings(part, f"{key}.")
        else:
            yield key, meanings.get(field.name, "")


def _attributes(kind: type) -> dict[str, str]:
    """Returns the ``Attributes`` of a class and its parents, by name."""
    found: dict[str, str] = {}
    for parent in reversed(kind.__mro__[:-1]):
        doc = inspect.cleandoc(parent.__doc__ or "")
        if "Attributes:\n" in doc:
            listed = textwrap.dedent(doc.split("Attributes:\n")[1].split("\n\n")[0])
            for entry in re.split(r"\n(?=\S)", listed):
                attribute, _, meaning = entry.partition(":")
                found[attribute.strip()] = " ".join(meaning.split()).replace("``", "`")
    return found


def main() -> None:
    """Writes both pages."""
    page = REFERENCE / "settings.md"
    table = augmentation_table(page.read_text(encoding="utf-8"))
    page.write_text(settings_page(table), encoding="utf-8")
    (REFERENCE / "cli.md").write_text(command_page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Lists what can be trained; with a name, tells what a recipe is and every setting, and which do nothing."""

import argparse

from cspine.recipes import describe_recipe, load_recipe, recipe_names
from cspine.training.core.settings import settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="the recipe to describe")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.recipe is None:
        width = max(map(len, recipe_names()))
        for name in recipe_names():
            print(f"{name:<{width}} {describe_recipe(name).splitlines()[0]}")  # noqa: T201
        return 0
    recipe = load_recipe(options.recipe)
    print(describe_recipe(options.recipe))  # noqa: T201
    print("\nSettings (change one with --set KEY=VALUE):")  # noqa: T201
    idle = recipe.idle(on_data=True)
    for key, value in settings(recipe).items():
        print(f"  {key} = {value}" + (f"  (does nothing: {idle[key]})" if key in idle else ""))  # noqa: T201
    return 0

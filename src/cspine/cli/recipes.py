"""Lists the recipes; with a name or a file, describes a recipe with every setting, and says which settings do nothing.

Recipes of installed packages (entry points of `cspine.families`) are listed after those of cspine.
"""

import argparse

from cspine.recipes import describe_recipe, load_recipe, recipe_names
from cspine.recipes.own import offered
from cspine.training.core.settings import settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="the recipe to describe, by its name or its file")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.recipe is None:
        own = {name: describe_recipe(name).splitlines()[0] for name in recipe_names()}
        others = {name: f"from {point.value}" for name, point in sorted(offered().items()) if name not in own}
        for name, text in (own | others).items():
            print(f"{name:<{max(map(len, own | others))}} {text}")  # noqa: T201
        return 0
    recipe = load_recipe(options.recipe)
    print(describe_recipe(options.recipe))  # noqa: T201
    print("\nSettings (change one with --set KEY=VALUE):")  # noqa: T201
    idle = recipe.idle(on_data=True)
    for key, value in settings(recipe).items():
        print(f"  {key} = {value}" + (f"  (does nothing: {idle[key]})" if key in idle else ""))  # noqa: T201
    return 0

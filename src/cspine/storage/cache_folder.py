"""The folder of what may be deleted at any time: findings about this processor, and networks compiled for it.

It is ``$XDG_CACHE_HOME/cspine`` (``~/.cache/cspine`` where that is not set). ``CSPINE_CACHE=off`` switches it off.
"""

import os
from pathlib import Path

SWITCH, OFF = "CSPINE_CACHE", "off"


def cache_folder(name: str) -> Path | None:
    """Returns a folder of the cache, which may not exist yet; ``None`` where it is switched off or this account has no place.

    Args:
        name: What is kept there.
    """
    if os.environ.get(SWITCH, "").strip().lower() == OFF:
        return None
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "cspine" / name

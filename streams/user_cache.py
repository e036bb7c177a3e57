"""Where things that are fetched or built once stay between runs, for this user."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """`floorwatch/NAME` in `$XDG_CACHE_HOME`, else in `~/.cache`; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "floorwatch" / name

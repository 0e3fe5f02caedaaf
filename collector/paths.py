"""Where the files lie that are shipped with the code but are not code: the built tag and the default tracking plan.

A wheel carries them under collector/data (pyproject.toml, force-include); a checkout has them where they are edited.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _shipped(packaged: str, checkout: str) -> Path:
    inside = _PACKAGE / "data" / packaged
    return inside if inside.is_dir() else _PACKAGE.parent / checkout


TAG_DIR = _shipped("js", "js_sdk/dist")
DEFAULT_PLAN_DIR = _shipped("schemas", "schemas")
DEMO_DIR = _PACKAGE / "demo"
SQL_DIR = _PACKAGE / "sql"
REACH_DIR = _PACKAGE / "reach"

"""``python -m aqaudit.cli`` is the command ``aqaudit``."""

from __future__ import annotations

from aqaudit.cli import main

main()

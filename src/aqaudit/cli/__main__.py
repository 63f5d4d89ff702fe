"""``python -m aqaudit.cli`` is the command ``aqaudit``."""

from aqaudit.cli import main

main()

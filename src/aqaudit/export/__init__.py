"""Answers for other programs. Everything here reads a table of answers and what lies beside it, nothing more."""

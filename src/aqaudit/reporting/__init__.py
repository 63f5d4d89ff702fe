"""The report: one self-contained page, tables and figures beside it, and what a terminal shows."""

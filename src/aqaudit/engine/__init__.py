"""The engine: asking what is missing, keeping every answer, reading what was said."""

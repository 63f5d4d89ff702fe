"""Prompts: versioned template files, framings and strategies."""

"""Readers: one module a data set, each with its ``READER``."""

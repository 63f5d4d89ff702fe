"""Reasoning traces: split into steps, tagged, and held against the measured movement.

Everything here is a pure function of text and frames, offline and without a model, so both halves of the program may
use it: ``run`` writes the tagged steps beside the answers, the audit ``traces`` reads them.
"""

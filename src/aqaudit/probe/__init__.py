"""The probe: rendered minimal pairs with exact truth.

A parametric body performs an exercise in which exactly one thing varies by a known amount. Reading the bundled clips
needs nothing but the core (:mod:`aqaudit.datasets.readers.probe`); making clips needs the extra ``probe``.
"""

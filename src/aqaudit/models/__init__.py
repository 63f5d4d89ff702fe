"""Models: what they are called (:mod:`.catalog`), how they are asked (:mod:`.call`), and one module per provider.

Importing this package is cheap; a provider's libraries are imported when :func:`.catalog.open_model` opens it.
"""

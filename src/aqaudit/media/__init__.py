"""Media: what a model is shown of a performance, and nothing else of the source.

``source`` says what a source is and whether it fits its performance, without decoding; ``prepare`` decodes, samples,
draws and encodes; ``store`` keeps the files sent by the hash of their bytes. ``VIEWS`` and ``PERTURBATIONS`` are the
names of those that can be prepared.
"""

from __future__ import annotations

from aqaudit.media.perturb import PERTURBATIONS
from aqaudit.media.views import VIEWS

__all__ = ["PERTURBATIONS", "VIEWS"]

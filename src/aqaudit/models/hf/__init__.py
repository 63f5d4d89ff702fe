"""Hugging Face models in process: :mod:`.loading` opens one, :mod:`.inputs` makes prompts, :mod:`.model` asks it."""

from importlib.util import find_spec

from aqaudit.records import BadInput

if find_spec("torch") is None or find_spec("transformers") is None:
    raise BadInput("provider 'hf' needs torch and transformers: pip install 'aqaudit[hf]'")

"""The demo model on onnxruntime, without torch: :mod:`.bundle` opens its files, :mod:`.model` asks it."""

from importlib.util import find_spec

from aqaudit.records import BadInput

if find_spec("onnxruntime") is None:
    raise BadInput("provider 'onnx' needs onnxruntime: pip install 'aqaudit[demo]'")

"""Media: what a model is shown of a performance, and nothing else of the source.

``source`` says what a source is and whether it fits its performance, without decoding; ``clip`` opens it, finds the
performance in it and picks frames; ``prepare`` decodes, draws and encodes them; ``cache`` keeps the files sent by the
hash of their bytes.
"""

"""Answers in and out: our own files, and those of lmms-eval, VLMEvalKit and Inspect AI; logs for Inspect AI."""

"""Artifacts for other machines: a folder's content published by digest, manifest last."""

"""The checks by what they look at, one module each; findings.py knows them all."""

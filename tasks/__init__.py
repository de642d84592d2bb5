"""Stages of the pipeline: plain Python, plus one thin Prefect shell (task.py) a stage."""

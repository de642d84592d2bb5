"""IFEval: instructions whose keeping a rule can check (Zhou et al. 2023, arXiv 2311.07911)."""

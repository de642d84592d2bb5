"""Gates: what the candidate must hold or improve, judged on paired items with three verdicts."""

"""Measures how fast a study is predicted, stage by stage, beside what the machine could do and what others would run."""

"""How fast a study is judged, stage by stage, beside what the machine could do and what others would run."""

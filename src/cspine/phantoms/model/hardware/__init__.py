"""Models what is not the patient: tubes, metal, collar, table; functions of world coordinates painted over the neck."""

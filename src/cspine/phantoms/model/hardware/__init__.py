"""What is not the patient: tubes, metal, collar, table; functions of world coordinates that are painted over the neck."""

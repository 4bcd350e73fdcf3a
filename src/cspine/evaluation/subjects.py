"""Says whom numbers were measured on: synthetic necks say little about patients."""

SUBJECTS = {
    "phantoms": "Measured on synthetic necks only. Nothing here says how good the model is on patients.",
    "patients": "Measured on the patients of one data set. Other hospitals, scanners and protocols may give other numbers.",
    "both": "Measured on patients and synthetic necks together. Nothing here says how good the model is on patients alone.",
}
"""What to mind, by whom it was measured on."""

WHOM = {"phantoms": "synthetic necks", "patients": "patients", "both": "patients and synthetic necks"}
"""Whom it was measured on, as a number says it that stands alone."""

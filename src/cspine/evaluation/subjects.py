"""Says what numbers were measured on: synthetic necks say little about patients."""

SUBJECTS = {
    "phantoms": "Measured on synthetic necks only. Nothing here says how good the model is on patients.",
    "patients": "Measured on the patients of one data set. Other hospitals, scanners and protocols may give other numbers.",
    "both": "Measured on patients and synthetic necks together. Nothing here says how good the model is on patients alone.",
}
"""Warning, by what was measured on."""

WHOM = {"phantoms": "synthetic necks", "patients": "patients", "both": "patients and synthetic necks"}
"""What was measured on, in the words beside a single number."""

"""Checks of what texts hold: wrong encodings, languages, personal data, secrets."""

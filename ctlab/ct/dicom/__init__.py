"""DICOM in and out: find, read, decode, write, de-identify."""

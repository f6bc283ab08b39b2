"""Teaching material that several chapters share."""

"""Endpoints of a study: each planned endpoint estimated from its outcome table."""

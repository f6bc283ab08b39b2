"""The reading room: server, login, session, panel."""

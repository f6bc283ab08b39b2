"""What a reader does in a session, for the tests of the reading room."""


def begin(session):
    assert session.screen()["kind"] == "consent"
    return session.act({"action": "consent"})


def give(session, value, **more):
    screen = session.screen()
    return session.act({"action": "answer", "id": screen["id"], "value": value, **more})

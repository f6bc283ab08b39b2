"""What crosses between a page and the server, so that a test can search it for secrets."""


class Wire:
    """Everything that crosses to a page: documents, scripts, images, frames both ways, the DOM."""

    def __init__(self, page) -> None:
        self.page, self.texts, self.hosts, self.errors = page, [], set(), []
        self.frame_sizes = []
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.on("response", self._response)
        page.on("websocket", self._websocket)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.route("**/images/*", self._images)

    def _images(self, route) -> None:
        try:
            reply = route.fetch()
        except Exception:  # the server is gone
            route.abort()
            return
        self._keep(reply.body(), frame=True)
        route.fulfill(response=reply)

    def _response(self, response) -> None:
        self._keep(f"{response.url} {response.headers}")
        elsewhere = ("/voila/static/", "/labextensions/", "/images/")
        if not any(part in response.url for part in elsewhere):
            try:
                self._keep(response.body())
            except Exception as error:  # redirects have no body
                self._keep(str(error))

    def _websocket(self, socket) -> None:
        socket.on("framereceived", lambda payload: self._keep(payload, frame=True))
        socket.on("framesent", self._keep)

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _keep(self, payload, *, frame=False) -> None:
        raw = payload if isinstance(payload, bytes) else str(payload).encode()
        if frame:
            self.frame_sizes.append(len(raw))
        self.texts.append(raw)

    def look(self) -> None:
        self._keep(self.page.content())

    def leaks(self, secrets) -> list[str]:
        everything = b"\n".join(self.texts).lower()
        return [secret for secret in secrets if secret.lower().encode() in everything]

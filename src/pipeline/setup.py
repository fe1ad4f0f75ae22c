"""`make setup`: everything the other verbs need, from hashed locks and verified downloads.

Runs before anything is installed, so it uses the standard library only:

    python3 src/pipeline/setup.py python train serve    # dependency groups into .venv
    python3 src/pipeline/setup.py python audit          # into .venv-audit: versions differ
    python3 src/pipeline/setup.py terraform             # Terraform and its AWS provider
"""

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

TERRAFORM_VERSION = "1.11.4"
TERRAFORM_MIRROR = "https://releases.hashicorp.com/terraform"
TERRAFORM_SHA256 = {
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
}
PROVIDER = Path("registry.terraform.io/hashicorp/aws")
PROVIDER_VERSION = "5.100.0"

ALONE = ("audit", "peers", "ray", "toolkit")
"""Groups whose versions differ; each has an environment of its own."""


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def say(line: str) -> None:
    """Tell the person what happens."""
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


def install_groups(groups: Sequence[str], venv: Path) -> None:
    """Install dependency groups from requirements/<group>.txt into a virtual environment.

    Raises:
        SetupError: this Python is not supported, or pip failed.
    """
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(
            f"Python {platform.python_version()} came; 3.11, 3.12 or 3.13 is wanted. "
            "Name one: make PYTHON=python3.12 setup"
        )
    python = venv / "bin" / "python"
    if not python.exists():
        say(f"making {venv} with Python {platform.python_version()}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    needs_torch = bool({"train", "peers"} & set(groups))
    if needs_torch and not imports(python, "torch"):
        pip(python, ["cpu.txt"], "--no-index", wanted=False)
    say(f"installing {', '.join(groups)} dependencies from hashed locks")
    pip(python, [f"{group}.txt" for group in groups])
    if needs_torch and not imports(python, "torch"):
        say("this build of torch needs CUDA libraries (some GB); installing them")
        pip(python, ["cuda.txt"])


def imports(python: Path, module: str) -> bool:
    """Whether a module can be imported by that interpreter."""
    check = subprocess.run([str(python), "-c", f"import {module}"], capture_output=True)
    return check.returncode == 0


def pip(python: Path, locks: Iterable[str], *options: str, wanted: bool = True) -> None:
    """Install locks with hashes; ``wanted=False`` accepts that pip cannot."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", *options]
    command += [word for lock in locks for word in ("-r", f"requirements/{lock}")]
    run = subprocess.run(command, capture_output=True, text=True)
    if wanted and run.returncode != 0:
        raise SetupError(f"pip failed:\n{run.stderr.strip()[-2000:]}")


def this_platform() -> str:
    """The machine as Terraform names it, for example linux_amd64."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def ensure_terraform(folder: Path) -> None:
    """Use the machine's Terraform when it is recent enough, else download one.

    Raises:
        SetupError: there is none for this machine, or what came has another checksum.
    """
    path = f"{folder.resolve()}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("terraform", path=path)
    if found:
        version = subprocess.run(
            [found, "version", "-json"], capture_output=True, text=True, check=True
        )
        text = json.loads(version.stdout)["terraform_version"]
        if (1, 11) <= tuple(int(part) for part in text.split("-")[0].split(".")[:2]) < (2, 0):
            say(f"Terraform {text} found")
            return
        say(f"Terraform {text} at {found} is too old; 1.11 or later is wanted")
    mirror = os.environ.get("TERRAFORM_MIRROR", TERRAFORM_MIRROR)
    download_terraform(mirror, folder, this_platform())


def download_terraform(mirror: str, folder: Path, machine: str) -> None:
    """Download Terraform, verify its checksum, and only then unpack it.

    Raises:
        SetupError: there is none for this machine, or what came has another checksum.
    """
    if machine not in TERRAFORM_SHA256:
        raise SetupError(f"no Terraform is known for {machine}; install 1.11 or later yourself.")
    url = f"{mirror}/{TERRAFORM_VERSION}/terraform_{TERRAFORM_VERSION}_{machine}.zip"
    say(f"Terraform not found; downloading {url}")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - a fixed https host
            archive = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise SetupError(
            f"{url} cannot be had ({error}). Install Terraform 1.11 or later, or name a mirror "
            "in TERRAFORM_MIRROR."
        ) from None
    digest = hashlib.sha256(archive).hexdigest()
    if digest != TERRAFORM_SHA256[machine]:
        raise SetupError(
            f"{url} has SHA-256 {digest}; {TERRAFORM_SHA256[machine]} was wanted. "
            "Nothing was installed."
        )
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "terraform.partial"
    with zipfile.ZipFile(io.BytesIO(archive)) as contents:
        partial.write_bytes(contents.read("terraform"))
    partial.chmod(0o755)
    partial.replace(folder / "terraform")
    say(f"Terraform {TERRAFORM_VERSION} verified and put into {folder}")


def find_mirror() -> Path | None:
    """A folder on this machine that holds the AWS provider, laid out as Terraform's mirrors are."""
    named = os.environ.get("TF_PLUGIN_MIRROR")
    share = [Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins")]
    home = [Path.home() / ".terraform.d/plugins", Path.home() / ".local/share/terraform/plugins"]
    optional = sorted(path for path in Path("/opt").glob("*") if path.is_dir())
    candidates = [Path(named)] if named else [*home, *share, *optional]
    for folder in candidates:
        if (folder / PROVIDER / PROVIDER_VERSION / this_platform()).is_dir():
            return folder
    if named:
        raise SetupError(
            f"TF_PLUGIN_MIRROR is {named}; it has no {PROVIDER}/{PROVIDER_VERSION}/"
            f"{this_platform()}. Correct it, or unset it to use Terraform's registry."
        )
    return None


def write_cli_config(path: Path, mirror: Path | None) -> None:
    """Write the Terraform CLI configuration that every verb uses (TF_CLI_CONFIG_FILE)."""
    if mirror:
        say(f"AWS provider {PROVIDER_VERSION} found in {mirror}")
        source = f'filesystem_mirror {{\n    path = "{mirror}"\n  }}'
        text = f"disable_checkpoint = true\nprovider_installation {{\n  {source}\n}}\n"
    else:
        cache = path.parent.resolve() / "terraform-plugins"
        cache.mkdir(parents=True, exist_ok=True)
        say("AWS provider not on this machine; Terraform will download it once")
        text = f'disable_checkpoint = true\nplugin_cache_dir = "{cache}"\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Set up Python groups or Terraform."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    python = verbs.add_parser("python", help="dependency groups into .venv")
    python.add_argument("groups", nargs="+")
    terraform = verbs.add_parser("terraform", help="Terraform and its AWS provider")
    terraform.add_argument("--build", type=Path, default=Path("build"))
    options = parser.parse_args(argv)
    try:
        if options.verb == "python":
            alone = options.groups[0] if options.groups[0] in ALONE else ""
            install_groups(options.groups, Path(f".venv-{alone}" if alone else ".venv"))
        else:
            ensure_terraform(options.build / "bin")
            write_cli_config(options.build / "terraform.rc", find_mirror())
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The wheel, installed where the repository cannot be seen: it carries all that it needs, the migrations first."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from memory_guild.database.migrations import known_migrations
from memory_guild.schema.catalog import compare_catalog

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, built as a release is: the wheel from the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    isolation = ["--no-isolation"] if find_spec("hatchling") else []  # else it is downloaded for the build
    subprocess.run(
        [sys.executable, "-m", "build", *isolation, "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installation(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel: it sees this environment's packages, but not the repository."""
    folder = tmp_path_factory.mktemp("installation") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", packages, distributions[0]],
        check=True,
        capture_output=True,
        timeout=120,
    )
    # A plain path, unlike site.addsitedir(), does not run the .pth file that makes the repository importable.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin" / "python"


def run(installation: Path, *command: str, url: str = "", cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORY_GUILD", "PYTHON"))}
    environment |= {"MEMORY_GUILD_DATABASE_URL": url, "HOME": str(cwd), "COLUMNS": "200"}
    return subprocess.run(
        [installation, *command],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_wheel_carries_what_it_needs(distributions: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(distributions[0]).namelist())

    assert "memory_guild/py.typed" in names
    for app in ("models", "search", "groups"):
        assert {f"memory_guild/migrations/{app}/{name}" for name in known_migrations(app)} <= names
    for folder in ("memory_guild", "migrations"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sql", ".txt"}:
                inside = path.relative_to(ROOT).as_posix()
                assert (inside if folder == "memory_guild" else f"memory_guild/{inside}") in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"memory_guild"}
    assert not [name for name in names if name.endswith(".pyc") or "test" in name.replace("memory_guild/testing/", "")]


def test_source_distribution_builds_and_carries_the_tests(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "aerich.toml", "memory_guild/py.typed", "tests/conftest.py"} <= names
    for app in ("models", "search", "groups"):
        assert {f"migrations/{app}/{name}" for name in known_migrations(app)} <= names


WHERE = """
import sys, memory_guild
from memory_guild.database.migrations import migrations_folder
print(memory_guild.__file__)
print(migrations_folder())
print(sys.path)
"""


def test_installed_package_is_not_the_repository(installation: Path, tmp_path: Path) -> None:
    result = run(installation, "-c", WHERE, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    package, migrations, path = result.stdout.splitlines()
    assert Path(package).is_relative_to(installation.parents[1])
    assert Path(migrations) == Path(package).parent / "migrations"
    assert f"'{ROOT}'" not in path


COMMAND = "import sys; from memory_guild.cli import main; sys.argv[0] = 'memory-guild'; main()"


def test_installed_command_has_a_script(installation: Path, tmp_path: Path) -> None:
    (script,) = installation.parents[1].glob("lib/python*/site-packages/bin/memory-guild")

    result = run(installation, str(script), "--help", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    for command in ("upgrade", "validate", "server", "demo", "ingest"):
        assert f" {command} " in result.stdout


async def test_installed_command_upgrades_an_empty_database(
    installation: Path, tmp_path: Path, empty_database_url: str
) -> None:
    first = run(installation, "-c", COMMAND, "upgrade", url=empty_database_url, cwd=tmp_path)
    second = run(installation, "-c", COMMAND, "upgrade", url=empty_database_url, cwd=tmp_path)

    assert (first.returncode, first.stderr) == (0, "")
    for name in known_migrations():
        assert name in first.stdout
        assert name not in second.stdout
    assert (second.returncode, second.stderr) == (0, "")
    connection = await asyncpg.connect(empty_database_url)
    changes = (await compare_catalog(connection, "public")).differences
    await connection.close()
    assert [change for change in changes if change.kind in {"table", "column", "constraint", "index"}] == []


async def test_installed_command_refuses_a_newer_database(
    installation: Path, tmp_path: Path, database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    await connection.execute("INSERT INTO aerich (version, app, content) VALUES ('99_later.py', 'models', '{}')")

    result = run(installation, "-c", COMMAND, "upgrade", url=database_url, cwd=tmp_path)

    assert result.returncode == 1
    assert "the database is newer than this version of memory-guild: it has 99_later.py" in result.stderr
    assert "Traceback" not in result.stderr

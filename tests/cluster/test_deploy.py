"""What `deploy/` holds: checked against the published schemas where they can be had offline, and
run as written as far as that goes without a cluster, a container engine and an init system.

Kubernetes' own kinds and pods are validated against Kubernetes' schemas (of `kubernetes-validate`).
KubeRay's schema of RayJob is not to be had offline: it is parsed, and its pods are validated. The
units are read by systemd's own verifier. The compose file is parsed.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient

from study.loading import load_config
from study.run import _parser, _split_words, parse_duration
from tests.services import BIN, ROOT, PostgreSQL, Server, answers, free_port, wait_for

DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34.0"


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


def study_words(command: str) -> list[str]:
    """What follows study/run.py in a command."""
    words = shlex.split(command)
    return words[next(i for i, word in enumerate(words) if word.endswith("study/run.py")) + 1 :]


def check_study(command: str) -> None:
    """A command that starts a study, as its command line and its configuration read it."""
    options = _parser().parse_intermixed_args(study_words(command))
    config = load_config(*_split_words(options.words))
    assert config.adds
    assert options.resume
    assert parse_duration(options.time_budget) > 3600
    assert Path(options.results).is_absolute()


@pytest.mark.parametrize("name", ["access.yaml", "cronjob.yaml"])
def test_kubernetes_kinds_match_kubernetes_schemas(name: str) -> None:
    for document in documents(DEPLOY / "kubernetes" / name):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_schemas_would_notice() -> None:
    (job,) = documents(DEPLOY / "kubernetes" / "cronjob.yaml")
    job["spec"]["concurencyPolicy"] = job["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_the_rayjob_ends_its_cluster_and_its_pods_match_kubernetes_schemas() -> None:
    (job,) = documents(DEPLOY / "kubernetes" / "rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0
    check_study(spec["entrypoint"])
    options = _parser().parse_intermixed_args(study_words(spec["entrypoint"]))
    assert spec["activeDeadlineSeconds"] > parse_duration(options.time_budget)
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert cluster["rayVersion"] == locked[1]
    templates = [cluster["headGroupSpec"]["template"]]
    templates += [group["template"] for group in cluster["workerGroupSpecs"]]
    for template in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        (container,) = template["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}
        env = {entry["name"]: entry for entry in container["env"]}
        assert "secretKeyRef" in env["PGPASSWORD"]["valueFrom"]
        for entry in env.values():
            assert not re.search(r"://[^@/]*:[^@/]*@", entry.get("value", ""))


def test_the_cronjob_waits_longer_than_the_study_and_may_do_what_its_script_does() -> None:
    (cron,) = documents(DEPLOY / "kubernetes" / "cronjob.yaml")
    (ray,) = documents(DEPLOY / "kubernetes" / "rayjob.yaml")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    wait = cron["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert wait > ray["spec"]["activeDeadlineSeconds"]
    script = (DEPLOY / "kubernetes" / "nightly.sh").read_text(encoding="utf-8")
    used = set(re.findall(r"kubectl (\w+)", script))
    _, role, _ = documents(DEPLOY / "kubernetes" / "access.yaml")
    assert used == set(role["rules"][0]["verbs"])


def test_kustomize_puts_the_script_and_the_rayjob_where_the_cronjob_looks() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    kinds = {d["kind"]: d for d in yaml.safe_load_all(built.stdout)}
    for document in kinds.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    volume = kinds["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"][0]
    assert volume["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
    assert set(kinds["ConfigMap"]["data"]) == {"nightly.sh", "rayjob.yaml"}


KUBECTL = """#!/bin/sh
echo "$@" >> "$LOG"
case $1 in
create) echo rayjob.ray.io/cutpoint-nightly-x1 ;;
get)
    asked=$(grep -c jobDeploymentStatus "$LOG")
    case $* in *message*) echo "the entrypoint failed" ;; *)
        [ "$asked" = 1 ] && exit 1  # the API server is away
        [ "$asked" -lt 4 ] && echo Running || echo "$LAST" ;;
    esac ;;
esac
"""


@pytest.mark.parametrize(("last", "code"), [("Complete", 0), ("Failed", 1)])
def test_the_nightly_script_waits_for_the_end_and_says_how_it_was(
    tmp_path: Path, last: str, code: int
) -> None:
    stub = tmp_path / "kubectl"
    stub.write_text(KUBECTL)
    stub.chmod(0o755)
    log = tmp_path / "log"
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "LAST": last,
           "WAIT_SECONDS": "0.1"}  # fmt: skip
    script = ["sh", str(DEPLOY / "kubernetes" / "nightly.sh")]
    ended = subprocess.run(script, env=env, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == code, ended.stderr
    calls = log.read_text().splitlines()
    assert calls[0] == "create --filename /cutpoint/rayjob.yaml --output name"
    assert sum("jobDeploymentStatus" in call for call in calls) == 4
    # Stopped while it waits, it takes the study along.
    log.unlink()
    waiting = subprocess.Popen(script, env={**env, "WAIT_SECONDS": "60"})
    wait_for(lambda: log.exists() and "jobDeploymentStatus" in log.read_text(), "the script")
    waiting.terminate()
    assert waiting.wait(10) == 143
    assert "delete rayjob.ray.io/cutpoint-nightly-x1 --wait=false" in log.read_text()


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # Where they are to lie, there are these programs.
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/cutpoint/.venv/bin", str(BIN))
        (tmp_path / path.name).write_text(text.replace("/opt/cutpoint", str(ROOT)))
    units = [str(path) for path in tmp_path.iterdir()]
    checked = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"cutpoint-\w+\.\w+[:.]", checked.stderr), checked.stderr
    start = re.search(r"^ExecStart=(.*)", (tmp_path / "cutpoint-nightly.service").read_text(), re.M)
    assert start is not None
    check_study(start[1])


def compose_command() -> tuple[str, dict[str, str]]:
    """What the compose file starts as MLflow's server, and its environment."""
    (compose,) = documents(DEPLOY / "compose.yaml")
    service = compose["services"]["mlflow"]
    assert service["command"][:2] == ["sh", "-c"]
    return service["command"][2].replace("$$", "$"), service["environment"]


def unit_command() -> tuple[str, dict[str, str]]:
    """The same of the systemd unit."""
    text = (DEPLOY / "systemd" / "cutpoint-mlflow.service").read_text(encoding="utf-8")
    env = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)", text, re.M))
    command = re.search(r"^ExecStart=(.*)", text, re.M)
    assert command is not None
    return command[1].replace("/opt/cutpoint/.venv/bin/mlflow", "mlflow"), env


@pytest.mark.slow
@pytest.mark.parametrize("read", [compose_command, unit_command])
def test_mlflows_server_runs_as_written(read: Any, postgresql: PostgreSQL, tmp_path: Path) -> None:
    command, env = read()
    database = postgresql.make_database(f"mlflow_{read.__name__}")
    address = env["MLFLOW_BACKEND_STORE_URI"]
    assert re.fullmatch(r"postgresql://cutpoint@\w+:5432/mlflow", address)
    secret, pgpass, port = tmp_path / "postgresql-password", tmp_path / "pgpass", free_port()
    secret.write_text(postgresql.password + "\n")
    pgpass.write_text(f"127.0.0.1:{postgresql.port}:*:cutpoint:{postgresql.password}\n")
    pgpass.chmod(0o600)
    here = {
        "/run/secrets/postgresql-password": str(secret), "5000": str(port), "0.0.0.0": "127.0.0.1",
        "/var/lib/cutpoint/artifacts": str(tmp_path / "kept"), "/artifacts": str(tmp_path / "kept"),
    }  # fmt: skip
    for there, own in here.items():
        command = command.replace(f" {there}", f" {own}").replace(f":{there}", f":{own}")
    env = {**os.environ, **env, "MLFLOW_BACKEND_STORE_URI": database,
           "PATH": f"{BIN}:{os.environ['PATH']}"}  # fmt: skip
    if "PGPASSFILE" in env:
        env["PGPASSFILE"] = str(pgpass)
    server = Server(["sh", "-c", command], tmp_path / "log", env)
    server.launch()
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), "MLflow's server")
        client = MlflowClient(tracking_uri=f"http://127.0.0.1:{port}")
        run = client.create_run(client.create_experiment("study"))
        client.log_text(run.info.run_id, "kept", "note.txt")
        assert list((tmp_path / "kept").rglob("note.txt"))
        for process in server.processes():
            try:
                assert postgresql.password not in " ".join(process.cmdline())
            except psutil.Error:
                continue
        # Its host check is on.
        asked = subprocess.run(
            [sys.executable, "-c", "import urllib.request as u; u.urlopen(u.Request("
             f"'http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1',"
             "headers={'Host': 'evil.example'}))"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "403" in asked.stderr
    finally:
        server.kill()
    assert postgresql.password not in (tmp_path / "log").read_text(encoding="utf-8")


def test_the_compose_file_keeps_its_servers_to_this_machine_and_its_password_in_a_file() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert "postgresql-password" in service["secrets"]
        assert set(service["secrets"]) <= set(compose["secrets"])
        volumes = {volume.split(":")[0] for volume in service["volumes"]}
        assert volumes <= set(compose["volumes"])
    assert "POSTGRES_PASSWORD" not in compose["services"]["postgresql"]["environment"]
    build = compose["services"]["mlflow"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_the_container_file_copies_what_the_project_needs() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.S)
    assert packages is not None
    assert {name.strip(' ",').split(".")[0] for name in packages[1].split()} <= copied
    assert all((ROOT / name).exists() for name in copied)
    assert any(line.startswith("USER cutpoint") for line in lines)

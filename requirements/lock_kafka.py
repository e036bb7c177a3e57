"""Write `streams/local_kafka.lock`: each jar of Apache Kafka with the hash of its bytes.

Run by `make lock` on a developer's machine after `KAFKA_VERSION` or the logging binding changes.
What starts Kafka reads the lock alone, so it neither walks dependencies nor trusts a changed jar.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from streams.local_kafka import KAFKA_VERSION, LOCK_FILE

# Kafka logs through slf4j; its own package adds the binding to log4j that its POM leaves out.
LOGGER, BINDING = "log4j-core", "log4j-slf4j-impl"


def main() -> int:
    """Resolve Kafka and its logging binding; write one line a jar."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")
        asked, needed = context.resolver.resolve([kafka])
        artifacts = [dependency.artifact for dependency in (*asked, *needed)]
        logger = next(artifact for artifact in artifacts if artifact.artifactId == LOGGER)
        binding = f"{logger.groupId}:{BINDING}:{logger.version}"
        artifacts.append(context.create_dependency(binding).artifact)
        lines = [
            f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            f" sha256:{hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()}\n"
            for artifact in artifacts
        ]
    LOCK_FILE.write_text("".join(sorted(lines)), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The null store as a process."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import List, Optional


class Store:
    """A running null-store; a context manager that ends it."""

    def __init__(self, program: Path, flags: List[str], certificate: Optional[Path]) -> None:
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().strip()
        if not self.url:
            raise SystemExit("bench: the null store did not start")
        self.address = self.url.split("//")[1]
        self.context = None
        if certificate:
            import ssl

            self.context = ssl.create_default_context(cafile=str(certificate))

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def counted(self) -> dict:
        """What was counted since the last call."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *self.handlers())
        with opener.open(f"{self.url}/__stats?reset", timeout=10) as answer:
            return json.loads(answer.read().decode())

    def handlers(self) -> list:
        return [urllib.request.HTTPSHandler(context=self.context)] if self.context else []

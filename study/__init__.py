"""Runs a study. Whatever imports this package decides first whom a Ray of its own listens to."""

import os

if os.environ.get("RAY_ADDRESS") in (None, "", "local"):
    # Ray reads it once, when it is imported: a Ray that serves one study on this machine then
    # listens on the loopback interface alone, as it does on other systems by default.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

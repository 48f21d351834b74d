"""`flowglass server`: the API and its state.

Rule: it runs until SIGTERM or Ctrl-C, which end it with exit code 0, and logs to standard error.
"""

from __future__ import annotations

from flowglass.app.cli.common import ConfigFile, DataDir, Listen, configured

EXAMPLES = (
    "Examples: flowglass server · flowglass server --config /etc/flowglass/config.toml · "
    "FLOWGLASS_SERVER_STATE=postgresql://… flowglass server"
)


def server(data_dir: DataDir = None, config: ConfigFile = None, listen: Listen = None) -> None:
    """Serve AWS's API for flow logs; agents on this or other machines record for it."""
    from flowglass.app import lock, log, part
    from flowglass.app.server.run import serve
    from flowglass.data_dir import make_data_dir

    handed = part.listening()
    part.end_with_parent()
    settings = configured(data_dir, config, {"server.listen": listen})
    make_data_dir(settings.data_dir)
    log.configure(settings.log.level, settings.log.format)
    with lock.only(settings.data_dir, "server"):
        serve(settings, listening=handed)

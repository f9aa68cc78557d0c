"""An RPC client of oslo.messaging: calls export_record of each BACKUP, then a method without arguments and one that no
manager has, and prints one line of JSON for each answer.

    call.py URL EXCHANGE SERVER SECONDS BACKUP...

SECONDS is the time-out of a call. Says `ready` and the version of oslo.messaging on stderr when it begins.
"""

import importlib.metadata
import json
import sys

import oslo_messaging
from oslo_config import cfg

CONTEXT = {"user_id": "an-oslo-user", "project_id": "an-oslo-project"}


def main(url, exchange, server, seconds, *backups):
    # The process-wide one: the options of tracing are registered there only.
    conf = cfg.CONF
    conf([], project="clinker")
    transport = oslo_messaging.get_rpc_transport(conf, url=url)
    target = oslo_messaging.Target(exchange=exchange, topic="cinder-backup", server=server, version="2.4")
    client = oslo_messaging.get_rpc_client(transport, target, timeout=float(seconds))
    print("ready", importlib.metadata.version("oslo.messaging"), file=sys.stderr, flush=True)
    calls = [("export_record", {"backup_id": backup}) for backup in backups]
    for method, args in calls + [("check_support_to_force_delete", {}), ("frobnicate", {})]:
        try:
            said = {"answer": client.call(CONTEXT, method, **args)}
        except oslo_messaging.RemoteError as error:
            said = {"raised": error.exc_type, "text": error.value}
        except oslo_messaging.MessagingTimeout:
            said = {"raised": "MessagingTimeout", "text": ""}
        print(json.dumps(said), flush=True)
    sys.stdin.read()


main(*sys.argv[1:])

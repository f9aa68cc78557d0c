"""An RPC server of oslo.messaging with one method, export_record; what it does depends on the backup it is asked for.

    serve.py URL EXCHANGE SERVER SECONDS

`broken` raises, `slow` takes five seconds, everything else is answered at once. Says `ready` and the version of
oslo.messaging on stderr when it listens; ends when stdin ends, or after SECONDS.
"""

import importlib.metadata
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg


class Manager:
    target = oslo_messaging.Target(version="2.4")

    def export_record(self, context, backup_id):
        if backup_id == "broken":
            raise ValueError("no such luck")
        if backup_id == "slow":
            time.sleep(5)
        return {"backup_service": context["user_id"], "backup_url": backup_id}


def main(url, exchange, server, seconds):
    # The process-wide one: the options of tracing are registered there only.
    conf = cfg.CONF
    conf([], project="clinker")
    transport = oslo_messaging.get_rpc_transport(conf, url=url)
    target = oslo_messaging.Target(exchange=exchange, topic="cinder-backup", server=server)
    listener = oslo_messaging.get_rpc_server(transport, target, [Manager()], executor="threading")
    listener.start()
    print("ready", importlib.metadata.version("oslo.messaging"), file=sys.stderr, flush=True)
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
    told.wait(float(seconds))
    listener.stop()
    listener.wait()


main(*sys.argv[1:])

"""A notification listener of oslo.messaging: one line of JSON for each event it is given.

    listen.py URL EXCHANGE TOPIC SECONDS

Says `ready` and the version of oslo.messaging on stderr when it listens; ends when stdin ends, or after SECONDS.
"""

import importlib.metadata
import json
import sys
import threading

import oslo_messaging
from oslo_config import cfg


class Printer:
    """An endpoint: a method for each priority that a backup service sends with."""

    def __init__(self):
        self.lock = threading.Lock()

    def show(self, priority, context, publisher_id, event_type, payload, metadata):
        event = {
            "priority": priority,
            "publisher_id": publisher_id,
            "event_type": event_type,
            "payload": payload,
            "message_id": metadata["message_id"],
            "timestamp": metadata["timestamp"],
            "context": sorted(context),
        }
        with self.lock:
            print(json.dumps(event), flush=True)
        return oslo_messaging.NotificationResult.HANDLED

    def info(self, *event):
        return self.show("INFO", *event)

    def error(self, *event):
        return self.show("ERROR", *event)


def main(url, exchange, topic, seconds):
    conf = cfg.ConfigOpts()
    conf([], project="clinker")
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    target = oslo_messaging.Target(topic=topic, exchange=exchange)
    listener = oslo_messaging.get_notification_listener(transport, [target], [Printer()], executor="threading")
    # One thread: what comes in order is printed in order.
    conf.set_override("executor_thread_pool_size", 1)
    listener.start()
    print("ready", importlib.metadata.version("oslo.messaging"), file=sys.stderr, flush=True)
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
    told.wait(float(seconds))
    listener.stop()
    listener.wait()


main(*sys.argv[1:])

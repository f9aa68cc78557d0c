"""Cinder's own backup drivers behind the adapter protocol (docs/adapter-protocol.md), on standard input and output.

usage: adapter.py --driver swift|s3|posix [--cache FOLDER]

Here is the talking: lines in, lines out, who may ask what. `service.py` is the Cinder around a driver, `store.py` a
driver without Cinder's engine, `errors.py` says which of the protocol's kinds an exception is.
"""
import argparse
import json
import os
import sys

# Nothing but messages may reach standard output: what libraries print goes to the log. Taken before eventlet replaces
# what opens files.
LINES = os.fdopen(os.dup(0), 'rb')
MESSAGES = os.fdopen(os.dup(1), 'wb', 0)
os.dup2(2, 1)

from cinder import monkey_patch  # noqa: E402
monkey_patch.patch()

import importlib.metadata  # noqa: E402
import logging  # noqa: E402

from eventlet import tpool  # noqa: E402

import errors  # noqa: E402
import service  # noqa: E402
import store  # noqa: E402

PROTOCOL = 1
LOG = logging.getLogger('cinder.adapter')
# Claims: of the chunked engine that all three share, and of each.
OF_ALL = ['chunked', 'progress', 'incremental', 'force_delete', 'sparse', 'fixtures', 'volume_meta']
CAPABILITIES = {
    'swift': ['swift', 'net', 'auth', 'etag_md5', 'list_bound'],
    's3': ['s3', 'net', 'auth', 'etag_md5'],
    'posix': ['posix'],
}
ROLES = {'driver': (service.Service, service.OPERATIONS), 'store': (store.Store, store.OPERATIONS)}


class Link:
    """The harness at the other end of the pipes."""

    def __init__(self):
        self.asked = 0

    def say(self, message):
        # One write: a timer's note and an answer never mix.
        MESSAGES.write(json.dumps(message, default=str).encode() + b'\n')

    def read(self):
        # In a native thread, so that timers go on while nothing is asked of the driver.
        line = tpool.execute(LINES.readline)
        if not line:
            # Threads of the libraries would keep the process.
            os._exit(0)
        return json.loads(line)

    def ask(self, what, **fields):
        """Asks a question of the request under way; there is one at a time."""
        self.asked += 1
        self.say(dict(fields, ask=self.asked, what=what))
        answer = self.read()
        if answer.get('answer') != self.asked:
            raise errors.Refused('internal', 'expected the answer to question %d' % self.asked, True)
        if 'error' in answer:
            raise errors.Refused(**{key: answer['error'][key] for key in ('kind', 'message', 'definite')})
        return answer['value']

    def notify(self, backup_id, event_type, payload):
        self.say({'event': 'notification', 'backup': backup_id, 'event_type': event_type, 'payload': payload})


class Adapter:
    def __init__(self, driver, cache):
        self.driver = driver
        self.cache = cache
        self.link = Link()
        self.service, self.operations = None, ()

    def hello(self, protocol, role, folder):
        if protocol != PROTOCOL or role not in ROLES:
            raise errors.Refused('unsupported', 'protocol %s, role %s: this is protocol %d, role %s'
                                 % (protocol, role, PROTOCOL, ' or '.join(ROLES)), True)
        made, self.operations = ROLES[role]
        self.service = made(self.driver, self.link, folder, self.cache)
        return {'protocol': PROTOCOL, 'name': 'cinder-' + self.driver,
                'version': importlib.metadata.version('cinder'),
                'capabilities': OF_ALL + CAPABILITIES[self.driver]}

    def answer(self, request):
        fields = {key: value for key, value in request.items() if key not in ('id', 'op')}
        op = request['op']
        if op == 'hello':
            return self.hello(**fields)
        if op not in self.operations:
            raise errors.Refused('unsupported', op, True)
        return getattr(self.service, op)(**fields)

    def serve(self):
        while True:
            request = self.link.read()
            try:
                self.link.say({'id': request['id'], 'ok': self.answer(request)})
            except Exception as error:
                LOG.exception('%s failed', request.get('op'))
                self.link.say({'id': request['id'], 'error': errors.answer(error)})


def main():
    parser = argparse.ArgumentParser(description='Cinder\'s own backup drivers as an adapter of Clinker.')
    parser.add_argument('--driver', required=True, choices=sorted(CAPABILITIES))
    parser.add_argument('--cache', help='folder in which an empty database is kept for the next start')
    arguments = parser.parse_args()
    Adapter(arguments.driver, arguments.cache).serve()


if __name__ == '__main__':
    sys.exit(main())

"""One backup or restore by Cinder's own POSIX driver in this process, measured. One JSON object in, one out.

usage: cinder_one.py < REQUEST

REQUEST: op (backup, restore), device, repository, options, rows (of backups, oldest first; the last is what is made or
restored), folder (for the database and whatever else; removed by the caller), cache. The Cinder around the driver is that
of harness/adapters/cinder. A small backup and restore go before, so that what Python loads on first use is not counted.
"""
import gc
import json
import os
import sys
import time

# Nothing but the result may reach standard output.
RESULT = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../harness/adapters/cinder'))

from cinder import monkey_patch  # noqa: E402
monkey_patch.patch()

import importlib.metadata  # noqa: E402

import service  # noqa: E402

WARM_UP_BYTES = 1 << 20


class Link:
    """A harness that cancels nothing and keeps where the backup is."""

    def __init__(self):
        self.location = None

    def ask(self, what, **fields):
        if what == 'save_location':
            self.location = {key: fields[key] for key in ('container', 'service_metadata')}
        return False

    def notify(self, backup_id, event_type, payload):
        pass


def device_bytes(device):
    with open(device, 'rb') as file:
        return file.seek(0, os.SEEK_END)


def memory(key):
    """Bytes."""
    with open('/proc/self/status') as status:
        for line in status:
            if line.startswith(key + ':'):
                return int(line.split()[1]) * 1024
    raise KeyError(key)


def forget_peak():
    try:
        with open('/proc/self/clear_refs', 'w') as refs:
            refs.write('5')
        return 'operation'
    except OSError:
        return 'process'


def row(backup_id, size):
    return {'id': backup_id, 'volume_id': '22222222-3333-4444-5555-666666666666', 'size': size, 'display_name': 'volume',
            'display_description': '', 'availability_zone': 'nova', 'container': '', 'service_metadata': '',
            'parent_id': '', 'created_at': '2026-01-01T00:00:00Z', 'volume_meta': None}


def operate(cinder, op, rows, device):
    size = device_bytes(device)
    if op == 'backup':
        parent = rows[-2] if len(rows) > 1 else None
        cinder.backup(service.NOBODY, rows[-1], parent, device, size)
    else:
        cinder.restore(service.NOBODY, rows, device, size, True)


def warm_up(cinder, link, folder, options):
    repository, device = os.path.join(folder, 'repository'), os.path.join(folder, 'device')
    os.mkdir(repository)
    with open(device, 'wb') as file:
        file.write(b'something that packs ' * (WARM_UP_BYTES // 21))
    cinder.configure(dict(options, backup_posix_path=repository))
    made = row('99999999-aaaa-bbbb-cccc-dddddddddddd', 1)
    operate(cinder, 'backup', [made], device)
    operate(cinder, 'restore', [dict(made, **link.location)], device)


def main():
    request = json.load(sys.stdin)
    op, device = request['op'], request['device']
    link = Link()
    cinder = service.Service('posix', link, request['folder'], request['cache'])
    warm_up(cinder, link, request['folder'], request['options'])
    cinder.configure(dict(request['options'], backup_posix_path=request['repository']))
    gibs = -(-device_bytes(device) // (1 << 30))
    rows = [dict(row(given['id'], gibs), **given) for given in request['rows']]
    gc.collect()
    peak_is_of, before = forget_peak(), memory('VmRSS')
    clock, cpu = time.monotonic(), time.process_time()
    operate(cinder, op, rows, device)
    seconds, cpu_seconds = time.monotonic() - clock, time.process_time() - cpu
    result = {'seconds': seconds, 'cpu_seconds': cpu_seconds, 'memory_before_bytes': before,
              'peak_memory_bytes': memory('VmHWM'), 'peak_is_of': peak_is_of, 'location': link.location,
              'version': importlib.metadata.version('cinder')}
    RESULT.write(json.dumps(result) + '\n')
    RESULT.flush()
    # Threads of the libraries would keep the process.
    os._exit(0)


main()

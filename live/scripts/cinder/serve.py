"""Real Cinder's backup manager behind standard input and output: one JSON request a line, one JSON answer a line.

usage: serve.py WORK_FOLDER

Everything around the manager is local: SQLite, a message bus in memory, and in place of the volume service a file that
stands for the attached device. Requests (all paths absolute):

  {"do": "backup", "options": {...}, "chain": [record, ...], "device": FILE, "volume_id": ID}
      backs FILE up; incremental if the chain has records, its last one the parent. Answer: {"record": {...}}
  {"do": "restore", "options": {...}, "chain": [record, ..., wanted], "output": FILE, "volume_is_new": BOOL}
      restores the chain's last record into FILE. Answer: {}

`options` are Cinder's own, by name. A failure is answered with {"error": TEXT}. The end of input ends the process.
"""
import json
import os
import sys

os.environ.setdefault('EVENTLET_NO_GREENDNS', 'yes')
# Nothing but answers may reach standard output: what libraries print goes to the log.
ANSWERS = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)

from cinder import monkey_patch  # noqa: E402
monkey_patch.patch()

import importlib  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from cinder.common import config  # noqa: E402,F401
from cinder import context  # noqa: E402
from cinder.db import api as db  # noqa: E402
from cinder.db import migration  # noqa: E402
from cinder import objects  # noqa: E402
objects.register_all()
from cinder import exception  # noqa: E402
from cinder import rpc  # noqa: E402
from cinder.backup import manager  # noqa: E402
from cinder.backup.drivers import posix, s3  # noqa: E402,F401
from cinder.volume import rpcapi  # noqa: E402
from cinder.volume import volume_types  # noqa: E402
from cinder.volume import volume_utils  # noqa: E402

CONF = cfg.CONF
HOST = 'interop'
PROJECT = '11111111-2222-3333-4444-555555555555'
USER = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
# What a record has besides its names: enough for the other side to read the backup.
FIELDS = ('id', 'volume_id', 'container', 'service_metadata', 'size', 'object_count', 'parent_id', 'display_name',
          'availability_zone')

devices = {}  # the file of each volume
asked = []    # backups that wait for the volume service to hand a device over


def caller():
    ctxt = context.get_admin_context()
    ctxt.user_id, ctxt.project_id = USER, PROJECT
    return ctxt


def start(work):
    path = os.path.join(work, 'cinder.conf')
    with open(path, 'w') as conf:
        conf.write(
            '[DEFAULT]\nhost = %(host)s\nstate_path = %(work)s\ntransport_url = fake:///\nuse_stderr = true\n'
            'rootwrap_config = /dev/null\n'
            '[database]\nconnection = sqlite:///%(work)s/cinder.sqlite\n'
            '[oslo_concurrency]\nlock_path = %(work)s/locks\n'
            '[oslo_messaging_notifications]\ndriver = noop\n'
            '[coordination]\nbackend_url = file://%(work)s\n' % {'host': HOST, 'work': work})
    os.makedirs(os.path.join(work, 'locks'), exist_ok=True)
    CONF(['--config-file', path], project='cinder')
    logging.setup(CONF, 'cinder')
    migration.db_sync()
    # The service imports its manager after its configuration; some of it is read at import.
    importlib.reload(manager)
    rpc.init(CONF)
    stand_in_for_the_volume_service()


class LocalFile:
    """A connector whose devices are files that are attached already."""

    def connect_volume(self, data):
        return {'type': 'block', 'path': data['path']}

    def disconnect_volume(self, data, device, force=False, ignore_errors=False):
        return None


def stand_in_for_the_volume_service():
    api = rpcapi.VolumeAPI
    api.get_backup_device = lambda self, ctxt, backup, volume: asked.append((ctxt, backup, volume))
    api.initialize_connection = lambda self, ctxt, volume, connector: {
        'driver_volume_type': 'local', 'data': {'path': devices[volume.id]}}
    api.secure_file_operations_enabled = lambda self, ctxt, volume: True
    for name in ('terminate_connection', 'remove_export', 'delete_volume', 'delete_snapshot', 'detach_volume',
                 'terminate_connection_snapshot', 'remove_export_snapshot'):
        setattr(api, name, lambda self, *args, **kwargs: None)
    volume_utils.brick_get_connector_properties = lambda *args, **kwargs: {'host': HOST}
    volume_utils.brick_get_connector = lambda *args, **kwargs: LocalFile()


def service(options):
    for name, value in options.items():
        CONF.set_override(name, value)
    made = manager.BackupManager(host=HOST, service_name='backup')
    made.is_initialized = True
    return made


def volume(path, status, volume_id=None):
    values = {'size': 1, 'host': HOST + '@local#pool', 'user_id': USER, 'project_id': PROJECT, 'status': status,
              'previous_status': 'available', 'display_name': 'volume', 'availability_zone': 'nova',
              'attach_status': 'detached', 'metadata': {},
              'volume_type_id': volume_types.get_default_volume_type()['id']}
    if volume_id is not None:
        values['id'] = volume_id
    made = db.volume_create(caller(), values)
    devices[made['id']] = path
    return made['id']


def know(record):
    """Puts a record into the database as an import does, unless it is there."""
    try:
        return objects.Backup.get_by_id(caller(), record['id'])
    except exception.BackupNotFound:
        pass
    values = {key: record.get(key) for key in FIELDS if record.get(key) is not None}
    objects.BackupImport(context=caller(), user_id=USER, project_id=PROJECT, status='available', metadata={},
                         host=HOST, service=CONF.backup_driver, fail_reason='', **values).create()
    return objects.Backup.get_by_id(caller(), record['id'])


def backup(request):
    mgr = service(request['options'])
    chain = [know(record) for record in request['chain']]
    volume_id = request['volume_id']
    try:
        objects.Volume.get_by_id(caller(), volume_id)
        db.volume_update(caller(), volume_id, {'status': 'backing-up', 'previous_status': 'available'})
    except exception.VolumeNotFound:
        volume(request['device'], 'backing-up', volume_id)
    devices[volume_id] = request['device']
    made = objects.Backup(context=caller(), volume_id=volume_id, user_id=USER, project_id=PROJECT, host=HOST,
                          availability_zone='nova', display_name='interop', container=None, status='creating',
                          fail_reason='', parent_id=chain[-1].id if chain else None, size=1, object_count=0,
                          metadata={})
    made.create()
    made.data_timestamp = made.created_at
    made.save()
    del asked[:]
    mgr.create_backup(caller(), made)
    while asked:
        ctxt, row, device = asked.pop(0)
        info = objects.BackupDeviceInfo.from_primitive(
            {'backup_device': device, 'secure_enabled': True, 'is_snapshot': False}, ctxt)
        mgr.continue_backup(ctxt, row, info)
    made = objects.Backup.get_by_id(caller(), made.id)
    if made.status != 'available':
        raise RuntimeError('the backup is %s: %s' % (made.status, made.fail_reason))
    record = {key: getattr(made, key) for key in FIELDS}
    return {'record': record}


def restore(request):
    mgr = service(request['options'])
    for record in request['chain']:
        know(record)
    wanted = objects.Backup.get_by_id(caller(), request['chain'][-1]['id'])
    volume_id = volume(request['output'], 'restoring-backup')
    wanted.status = 'restoring'
    wanted.restore_volume_id = volume_id
    wanted.save()
    mgr.restore_backup(caller(), wanted, volume_id, request['volume_is_new'])
    status = objects.Volume.get_by_id(caller(), volume_id).status
    if status != 'available':
        raise RuntimeError('the restored volume is %s' % status)
    return {}


def main():
    start(os.path.abspath(sys.argv[1]))
    print(json.dumps({'ready': True}), file=ANSWERS, flush=True)
    for line in iter(sys.stdin.readline, ''):
        request = json.loads(line)
        try:
            answer = {'backup': backup, 'restore': restore}[request['do']](request)
        except Exception as error:
            logging.getLogger('cinder').exception('request failed')
            answer = {'error': '%s: %s' % (type(error).__name__, error)}
        print(json.dumps(answer), file=ANSWERS, flush=True)
    # Threads of the libraries would keep the process.
    os._exit(0)


main()

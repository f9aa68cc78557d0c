"""The Cinder around one of its backup drivers: configuration, database, rows, notifications. No manager.

Each operation makes a driver of its own, as Cinder's manager does, from the caller's context; set-up is the service's,
without a user. The database is SQLite in the adapter's folder. What a driver asks of the service (a row's status before
each chunk, saving the row) is asked of the harness.
"""
import importlib
import os
import shutil
import sqlite3
import uuid

from cinder.common import config  # noqa: F401
from cinder import context
from cinder.db import api as db
from cinder.db import migration
from cinder import objects
objects.register_all()
from cinder import rpc  # noqa: E402
from cinder.backup import chunkeddriver  # noqa: E402
from cinder.volume import volume_types  # noqa: E402
from cinder.volume import volume_utils  # noqa: E402
from eventlet import tpool  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_utils import timeutils  # noqa: E402

import errors  # noqa: E402

CONF = cfg.CONF
CLASSES = {'swift': 'SwiftBackupDriver', 's3': 'S3BackupDriver', 'posix': 'PosixBackupDriver'}
OPERATIONS = ('configure', 'do_setup', 'check_for_setup_error', 'backup', 'restore', 'delete_backup', 'export_record',
              'import_record', 'verify')
# Who works when nobody is named: Cinder's drivers are idle without a user.
USER = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
PROJECT = '11111111-2222-3333-4444-555555555555'
NOBODY = {'user_id': '', 'project_id': '', 'token': None, 'catalog': []}
# Of the service, not of a driver; here they are this adapter's own.
OURS = {'transport_url', 'state_path', 'backup_driver', 'host', 'lock_path'}
LIVE = {'backup': 'creating', 'restore': 'restoring'}


class Service:
    def __init__(self, driver, link, folder, cache):
        self.link = link
        self.folder = os.path.join(folder, 'cinder-%d' % os.getpid())
        self.overrides = []
        self.timers = []
        # The operation under way, and the id of the backup that it is about.
        self.op = self.about = None
        self.located, self.cancelled = None, False
        module = importlib.import_module('cinder.backup.drivers.' + driver)
        self.driver_class = getattr(module, CLASSES[driver])
        self.class_path = 'cinder.backup.drivers.%s.%s' % (driver, CLASSES[driver])
        self.start(cache)
        self.take_the_service_s_place()

    def start(self, cache):
        os.makedirs(os.path.join(self.folder, 'locks'))
        path = os.path.join(self.folder, 'cinder.conf')
        with open(path, 'w') as conf:
            conf.write(
                '[DEFAULT]\nhost = adapter\nstate_path = %(f)s\ntransport_url = fake:///\nuse_stderr = true\n'
                'rootwrap_config = /dev/null\n[database]\nconnection = sqlite:///%(f)s/cinder.sqlite\n'
                # What a crash would lose nobody misses.
                'sqlite_synchronous = false\n'
                '[oslo_concurrency]\nlock_path = %(f)s/locks\n[oslo_messaging_notifications]\ndriver = noop\n'
                '[coordination]\nbackend_url = file://%(f)s\n' % {'f': self.folder})
        CONF(['--config-file', path], project='cinder')
        logging.setup(CONF, 'cinder')
        self.database = os.path.join(self.folder, 'cinder.sqlite')
        empty = os.path.join(cache, 'empty.sqlite') if cache else None
        if empty and os.path.exists(empty):
            shutil.copy(empty, self.database)
        else:
            migration.db_sync()
            if empty:
                # Whole or not at all: another adapter may start now.
                shutil.copy(self.database, '%s.%d' % (empty, os.getpid()))
                os.rename('%s.%d' % (empty, os.getpid()), empty)
        if not rpc.initialized():
            rpc.init(CONF)

    def take_the_service_s_place(self):
        """Lets what a driver asks of the service and tells it reach the harness."""
        refresh, save = objects.Backup.refresh, objects.Backup.save
        timer = chunkeddriver.loopingcall.FixedIntervalLoopingCall

        def refreshed(row):
            self.before_refresh(row)
            return refresh(row)

        def saved(row):
            save(row)
            self.after_save(row)

        def notified(ctxt, row, suffix, extra_usage_info=None, host=None):
            payload = volume_utils._usage_from_backup(row, **(extra_usage_info or {}))
            self.link.notify(row.id, 'backup.%s' % suffix, payload)

        def timed(*args, **kwargs):
            self.timers.append(timer(*args, **kwargs))
            return self.timers[-1]

        objects.Backup.refresh = refreshed
        objects.Backup.save = saved
        volume_utils.notify_about_backup_usage = notified
        chunkeddriver.loopingcall.FixedIntervalLoopingCall = timed

    def before_refresh(self, row):
        if row.id != self.about or self.op not in LIVE or self.cancelled:
            return
        if self.link.ask('cancelled', backup=row.id):
            self.cancelled = True
            status = 'deleting' if self.op == 'backup' else 'error'
            db.backup_update(context.get_admin_context(), row.id, {'status': status})

    def after_save(self, row):
        location = (row.container, row.service_metadata or '')
        if row.id != self.about or self.op != 'backup' or not row.container or location == self.located:
            return
        # First the container, then the prefix, as the driver chooses them.
        self.located = location
        self.link.ask('save_location', backup=row.id, container=location[0], service_metadata=location[1])

    # rows

    def caller(self, given):
        return context.RequestContext(
            user_id=given['user_id'] or USER, project_id=given['project_id'] or PROJECT, is_admin=True,
            auth_token=given['token'], service_catalog=given['catalog'], overwrite=False)

    def forget(self, table, row_id):
        with sqlite3.connect(self.database) as database:
            database.execute('delete from %s where id = ?' % table, (row_id,))

    def know_volume(self, volume_id, size):
        self.forget('volumes', volume_id)
        db.volume_create(context.get_admin_context(), {
            'id': volume_id, 'size': size, 'host': 'adapter@local#pool', 'user_id': USER, 'project_id': PROJECT,
            'status': 'backing-up', 'previous_status': 'available', 'display_name': 'volume',
            'availability_zone': 'nova', 'attach_status': 'detached', 'metadata': {},
            'volume_type_id': volume_types.get_default_volume_type()['id']})

    def know(self, ctxt, row, status='available'):
        """The row, as the harness has it."""
        self.forget('backups', row['id'])
        same = ('id', 'volume_id', 'size', 'display_name', 'display_description', 'availability_zone', 'container',
                'service_metadata', 'parent_id')
        # Cinder's rows have no empty texts: what was not chosen is null.
        values = {key: None if row[key] == '' else row[key] for key in same}
        created = timeutils.normalize_time(timeutils.parse_isotime(row['created_at']))
        values.update(user_id=ctxt.user_id, project_id=ctxt.project_id, host='adapter', service=self.class_path,
                      status=status, fail_reason='', object_count=0, created_at=created, data_timestamp=created)
        db.backup_create(ctxt, values)
        return objects.Backup.get_by_id(ctxt, row['id'])

    def driver(self, ctxt, volume_meta=None):
        made = self.driver_class(ctxt)
        put_metadata = made.put_metadata

        def put(volume_id, json_metadata):
            self.link.ask('volume_meta', backup=self.about, volume_meta=json_metadata)
            put_metadata(volume_id, json_metadata)

        made.put_metadata = put
        # Making this text is the service's part, and the harness has taken it.
        made.get_metadata = lambda volume_id: volume_meta
        return made

    def run(self, op, about, work):
        self.op, self.about, self.located, self.cancelled = op, about, None, False
        try:
            done = work()
            if self.cancelled:
                raise errors.Cancelled()
            return done
        finally:
            self.op = self.about = None

    # operations

    def configure(self, options):
        for name in self.overrides:
            CONF.clear_override(name)
        self.overrides = []
        # What a service leaves running ends with it.
        for timer in self.timers:
            timer.stop()
        self.timers = []
        for name, value in options.items():
            if name in OURS:
                continue
            try:
                CONF.set_override(name, value)
            except cfg.NoSuchOptError:
                logging.getLogger('cinder').info('Cinder has no option %s', name)
                continue
            except ValueError as error:
                raise errors.Refused('invalid_config', 'option %s: %s' % (name, error), True)
            self.overrides.append(name)
        return {}

    def do_setup(self):
        self.driver(context.get_admin_context())
        return {}

    def check_for_setup_error(self):
        self.driver(context.get_admin_context()).check_for_setup_error()
        return {}

    def backup(self, context, backup, parent, device, volume_size):
        ctxt = self.caller(context)
        # A GiB is what the harness says it is, but a volume without bytes has none.
        self.know_volume(backup['volume_id'], backup['size'] if volume_size else 0)
        if parent:
            self.know(ctxt, parent)
        row = self.know(ctxt, backup, LIVE['backup'])

        def work():
            with open(device, 'rb') as volume_file:
                self.driver(ctxt, backup['volume_meta']).backup(row, tpool.Proxy(volume_file), backup_metadata=True)
            return {'object_count': objects.Backup.get_by_id(ctxt, row.id).object_count}

        return self.run('backup', row.id, work)

    def restore(self, context, chain, device, volume_size, volume_is_new):
        ctxt = self.caller(context)
        wanted = chain[-1]
        target = str(uuid.uuid4())
        self.know_volume(target, wanted['size'])
        for row in chain[:-1]:
            self.know(ctxt, row)
        row = self.know(ctxt, wanted, LIVE['restore'])

        def work():
            # A device is not emptied by being opened, as Cinder would open it.
            with open(device, 'rb+') as volume_file:
                self.driver(ctxt).restore(row, target, tpool.Proxy(volume_file), volume_is_new)
            return {}

        return self.run('restore', row.id, work)

    def delete_backup(self, context, backup):
        ctxt = self.caller(context)
        row = self.know(ctxt, backup, 'deleting')
        self.run('delete_backup', row.id, lambda: self.driver(ctxt).delete_backup(row))
        return {}

    def export_record(self, backup):
        ctxt = self.caller(NOBODY)
        return {'driver_info': self.driver(ctxt).export_record(self.know(ctxt, backup)) or {}}

    def import_record(self, backup, driver_info):
        ctxt = self.caller(NOBODY)
        self.driver(ctxt).import_record(self.know(ctxt, backup), driver_info)
        return {}

    def verify(self, context, backup, object_count):
        ctxt = self.caller(context)
        driver = self.driver(ctxt)
        if not hasattr(driver, 'verify'):
            # Cinder then takes an imported record on trust.
            raise errors.Refused('unsupported', 'verify: %s has no such method' % self.class_path, True)
        driver.verify(backup['id'])
        return {}

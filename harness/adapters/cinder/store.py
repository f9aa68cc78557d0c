"""The object store below one of Cinder's chunked drivers, as the harness's own chunk engine uses it.

Only what a driver adds to Cinder's engine is asked here: containers, names, objects. What Cinder's engine makes of it, and
hides (a listing that fails while deleting), is in the role `driver`.
"""
import base64

from cinder import context as contexts
import service

OPERATIONS = ('configure', 'check_options', 'check_for_setup_error', 'container_for', 'object_prefix', 'put_container',
              'list', 'put', 'get', 'delete', 'discard_partial')


class Store(service.Service):
    """The same Cinder around the same class; its stored objects are asked for one by one."""

    def configure(self, options):
        super().configure(options)
        made = self.driver(contexts.get_admin_context())
        return {'chunk': made.chunk_size_bytes, 'block': made.sha_block_size_bytes,
                'progress_timer': bool(made.enable_progress_timer)}

    def check_options(self):
        return self.do_setup()

    def container_for(self, backup):
        ctxt = self.caller(service.NOBODY)
        made = self.driver(ctxt)
        row = self.know(ctxt, backup)
        container = made.update_container_name(row, row.container) or row.container or made.backup_default_container
        return {'container': container}

    def object_prefix(self, backup, now):
        ctxt = self.caller(service.NOBODY)
        return {'prefix': self.driver(ctxt)._generate_object_name_prefix(self.know(ctxt, backup))}

    def put_container(self, context, container):
        self.driver(self.caller(context)).put_container(container)
        return {}

    def list(self, context, container, prefix):
        return {'names': sorted(self.driver(self.caller(context)).get_container_entries(container, prefix))}

    def put(self, context, container, name, body, md5):
        with self.driver(self.caller(context)).get_object_writer(container, name) as writer:
            writer.write(base64.b64decode(body))
        return {}

    def get(self, context, container, name):
        with self.driver(self.caller(context)).get_object_reader(container, name) as reader:
            return {'body': base64.b64encode(reader.read()).decode()}

    def delete(self, context, container, name):
        self.driver(self.caller(context)).delete_object(container, name)
        return {}

    def discard_partial(self, context, container, prefix):
        # Cinder leaves nothing that is not listed: what a crash cut short has its final name.
        return {}

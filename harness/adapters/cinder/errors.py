"""Which of the protocol's kinds an exception of Cinder or of a library below it is: one table.

What is in no row is `internal`. Drivers wrap what they caught; the innermost exception that a row knows decides, because
a driver that says `connection failed` of a missing key has still told its caller.
"""
import errno
import socket
import zlib

from botocore import exceptions as boto
from cinder import exception
from cinder.backup.drivers import s3
from oslo_config import cfg
from requests import exceptions as requests
from swiftclient import exceptions as swift
from urllib3 import exceptions as urllib3
import zstd


class Refused(Exception):
    """An error that is known as the protocol puts it: the harness's, or one of this adapter."""

    def __init__(self, kind, message, definite):
        super().__init__(message)
        self.kind, self.message, self.definite = kind, message, definite


class Cancelled(Exception):
    """The driver has ended an operation because it is no longer wanted; Cinder's own drivers then just return."""


# After these the same request would fail again.
DEFINITE = {'invalid_config', 'invalid_volume', 'invalid_backup', 'auth', 'not_found', 'conflict', 'quota', 'integrity',
            'unsupported', 'cancelled'}

# The first row that fits.
CLASSES = (
    (Cancelled, 'cancelled'),
    (exception.BackupRestoreCancel, 'cancelled'),
    (exception.InvalidVolume, 'invalid_volume'),
    (exception.VolumeNotFound, 'invalid_volume'),
    (exception.InvalidBackup, 'invalid_backup'),
    (exception.BackupNotFound, 'invalid_backup'),
    (exception.BackupMetadataUnsupportedVersion, 'invalid_backup'),
    (exception.InvalidConfigurationValue, 'invalid_config'),
    (exception.ParameterNotFound, 'invalid_config'),
    (exception.ConfigNotFound, 'invalid_config'),
    (cfg.ConfigFileValueError, 'invalid_config'),
    (NotImplementedError, 'unsupported'),
    # Of a compressed object that is not what was stored.
    (zlib.error, 'integrity'),
    (zstd.Error, 'integrity'),
    (boto.FlexibleChecksumError, 'integrity'),
    (boto.ConnectTimeoutError, 'timeout'),
    (boto.ReadTimeoutError, 'timeout'),
    (boto.NoCredentialsError, 'auth'),
    (boto.PartialCredentialsError, 'auth'),
    (boto.HTTPClientError, 'unreachable'),
    (boto.ConnectionError, 'unreachable'),
    (boto.IncompleteReadError, 'unreachable'),
    (requests.Timeout, 'timeout'),
    (requests.RequestException, 'unreachable'),
    (urllib3.TimeoutError, 'timeout'),
    (urllib3.HTTPError, 'unreachable'),
    (socket.timeout, 'timeout'),
    # What these drivers say of everything below them that they do not know.
    (exception.SwiftConnectionFailed, 'unreachable'),
    (s3.S3ConnectionFailure, 'unreachable'),
)

STATUSES = {
    401: 'auth', 403: 'auth', 404: 'not_found', 408: 'timeout', 409: 'conflict', 412: 'conflict', 413: 'quota',
    429: 'unreachable', 507: 'quota',
}

# Codes of S3 that say more than their status.
CODES = {
    'NoSuchBucket': 'not_found', 'NoSuchKey': 'not_found', 'RequestTimeout': 'timeout', 'BadDigest': 'integrity',
    'QuotaExceeded': 'quota', 'EntityTooLarge': 'quota', 'XMinioStorageFull': 'quota', 'SlowDown': 'unreachable',
}

NUMBERS = {
    errno.ENOSPC: 'quota', errno.EDQUOT: 'quota', errno.ENOENT: 'not_found', errno.ENOTDIR: 'not_found',
    errno.EACCES: 'auth', errno.EPERM: 'auth', errno.EROFS: 'auth', errno.ECONNREFUSED: 'unreachable',
    errno.ECONNRESET: 'unreachable', errno.EPIPE: 'unreachable', errno.EHOSTUNREACH: 'unreachable',
    errno.ENETUNREACH: 'unreachable', errno.ETIMEDOUT: 'timeout',
}


def of_status(status):
    if status in STATUSES:
        return STATUSES[status]
    return 'unreachable' if status and 500 <= status < 600 else None


def of(error):
    """The kind of one exception; none if no row fits."""
    if isinstance(error, Refused):
        return error.kind
    for known, kind in CLASSES:
        if isinstance(error, known):
            return kind
    if isinstance(error, swift.ClientException):
        return of_status(error.http_status)
    if isinstance(error, boto.ClientError):
        code = str(error.response.get('Error', {}).get('Code', ''))
        return CODES.get(code) or of_status(error.response.get('ResponseMetadata', {}).get('HTTPStatusCode'))
    if isinstance(error, OSError):
        return NUMBERS.get(error.errno)
    return None


def chain(error):
    """An exception and those that it was made of, the innermost first."""
    found = []
    while error is not None and error not in found:
        found.insert(0, error)
        # Cinder's exceptions keep only the text of what they wrap; what was being handled is it.
        wraps = isinstance(error, (exception.BackupDriverException, exception.BackupOperationError))
        error = error.__cause__ or (error.__context__ if wraps else None)
    return found


def answer(error):
    """An exception as the protocol puts it."""
    if isinstance(error, Refused):
        return {'kind': error.kind, 'message': error.message, 'definite': error.definite}
    kinds = [kind for kind in map(of, chain(error)) if kind]
    kind = kinds[0] if kinds else 'internal'
    text = ' '.join(str(error).split()) or repr(error)
    message = '%s: %s' % (type(error).__name__, text[:400])
    return {'kind': kind, 'message': message, 'definite': kind in DEFINITE}

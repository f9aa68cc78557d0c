"""The files that are backed up. What is in them is a function of their size alone: two machines measure the same bytes."""
import hashlib
import os
import shutil

PAGE = 4096
PIECE = 1 << 20
BLOCK = 32768
# One block of so many is another in the changed volume.
CHANGED_EVERY = 100


def size(path):
    """Bytes; also of a block device."""
    with open(path, 'rb') as file:
        return file.seek(0, os.SEEK_END)


def half_piece(index):
    """A MiB of pages that no encoder packs, in turn with pages of one line again and again."""
    pages = PIECE // PAGE
    random = hashlib.shake_256(b'against cinder %d' % index).digest(PIECE // 2)
    out = []
    for page in range(0, pages, 2):
        out.append(random[page * PAGE // 2:(page + 2) * PAGE // 2])
        out.append((b'page %010d\n' % (index * pages + page + 1)) * (PAGE // 16))
    return b''.join(out)


def make(path, length, data):
    with open(path, 'wb') as file:
        if data == 'zeros':
            # Written, not left out: reading a hole is another thing.
            piece = lambda index: bytes(PIECE)  # noqa: E731
        else:
            piece = half_piece
        for index in range(-(-length // PIECE)):
            file.write(piece(index)[:length - index * PIECE])


def change(path, changed):
    """A copy with some bytes of every hundredth block overwritten. Returns how many blocks there are of these."""
    shutil.copyfile(path, changed)
    blocks = 0
    with open(changed, 'r+b') as file:
        end = file.seek(0, os.SEEK_END)
        for offset in range(0, end, BLOCK * CHANGED_EVERY):
            file.seek(offset)
            old = file.read(min(32, end - offset))
            file.seek(offset)
            # Whatever was there, it is not any more.
            file.write(bytes(byte ^ 0x5a for byte in old))
            blocks += 1
    return blocks

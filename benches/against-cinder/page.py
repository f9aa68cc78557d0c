"""Results as Markdown: the figures that are wanted, then every operation. No measuring here."""

MIB = 1 << 20
ONE, TWO = 'clinker-1', 'clinker-2'
# What the engine may hold beside the bytes in flight, and of those at most.
MEMORY_MAX = (64 + 256) * MIB
TITLES = {'none': '', 'zlib': '', 'zstd': '', 'incremental': ', 1 % changed', 'zeros-none': ' of zeros',
          'zeros-zlib': ' of zeros', 'large-none': ', POSIX default chunk', 'large-zlib': ', POSIX default chunk'}
COMPRESSION = {'incremental': 'none'}
SIDES = {'cinder': 'Cinder', ONE: 'Clinker, 1 thread', TWO: 'Clinker, 2 threads'}


class Best:
    """Of the rounds: the shortest times, the most memory."""

    def __init__(self, samples):
        self.seconds = min(sample['seconds'] for sample in samples)
        self.cpu = min(sample['cpu_seconds'] for sample in samples)
        self.peak = max(sample['peak_memory_bytes'] for sample in samples)
        self.before = max(sample['memory_before_bytes'] for sample in samples)
        self.stored = max(sample['stored_bytes'] for sample in samples)
        self.files = max(sample['stored_files'] for sample in samples)


def line(*cells):
    return '| %s |' % ' | '.join(str(cell) for cell in cells)


def number(value):
    """Three digits that mean something."""
    return '%.0f' % value if value >= 100 else '%.1f' % value if value >= 10 else '%.2f' % value


def mib(value):
    return '{:,.0f}'.format(value / MIB)


def compression(case):
    return COMPRESSION.get(case) or case.split('-')[-1]


def title(case, operation):
    if case == 'incremental' and operation == 'restore':
        return 'restore, none, full and incremental'
    return '%s, %s%s' % (operation, compression(case), TITLES[case])


class Page:
    def __init__(self, results):
        self.results = results
        self.size = results['volume_bytes']
        grouped = {}
        for sample in results['samples']:
            grouped.setdefault((sample['case'], sample['operation'], sample['side']), []).append(sample)
        self.best = {key: Best(samples) for key, samples in grouped.items()}

    def speed(self, best):
        return '%.0f' % (self.size / MIB / best.cpu)

    def figures(self):
        """Rows: what, of Cinder, of Clinker, ratio, wanted, whether it is so. Nothing is wanted of other data."""
        usual = self.results['data'] == 'half'
        for figure in self.all_figures():
            yield figure if usual else figure[:4] + ('', '')

    def all_figures(self):
        for case, operation, least, speed_least in (
                ('none', 'full', 1.6, None), ('zlib', 'full', 4, None), ('zstd', 'full', 1.3, None),
                ('zeros-none', 'full', None, 1000), ('zeros-zlib', 'full', None, 1000),
                ('incremental', 'incremental', 2.5, None), ('incremental', 'restore', None, None),
                ('none', 'restore', None, 450), ('zlib', 'restore', 2, None), ('zstd', 'restore', None, None)):
            yield from self.speeds(case, operation, least, speed_least)
        for case in ('none', 'zlib', 'zstd'):
            yield from self.sizes(case)
        for case in ('none', 'zlib'):
            yield from self.threads(case)
        for cases, chunk in ((('none', 'zlib', 'zstd', 'incremental', 'zeros-none', 'zeros-zlib'), '50 MiB'),
                             (('large-none', 'large-zlib'), '1,999,994,880 bytes')):
            yield from self.memory(cases, chunk)

    def pair(self, case, operation):
        theirs, ours = (self.best.get((case, operation, side)) for side in ('cinder', ONE))
        return (theirs, ours) if ours else None

    def speeds(self, case, operation, least, speed_least):
        theirs, ours = self.pair(case, operation) or (None, None)
        if not ours:
            return
        ratio = theirs and theirs.cpu / ours.cpu
        wanted, so = '', ''
        if least:
            wanted, so = '≥ %s×' % least, ratio and ratio >= least
        elif speed_least:
            wanted, so = '≥ %d' % speed_least, self.size / MIB / ours.cpu >= speed_least
        yield ('%s: MiB per CPU second' % title(case, operation), theirs and self.speed(theirs), self.speed(ours),
               ratio and number(ratio) + '×', wanted, so)

    def sizes(self, case):
        theirs, ours = self.pair(case, 'full') or (None, None)
        if theirs and ours:
            ratio = ours.stored / theirs.stored
            wanted = '≤ 1.01' if case == 'zlib' else ''
            yield ('%s: MiB stored' % title(case, 'full'), mib(theirs.stored), mib(ours.stored), '%.4f' % ratio, wanted,
                   wanted and ratio <= 1.01)

    def threads(self, case):
        one, two = (self.best.get((case, 'full', side)) for side in (ONE, TWO))
        if one and two:
            ratio = one.seconds / two.seconds
            yield ('%s: seconds with 1 thread, with 2' % title(case, 'full'), '', '%.2f, %.2f' % (one.seconds, two.seconds),
                   number(ratio) + '×', '≥ 1.7×', ratio >= 1.7)

    def memory(self, cases, chunk):
        def most(sides):
            peaks = [best.peak for (case, _, side), best in self.best.items() if case in cases and side in sides]
            return max(peaks, default=None)

        theirs, ours = most(('cinder',)), most((ONE, TWO))
        if ours:
            yield ('the most memory of all of these, chunks of %s: MiB' % chunk, theirs and mib(theirs), mib(ours),
                   theirs and number(theirs / ours) + '×', '≤ %s' % mib(MEMORY_MAX), ours <= MEMORY_MAX)

    def operations(self):
        for (case, operation, side), best in sorted(self.best.items(), key=lambda item: self.place(*item[0])):
            yield (title(case, operation), SIDES.get(side, side), '%.2f' % best.seconds, '%.2f' % best.cpu,
                   '%.0f' % (self.size / MIB / best.seconds), self.speed(best), mib(best.before), mib(best.peak),
                   '{:,.1f}'.format(best.stored / MIB) if best.files else '–', best.files or '–')

    @staticmethod
    def place(case, operation, side):
        return list(TITLES).index(case), operation == 'restore', list(SIDES).index(side)


def signs(cell):
    return {None: '–', True: 'yes', False: '**no**'}.get(cell, cell) if not isinstance(cell, str) else cell


def page(results):
    made = Page(results)
    data = {'half': 'pages of 4 KiB, random and of one repeated line in turn', 'zeros': 'zeros',
            'file': 'a file of the user\'s'}[results['data']]
    out = ['# The chunk engine against real Cinder', '',
           'Made by `benches/against-cinder/compare`; do not edit. The volume has %s MiB: %s. Blocks of 32 KiB; chunks of '
           '50 MiB unless another size is named. The best of %d rounds, of peaks the highest. %s, cinder %s; %s, %d cores, load '
           'at the start %.2f.' % (mib(made.size), data, results['rounds'], results['clinker'], results['cinder'],
                                   results['processor'], results['cores'], results['load_before']), '',
           'Times are of the operation alone, without any start. Clinker has one thread where none is named, and verifies '
           'what it restores; Cinder does not.', '',
           line('figure', 'Cinder', 'Clinker', 'ratio', 'wanted', 'reached'), line('---', *['---:'] * 4, '---')]
    out += [line(*map(signs, figure)) for figure in made.figures()]
    out += ['', '## Every operation', '', 'Memory is of the process; Cinder\'s has Python and Cinder in it before it begins.',
            '', line('operation', 'of', 's', 'CPU s', 'MiB/s', 'MiB per CPU s', 'MiB before', 'MiB at most', 'MiB stored',
                     'files'), line('---', '---', *['---:'] * 8)]
    out += [line(*operation) for operation in made.operations()]
    return '\n'.join(out) + '\n'

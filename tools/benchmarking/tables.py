"""The results as rich tables."""

from rich.markup import escape
from rich.table import Table

from tools.benchmarking.goals import growth
from tools.benchmarking.measuring import ratio

MEBI = 2**20


def section_table(title, cases):
    """Time, spread, memory of each case and its time against the others'."""
    table = Table(title=title, title_justify='left')
    table.add_column('case')
    table.add_column('median', justify='right')
    table.add_column('quartiles', justify='right')
    table.add_column('extra peak', justify='right')
    compared = [name for name in list(cases)[:-1] if 'error' not in cases[name]]
    for name in compared:
        table.add_column(f'time / {name}', justify='right')
    for name, case in cases.items():
        if 'error' in case:
            table.add_row(name, 'failed', escape(case['error']))
            continue
        ratios = [_ratio_cell(case, cases[other]) if other != name else '' for other in compared]
        spread = f'{ms(case["lower_quartile"])} - {ms(case["upper_quartile"])}'
        table.add_row(name, ms(case['median']), spread, mebibytes(case['peak']), *ratios)
    return table


def _ratio_cell(case, other):
    low, median, high = ratio(case['seconds'], other['seconds'])
    return f'{median:.3f} ({low:.3f}-{high:.3f})'


def scaling_table(cells):
    """Time of the targets over image size, objects and positives."""
    table = Table(title='targets from bitmaps, two images: scaling', title_justify='left')
    for name in ('image', 'objects', 'positives', 'ms_rcnn', 'plugin', 'ms_rcnn / plugin'):
        table.add_column(name, justify='right')
    for cell in cells:
        stock, plugin = cell['cases']['ms_rcnn'], cell['cases']['plugin']
        table.add_row(
            size_text(cell['image_size']),
            str(cell['objects']),
            str(cell['positives']),
            ms(stock['median']),
            ms(plugin['median']),
            f'{ratio(stock["seconds"], plugin["seconds"])[1]:.1f}',
        )
    return table


def growth_table(cells):
    """What more positives cost."""
    rows = growth(cells)
    table = Table(title='targets: growth with the positives of an image', title_justify='left')
    for name in ('image', 'objects', 'positives'):
        table.add_column(name, justify='right')
    for case in ('ms_rcnn', 'plugin'):
        table.add_column(f'one more, {case}', justify='right')
        table.add_column('times as long', justify='right')
    for row in rows:
        figures = [
            text
            for case in ('ms_rcnn', 'plugin')
            for text in (ms(row['seconds_per_positive'][case]), f'{row["times"][case]:.2f}')
        ]
        first, last = row['positives']
        ends = f'{first} to {last}'
        table.add_row(size_text(row['image_size']), str(row['objects']), ends, *figures)
    return table


def goal_table(rows):
    """Each goal with what was reached."""
    table = Table(title='goals', title_justify='left')
    table.add_column('compared')
    table.add_column('goal', justify='right')
    table.add_column('reached', justify='right')
    table.add_column('')
    words = {True: '[green]met', False: '[red]missed', None: 'not measured'}
    for row in rows:
        figure = '' if row['reached'] is None else f'{row["reached"]:.3f}'
        table.add_row(row['goal'], f'{row["sign"]} {row["bound"]:g}', figure, words[row['met']])
    return table


def ms(seconds):
    """Seconds as milliseconds, with three digits or so."""
    milliseconds = 1000 * seconds
    return f'{milliseconds:.{0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2}f} ms'


def mebibytes(count):
    """Bytes for people."""
    return '?' if count is None else f'{count / MEBI:.1f} MiB'


def size_text(size):
    """Height x width."""
    return '{} x {}'.format(*size)

import Table from 'cli-table3';

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Rows under their titles, without colours and rules between rows. */
export function table(columns: readonly Column[], rows: readonly (string | number)[][]): string {
  const plain = new Table({
    head: columns.map(({ title }) => title),
    colAligns: columns.map(({ align = 'left' }) => align),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 },
    chars: NO_RULES,
  });
  plain.push(...rows);
  return plain
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}

const NO_RULES = Object.fromEntries(
  ['top', 'bottom']
    .flatMap((side) => ['', '-mid', '-left', '-right'].map((place) => [`${side}${place}`, '']))
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'].map((place) => [place, ''])),
);

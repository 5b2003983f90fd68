import Table from 'cli-table3';

/** @param {unknown} value */
export function printJson(value) {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** @param {string} line */
export function print(line) {
  process.stdout.write(`${line}\n`);
}

/**
 * A table without colours and borders, so that a pipe can read it.
 * @param {string[]} head
 * @param {(string | number | null | undefined)[][]} rows
 */
export function printTable(head, rows) {
  const none = Object.fromEntries(
    'top,top-mid,top-left,top-right,bottom,bottom-mid,bottom-left,bottom-right,left,left-mid,mid,mid-mid,right,right-mid'
      .split(',')
      .map((name) => [name, '']),
  );
  const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
  const table = new Table({ head, chars: { ...none, middle: '  ' }, style });
  table.push(...rows.map((row) => row.map((cell) => String(cell ?? ''))));
  for (const line of table.toString().split('\n')) print(line.trimEnd());
}

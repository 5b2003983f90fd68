import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../runtime/package-root.ts';

/** A case that the sidecar answers otherwise on purpose, as docs/opa-compatibility.md says. */
export interface Documented {
  name: string;
  opaStatus: number;
  status: number;
  code: string;
  reason: string;
}

const file = join(packageRoot, 'docs/opa-compatibility.md');

/** `| name | 200 | 400 `invalid_parameter` | reason |` */
const ROW = /^\| ([^|]+?) +\| (\d{3}) +\| (\d{3}) `(\w+)` +\| ([^|]+?) +\|$/;

/** The rows of the table between the two marks. A row that cannot be read throws. */
export function documentedDifferences(): Documented[] {
  const [, table = ''] = /<!-- cases -->\n([\s\S]*?)<!-- end of cases -->/.exec(readFileSync(file, 'utf8')) ?? [];
  const [, , ...rows] = table.trim().split('\n');
  return rows.map((row) => {
    const [, name = '', opaStatus, status, code = '', reason = ''] = ROW.exec(row) ?? [];
    if (!name) throw new Error(`${file}: this row cannot be read: ${row}`);
    return { name, opaStatus: Number(opaStatus), status: Number(status), code, reason };
  });
}

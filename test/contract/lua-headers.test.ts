import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';

const folder = join(packageRoot, 'sidecar/counters/redis/lua');
const scripts = readdirSync(folder).filter((file) => file.endsWith('.lua'));

const highest = (text: string, array: string) =>
  Math.max(0, ...[...text.matchAll(new RegExp(`${array}\\[(\\d+)\\]`, 'g'))].map(([, index]) => Number(index)));

describe.each(scripts)('%s', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  const lines = text.split('\n');
  const header = lines.filter((line) => line.startsWith('--')).join('\n');
  const code = lines.filter((line) => !line.startsWith('--')).join('\n');

  test('begins with #!lua: without it, a script can write another slot of a cluster unnoticed', () => {
    expect(lines[0]).toBe('#!lua');
  });

  test('has as many keys as its name says', () => {
    const [, keys] = /-(\d+)\.lua$/.exec(file) ?? [];
    expect(highest(code, 'KEYS')).toBe(Number(keys));
    expect(highest(header, 'KEYS')).toBe(Number(keys));
  });

  test('describes every argument that it reads', () => {
    const read = highest(code, 'ARGV');
    for (let index = 1; index <= read; index++) expect(header).toContain(`ARGV[${index}]`);
  });

  test('describes every status that it returns', () => {
    const statuses = [...code.matchAll(/return \{ '(\w+)'/g), ...code.matchAll(/reply\('(\w+)'/g)].map(
      ([, status]) => status,
    );
    for (const status of statuses) expect(header).toMatch(new RegExp(`^--   .*\\b${status}\\b`, 'm'));
  });

  test('includes only files that are there', () => {
    const names = [...text.matchAll(/^-- @include ([\w-]+)$/gm)].map(([, name]) => `${name}.lua`);
    expect(readdirSync(join(folder, 'includes'))).toEqual(expect.arrayContaining(names));
  });
});

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from './bring.ts';
import { startOpa } from './opa-server.ts';
import { tempDir } from './temp-dir.ts';

test('is a real OPA that has loaded its policies, from files or a bundle, and ends when told', {
  timeout: BRING_TIMEOUT_MS,
}, async () => {
  const folder = await tempDir('policies');
  await mkdir(join(folder, 'numbers'));
  await writeFile(join(folder, 'numbers', 'numbers.rego'), 'package numbers\n\ndouble := input.n * 2\n');
  const [files, bundle] = await Promise.all([startOpa({ files: [folder] }), startOpa({ bundle: folder })]);
  for (const { url } of [files, bundle]) {
    const answer = await fetch(`${url}/v1/data/numbers/double`, { method: 'POST', body: '{"input": {"n": 21}}' });
    expect(await answer.json()).toEqual({ result: 42 });
  }
  await files.stop();
  await expect(fetch(files.url)).rejects.toThrow();
});

test('one that cannot load its policies fails with what it said', { timeout: BRING_TIMEOUT_MS }, async () => {
  const folder = await tempDir('policies');
  await writeFile(join(folder, 'broken.rego'), 'package broken\n\nallow if {');
  await expect(startOpa({ files: [folder] })).rejects.toThrow(/rego_parse_error/);
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bringHaproxy } from './bring.ts';
import { Child } from './child.ts';
import { eventually } from './eventually.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

/**
 * A real HAProxy with a configuration of one's own, once it passes on what is ready. Ended with the test.
 * `lines`: what it has logged on standard output.
 */
export async function startHaproxyOn(
  configure: (port: number) => string,
): Promise<{ url: string; lines: () => string[] }> {
  const program = await bringHaproxy();
  const dir = await tempDir('haproxy');
  const file = join(dir, 'haproxy.cfg');
  return onFreePort(
    async (port) => {
      await writeFile(file, configure(port));
      const url = `http://127.0.0.1:${port}`;
      const child = new Child(program, { args: ['-db', '-f', file], cwd: dir });
      await child.whileRunning(ready(url));
      return { url, lines: () => child.stdout };
    },
    (error) => /cannot bind socket/i.test(String(error)),
  );
}

const ready = (url: string) =>
  eventually(async () => {
    const { ok, status } = await fetch(`${url}/health/ready`);
    if (!ok) throw new Error(`not ready: ${status}`);
  });

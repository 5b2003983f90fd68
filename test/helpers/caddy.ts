import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bringCaddy } from './bring.ts';
import { Child } from './child.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

/** A real Caddy with a Caddyfile of one's own. Ended with the test. */
export async function startCaddyOn(configure: (port: number) => string): Promise<{ url: string }> {
  const program = await bringCaddy();
  const dir = await tempDir('caddy');
  const file = join(dir, 'Caddyfile');
  return onFreePort(
    async (port) => {
      await writeFile(file, configure(port));
      const child = new Child(program, {
        args: ['run', '--config', file, '--adapter', 'caddyfile'],
        env: { HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
        cwd: dir,
      });
      await child.waitForLine(/serving initial configuration/);
      return { url: `http://127.0.0.1:${port}` };
    },
    (error) => /address already in use/.test(String(error)),
  );
}

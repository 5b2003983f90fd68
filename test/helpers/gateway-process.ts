import { Child } from './child.ts';
import { eventually } from './eventually.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

/**
 * A real gateway, once it refuses who shows nothing: whatever answers otherwise has not read its configuration yet.
 * `argumentsFor` writes that to `dir`. Ended with the test.
 */
export async function startGateway(
  program: string,
  argumentsFor: (port: number, dir: string) => Promise<string[]>,
): Promise<{ url: string }> {
  const dir = await tempDir('gateway');
  return onFreePort(
    async (port) => {
      const url = `http://127.0.0.1:${port}`;
      const child = new Child(program, { args: await argumentsFor(port, dir), env: { HOME: dir }, cwd: dir });
      await child.whileRunning(refusing(url));
      return { url };
    },
    (error) => /address already in use/i.test(String(error)),
  );
}

const refusing = (url: string) =>
  eventually(async () => {
    const { status } = await fetch(url);
    if (status !== 401) throw new Error(`not ready: ${status}`);
  });

import { bringOpa } from './bring.ts';
import { Child } from './child.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

export interface OpaOptions {
  /** A bundle's folder or file. */
  bundle?: string;
  /** Rego and data files or folders. */
  files?: string[];
  /** More of `opa run`'s own flags. */
  args?: string[];
}

export interface OpaServer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/**
 * A real `opa run --server` on a loopback port, with its policies loaded. Ended with the test, or with the
 * file that starts it in a `beforeAll`; give that `BRING_TIMEOUT_MS`.
 */
export async function startOpa({ bundle, files = [], args = [] }: OpaOptions): Promise<OpaServer> {
  const program = await bringOpa();
  const cwd = await tempDir('opa');
  const policies = bundle ? ['--bundle', bundle] : files;
  return onFreePort(
    async (port) => {
      const listen = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--disable-telemetry', '--log-level', 'info'];
      const child = new Child(program, { args: [...listen, ...args, ...policies], cwd });
      await child.waitForLine(/Server initialized/);
      return { url: `http://127.0.0.1:${port}`, pid: child.pid, stop: async () => void (await child.stop()) };
    },
    (error) => /address already in use/.test(String(error)),
  );
}

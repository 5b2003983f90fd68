import { bringOpa } from './bring.ts';
import { Child } from './child.ts';
import { eventually } from './eventually.ts';
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
      const listen = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check'];
      const child = new Child(program, { args: [...listen, ...args, ...policies], cwd });
      const url = `http://127.0.0.1:${port}`;
      await child.whileRunning(healthy(url));
      return { url, pid: child.pid, stop: async () => void (await child.stop()) };
    },
    (error) => /address already in use/.test(String(error)),
  );
}

/** It says that it begins to listen, but not that it does. */
const healthy = (url: string) =>
  eventually(async () => {
    const { status } = await fetch(`${url}/health?bundles`);
    if (status !== 200) throw new Error(`health is ${status}`);
  });

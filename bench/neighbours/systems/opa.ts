import { join } from 'node:path';
import { onFreePort } from '../../../test/helpers/free-port.ts';
import { ask, mustRefuse } from '../ask.ts';
import { input, PATH } from '../input.ts';
import { Program } from '../program.ts';
import type { System } from '../system.ts';

const granted = '"result":true';

/** OPA's own server with a policy that counts nothing: without authentication, without a decision log, and silent. */
export const opa: System = {
  name: 'opa',
  title: 'OPA `run --server`, a policy that counts nothing',
  async start(tools) {
    const command = await tools.bring('opa');
    const policy = join(tools.root, 'bench', 'neighbours', 'systems', 'opa-policy');
    const start = async (port: number) => {
      const url = `http://127.0.0.1:${port}`;
      const listen = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check', '--log-level', 'error'];
      return { url, program: await Program.start(command, { args: [...listen, policy], ready: `${url}/health` }) };
    };
    const { program, url } = await onFreePort(start, (error) => /address already in use/.test(String(error)));
    return {
      url,
      granted,
      question: { method: 'POST', path: PATH, body: `{"input":${input()}}`, decisions: 1 },
      pids: { server: [program.pid], store: [] },
      prove: async () => mustRefuse(await ask(url + PATH, `{"input":${input('poor')}}`), granted),
      stop: () => program.stop(),
    };
  },
};

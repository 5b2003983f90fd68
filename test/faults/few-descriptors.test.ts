import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { leaveOut } from '../setup/leave-out.ts';
import { startRig, streamed } from './rig.ts';

/** So many more than it has open when it listens. */
const SPARE = 8;
const SOCKETS = 200;

/** One request over a connection that is kept. */
function askOver(agent: Agent, url: string): Promise<{ result: boolean; decision_id: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/v1/data/openclaw/rate_limit/allow`, { agent, method: 'POST' }, (response) => {
      const chunks: Buffer[] = [];
      response
        .on('data', (chunk) => chunks.push(chunk))
        .on('end', () => resolve(JSON.parse(String(Buffer.concat(chunks)))));
    });
    asked.on('error', reject).end('{"input": {"tenant_id": "acme"}}');
  });
}

/** Of a process that runs: one that starts opens its files a hundred at a time. */
async function limitDescriptors(pid: number): Promise<void> {
  if (process.platform !== 'linux') leaveOut('the descriptors of a running process can be limited on Linux only');
  const most = (await readdir(`/proc/${pid}/fd`)).length + SPARE;
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}:${most}`]);
}

async function opened(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return socket;
}

test.runIf(fullLength)(
  'without file descriptors left who is connected is answered; when there are some again, so is everybody',
  {
    timeout: 60_000,
  },
  async () => {
    const { client, environment } = await startRig();
    const { process: sidecar, url } = await startSidecar({ ...environment, DATA_DIR: await tempDir('data') });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    atTestEnd(() => agent.destroy());
    const answers = [await askOver(agent, url)];
    await limitDescriptors(sidecar.pid);

    const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => opened(url)));
    for (let each = 0; each < 30; each++) answers.push(await askOver(agent, url));
    expect(answers.map(({ result }) => result)).toEqual(answers.map(() => true));

    for (const socket of sockets) socket.destroy();
    const last = await eventually(() => ask(url, { tenant_id: 'acme' }));
    expect(last.body.result).toBe(true);
    const ids = [...answers, last.body].map(({ decision_id }) => decision_id);
    expect((await streamed(client)).toSorted()).toEqual(ids.toSorted());
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  },
);
